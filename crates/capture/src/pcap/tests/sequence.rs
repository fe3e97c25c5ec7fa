//! Bytes in order: disorder, retransmissions, holes, and which of both directions comes first.

use super::build::Talk;
use super::{before_end, tell};
use crate::pcap::PCAP_LATENESS_NS;
use crate::pcap::connections::HELD_TOTAL_MAX;
use crate::pcap::order::HELD_MAX;
use crate::pcap::side::HELD_OVERHEAD;

const OPEN: &str = "1: open 10.0.0.1:4000 10.0.0.2:80 Client @1";

/// What comes after the opening, and before the end of the file.
fn middle(talk: &Talk) -> Vec<String> {
    let (mut lines, _) = tell(&talk.pcap());
    assert_eq!(lines.remove(0), OPEN);
    let end = lines.pop().unwrap();
    assert!(end.starts_with("1: out of sight"), "{end}");
    lines
}

#[test]
fn bytes_in_order_pass_as_they_come() {
    let mut talk = Talk::open();
    talk.client("AP", 1001, 5001, "ask").server("AP", 5001, 1004, "answer");
    assert_eq!(middle(&talk), ["1: > 1001 ask @4", "1: < 5001 answer @5"]);
}

#[test]
fn early_bytes_wait_for_the_ones_before_and_take_their_time() {
    let mut talk = Talk::open();
    talk.client("A", 1004, 5001, "def")
        .client("A", 1007, 5001, "ghi")
        .client("A", 1001, 5001, "abc");
    assert_eq!(middle(&talk), ["1: > 1001 abc @6", "1: > 1004 def @6", "1: > 1007 ghi @6"]);
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.out_of_order, counters.holes), (2, 0));
}

#[test]
fn bytes_pass_once_and_the_first_copy_wins() {
    let mut talk = Talk::open();
    talk.client("A", 1001, 5001, "abcd")
        .client("A", 1001, 5001, "ABCD")
        .client("A", 1003, 5001, "CDef")
        // Held, then overlapped on both sides, then the hole is filled and overlapped.
        .client("A", 1009, 5001, "ij")
        .client("A", 1008, 5001, "hIJk")
        .client("A", 1005, 5001, "EFgHI");
    assert_eq!(
        middle(&talk),
        [
            "1: > 1001 abcd @4",
            "1: > 1005 ef @6",
            "1: > 1007 g @9",
            "1: > 1008 h @9",
            "1: > 1009 ij @9",
            "1: > 1011 k @9",
        ]
    );
    let (_, counters) = tell(&talk.pcap());
    assert_eq!(counters.bytes.delivered, 11);
    assert_eq!(counters.bytes.duplicate, 4 + 2 + 2 + 4);
}

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::new();
    talk.client("S", 0xffff_fffc, 0, "")
        .server("SA", 0xffff_ffff, 0xffff_fffd, "")
        .client("A", 0xffff_fffd, 0, "")
        .client("A", 3, 0, "ghi")
        .client("A", 0xffff_fffd, 0, "abcdef")
        .server("A", 0, 6, "xyz");
    let high = 1_u64 << 32;
    assert_eq!(
        middle(&talk),
        [
            format!("1: > {} abcdef @5", 0xffff_fffd_u32),
            format!("1: > {} ghi @5", high + 3),
            "1: < 0 xyz @6".to_owned(),
        ]
    );
}

#[test]
fn keep_alives_and_probes_are_not_bytes() {
    let mut talk = Talk::open();
    talk.client("A", 1001, 5001, "abc")
        .server("A", 5001, 1004, "")
        .client("A", 1003, 5001, "")
        .client("A", 1003, 5001, "?")
        .server("A", 5000, 1004, "")
        .client("A", 1004, 5001, "def");
    assert_eq!(middle(&talk), ["1: > 1001 abc @4", "1: > 1004 def @9"]);

    // Where the last byte was missed, a keep-alive does not stand in for it.
    let mut talk = Talk::open();
    talk.server("A", 5001, 1002, "").wait_ms(20);
    talk.client("A", 1001, 5001, "?").client("A", 1002, 5001, "def").server("A", 5001, 1005, "");
    assert_eq!(middle(&talk), ["1: > 1002 def @26"]);
    // A byte of its own, late in the file, is none.
    let mut talk = Talk::open();
    talk.server("A", 5001, 1002, "").client("A", 1001, 5001, "a").client("A", 1002, 5001, "def");
    assert_eq!(middle(&talk), ["1: > 1001 a @5", "1: > 1002 def @6"]);
}

#[test]
fn an_answer_waits_for_what_it_answers() {
    let mut talk = Talk::open();
    talk.server("A", 5001, 1004, "answer").client("A", 1001, 5001, "ask");
    assert_eq!(middle(&talk), ["1: > 1001 ask @5", "1: < 5001 answer @5"]);
    // The question again, sent after its answer: no knot.
    let mut talk = Talk::open();
    talk.server("A", 5001, 1004, "answer").client("A", 1001, 5007, "ask");
    assert_eq!(middle(&talk), ["1: > 1001 ask @5", "1: < 5001 answer @5"]);
}

#[test]
fn a_hole_that_was_acknowledged_is_given_up_soon() {
    let mut talk = Talk::open();
    talk.client("A", 1004, 5001, "def").server("A", 5001, 1007, "answer");
    // Not yet: it may be a little late in the file.
    let mut late = talk.clone();
    late.wait_ms(8).client("A", 1001, 5001, "abc");
    assert_eq!(middle(&late), ["1: > 1001 abc @14", "1: > 1004 def @14", "1: < 5001 answer @14"]);
    // Now: and what waited keeps its time.
    talk.wait_ms(10).client("A", 1001, 5001, "abc").client("A", 1007, 5007, "ghi");
    assert_eq!(middle(&talk), ["1: > 1004 def @4", "1: < 5001 answer @5", "1: > 1007 ghi @17"]);
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.holes, counters.missing_bytes, counters.bytes.late), (1, 3, 3));
}

#[test]
fn a_hole_that_was_not_acknowledged_waits_for_the_next_try() {
    let mut talk = Talk::open();
    talk.client("A", 1004, 5001, "def").server("A", 5001, 1001, "");
    let mut again = talk.clone();
    again.wait_ms(20_000).client("A", 1001, 5001, "abc");
    assert_eq!(middle(&again), ["1: > 1001 abc @20006", "1: > 1004 def @20006"]);
    // Given up, the time is brought up to what is promised.
    talk.wait_ms(30_000).client("A", 1007, 5001, "ghi");
    let given_up_ms = 30_006 - PCAP_LATENESS_NS / 1_000_000;
    assert_eq!(
        middle(&talk),
        [format!("1: > 1004 def @{given_up_ms}"), "1: > 1007 ghi @30006".to_owned()]
    );
}

#[test]
fn what_is_there_is_not_given_up_as_missing() {
    // Sent again long after it was acknowledged, it waits for what it acknowledges itself.
    let mut talk = Talk::open();
    talk.server("A", 5001, 1004, "").wait_ms(20);
    talk.client("A", 1001, 5007, "ask").server("A", 5001, 1004, "answer");
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.holes, counters.bytes.late, counters.bytes.delivered), (0, 0, 9));
}

#[test]
fn an_answer_to_missed_bytes_comes_alone() {
    let mut talk = Talk::open();
    talk.server("A", 5001, 1100, "answer").wait_ms(50).client("A", 1100, 5007, "next");
    assert_eq!(middle(&talk), ["1: < 5001 answer @4", "1: > 1100 next @55"]);
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.holes, counters.missing_bytes), (1, 99));
}

#[test]
fn one_direction_alone_is_told_too() {
    let mut talk = Talk::new();
    talk.server("A", 5001, 1100, "one")
        .server("A", 5004, 1200, "two")
        .server("A", 5007, 1300, "three");
    let (lines, counters) = tell(&talk.pcap());
    assert_eq!(
        lines,
        [
            "1: open 10.0.0.2:80 10.0.0.1:4000 Unknown mid-stream @1",
            "1: > 5001 one @1",
            "1: > 5004 two @2",
            "1: > 5007 three @3",
            "1: out of sight @3",
        ]
    );
    assert_eq!(counters.missing_bytes, 200);
}

#[test]
fn bytes_cut_off_by_the_capture_keep_their_length() {
    let mut talk = Talk::open();
    talk.client("A", 1001, 5001, "abcdef")
        .client("A", 1003, 5001, "CDEFgh")
        .client("A", 1005, 5001, "EFGHij");
    talk.packets[3].frame.truncate(14 + 20 + 32 + 4);
    talk.packets[4].frame.truncate(14 + 20 + 32 + 5);
    talk.packets[5].frame.truncate(14 + 20 + 32 + 3);
    assert_eq!(middle(&talk), ["1: > 1001 abcd…6 @4", "1: > 1007 g…2 @5", "1: > 1009 …2 @6"]);
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.truncated, counters.bytes.delivered), (3, 10));
}

#[test]
fn a_connection_holds_only_so_much() {
    let chunk = "x".repeat(60_000);
    let mut talk = Talk::open();
    let fit = HELD_MAX / (60_000 + HELD_OVERHEAD);
    for number in 0..fit as u32 {
        talk.client("A", 1002 + 60_000 * number, 5001, &chunk);
    }
    assert_eq!(before_end(&talk.pcap()), [OPEN]);
    // One more, and nothing waits any longer.
    talk.client("A", 1002 + 60_000 * fit as u32, 5001, &chunk);
    assert_eq!(before_end(&talk.pcap()).len(), 1 + fit + 1);
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.holes, counters.missing_bytes), (1, 1));
    assert_eq!(counters.out_of_order, fit as u64 + 1);
}

#[test]
fn all_connections_together_hold_only_so_much() {
    let chunk = "x".repeat(60_000);
    let mut talk = Talk::open();
    let fit = HELD_TOTAL_MAX / (60_000 + HELD_OVERHEAD);
    let each = fit as u32 / 10;
    for number in 0..fit as u32 {
        if number % each == 0 {
            talk.client.set_port(10_000 + (number / each) as u16);
            talk.client("A", 0, 1, "first");
        }
        talk.client("A", 6 + 60_000 * (number % each), 1, &chunk);
    }
    let waiting = before_end(&talk.pcap());
    assert_eq!(waiting.len(), 1 + 11 * 2, "opened, and their first bytes");
    talk.client("A", 6 + 60_000 * each, 1, &chunk);
    let lines = before_end(&talk.pcap());
    assert_eq!(lines.len(), waiting.len() + each as usize, "the one that waited longest");
    assert!(lines[waiting.len()..].iter().all(|line| line.starts_with("2: > ")));
}

#[test]
fn the_clock_may_be_set_back() {
    let mut talk = Talk::open();
    talk.wait_ms(5_000).client("A", 1001, 5001, "abc").client("A", 1005, 5001, "ef");
    talk.time_ns -= 4_000_000_000;
    talk.client("A", 1007, 5001, "gh");
    assert_eq!(middle(&talk), ["1: > 1001 abc @5004", "1: > 1005 ef @5005", "1: > 1007 gh @1006"]);
    assert_eq!(tell(&talk.pcap()).1.clock_set_back, 1);
    // A little disorder is none.
    let mut talk = Talk::open();
    talk.wait_ms(500).client("A", 1001, 5001, "abc");
    talk.time_ns -= 400_000_000;
    talk.client("A", 1004, 5001, "def");
    assert_eq!(middle(&talk), ["1: > 1001 abc @504", "1: > 1004 def @504"]);
    assert_eq!(tell(&talk.pcap()).1.clock_set_back, 0);
}
