//! Connections: who opened them, which packets are theirs, how they end.

use super::build::Talk;
use super::{before_end, tell};
use crate::pcap::connections::CONNECTIONS_MAX;

const OPEN: &str = "1: open 10.0.0.1:4000 10.0.0.2:80 Client @1";

fn lines(talk: &Talk) -> Vec<String> {
    tell(&talk.pcap()).0
}

#[test]
fn finished_by_both_sides() {
    let mut talk = Talk::open();
    talk.client("AF", 1001, 5001, "bye")
        .server("A", 5001, 1005, "")
        .server("AF", 5001, 1005, "too")
        .client("A", 1005, 5005, "");
    assert_eq!(lines(&talk), [OPEN, "1: > 1001 bye @4", "1: < 5001 too @6", "1: Finished @6"]);
    // What comes again later is nothing new.
    talk.server("AF", 5001, 1005, "too").client("A", 1005, 5005, "more");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(told.len(), 4);
    assert_eq!((counters.bytes.duplicate, counters.bytes.after_close), (3, 4));
}

#[test]
fn finished_only_when_all_bytes_before_have_come() {
    let mut talk = Talk::open();
    talk.client("AF", 1004, 5001, "").server("AF", 5001, 1001, "").client("A", 1001, 5002, "abc");
    assert_eq!(lines(&talk), [OPEN, "1: > 1001 abc @6", "1: Finished @6"]);
    // Or when the peer has acknowledged them.
    let mut talk = Talk::open();
    talk.client("AF", 1004, 5001, "").server("AF", 5001, 1005, "");
    assert_eq!(lines(&talk), [OPEN, "1: Finished @5"]);
}

#[test]
fn bytes_after_a_fin_are_no_bytes() {
    let mut talk = Talk::open();
    talk.client("AF", 1001, 5001, "abc").client("A", 1002, 5001, "bcde");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(told, [OPEN, "1: > 1001 abc @4", "1: Finished @5"], "one side has, at the end");
    assert_eq!((counters.bytes.duplicate, counters.bytes.after_close), (2, 2));
}

#[test]
fn bytes_held_from_after_a_fin_are_none_either() {
    let mut talk = Talk::open();
    talk.client("A", 1003, 5001, "cd")
        .client("A", 1005, 5001, "efg")
        .client("A", 1010, 5001, "x")
        .client("AF", 1006, 5001, "")
        .server("AF", 5001, 1001, "")
        .client("A", 1001, 5002, "ab")
        .client("A", 1005, 5002, "e");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(
        told,
        [OPEN, "1: > 1001 ab @9", "1: > 1003 cd @9", "1: > 1005 e @10", "1: Finished @10"]
    );
    assert_eq!(counters.bytes.after_close, 4);
}

#[test]
fn reset_by_either_side() {
    for from_client in [true, false] {
        let mut talk = Talk::open();
        talk.client("A", 1001, 5001, "ask");
        match from_client {
            true => talk.client("R", 1004, 0, ""),
            false => talk.server("RA", 5001, 1004, ""),
        };
        assert_eq!(lines(&talk), [OPEN, "1: > 1001 ask @4", "1: Reset @5"]);
    }
}

#[test]
fn a_reset_from_elsewhere_is_none() {
    let mut talk = Talk::open();
    talk.server("R", 5001 + (1 << 30), 0, "").server("R", 5001_u32.wrapping_sub(1 << 30), 0, "");
    assert_eq!(lines(&talk), [OPEN, "1: out of sight @5"]);
    // What is waited for comes before the end.
    let mut talk = Talk::open();
    talk.client("A", 1004, 5001, "def").server("RA", 5001, 1001, "why");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(told, [OPEN, "1: > 1004 def @4", "1: Reset @5"]);
    assert_eq!(counters.bytes.after_close, 3, "a reset's payload is of no stream");
}

#[test]
fn refused() {
    let mut talk = Talk::new();
    talk.client("S", 1000, 0, "").server("RA", 0, 1001, "");
    assert_eq!(lines(&talk), [OPEN, "1: Refused @2"]);
    // The same once more, and accepted.
    talk.wait_ms(500)
        .client("S", 1000, 0, "")
        .server("SA", 5000, 1001, "")
        .client("A", 1001, 5001, "x");
    assert_eq!(
        lines(&talk)[2..],
        [
            "2: open 10.0.0.1:4000 10.0.0.2:80 Client @503",
            "2: > 1001 x @505",
            "2: out of sight @505"
        ]
    );
    // Of another try.
    let mut talk = Talk::new();
    talk.client("S", 1000, 0, "").server("RA", 0, 900, "");
    assert_eq!(lines(&talk), [OPEN, "1: out of sight @2"]);
}

#[test]
fn copies_of_the_opening_open_once() {
    let mut talk = Talk::new();
    talk.client("S", 1000, 0, "")
        .client("S", 1000, 0, "")
        .server("SA", 5000, 1001, "")
        .server("SA", 5000, 1001, "")
        .client("A", 1001, 5001, "x");
    assert_eq!(lines(&talk), [OPEN, "1: > 1001 x @5", "1: out of sight @5"]);
}

#[test]
fn a_syn_may_carry_bytes() {
    let mut talk = Talk::new();
    talk.client("S", 1000, 0, "ask").server("SA", 5000, 1004, "").server("A", 5001, 1004, "answer");
    assert_eq!(
        lines(&talk),
        [OPEN, "1: > 1001 ask @1", "1: < 5001 answer @3", "1: out of sight @3"]
    );
}

#[test]
fn both_sides_may_open_at_once() {
    let mut talk = Talk::new();
    talk.client("S", 1000, 0, "").server("S", 5000, 0, "").server("SA", 5000, 1001, "");
    talk.client("SA", 1000, 5001, "").client("A", 1001, 5001, "x").server("A", 5001, 1002, "y");
    assert_eq!(lines(&talk)[..3], [OPEN, "1: > 1001 x @5", "1: < 5001 y @6"]);
}

#[test]
fn the_answer_to_a_syn_tells_the_roles_too() {
    let mut talk = Talk::new();
    talk.server("SA", 5000, 1001, "").client("A", 1001, 5001, "x");
    assert_eq!(lines(&talk), [OPEN, "1: > 1001 x @2", "1: out of sight @2"]);
}

#[test]
fn joined_in_the_middle_nothing_is_known_of_roles() {
    let mut talk = Talk::new();
    talk.client("A", 1001, 5001, "")
        .server("A", 5001, 1001, "answer")
        .client("A", 1001, 5007, "ask");
    // From before what was acknowledged first: nobody knows what it was answered with.
    talk.client("A", 901, 5001, "old");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(
        told,
        [
            "1: open 10.0.0.2:80 10.0.0.1:4000 Unknown mid-stream @2",
            "1: > 5001 answer @2",
            "1: < 1001 ask @3",
            "1: out of sight @4",
        ]
    );
    assert_eq!(counters.bytes.late, 3);
}

#[test]
fn packets_without_bytes_show_no_connection() {
    let mut talk = Talk::new();
    talk.client("A", 1, 1, "").server("AF", 1, 1, "").client("R", 1, 1, "").client("R", 1, 1, "no");
    let (told, counters) = tell(&talk.pcap());
    assert_eq!(told, [""; 0]);
    assert_eq!((counters.connections, counters.bytes.after_close), (0, 2));
}

#[test]
fn the_same_addresses_again_are_another_connection() {
    // By a SYN, whether or not the end of the first one was seen.
    for ending in ["A", "R"] {
        let mut talk = Talk::open();
        talk.client(ending, 1001, 5001, "").client("S", 900, 0, "");
        let told = lines(&talk);
        assert!(told[1].starts_with("1: "), "{told:?}");
        assert_eq!(told[2], "2: open 10.0.0.1:4000 10.0.0.2:80 Client @5");
    }
    // Opened from the other end.
    let mut talk = Talk::open();
    talk.server("S", 7000, 0, "");
    assert_eq!(
        lines(&talk)[1..3],
        ["1: out of sight @4", "2: open 10.0.0.2:80 10.0.0.1:4000 Client @4"]
    );
    // By an answer to a SYN that was not seen.
    let mut talk = Talk::open();
    talk.server("SA", 9000, 1_000_000, "");
    assert_eq!(lines(&talk)[2], "2: open 10.0.0.1:4000 10.0.0.2:80 Client @4");
    // By bytes from far behind.
    let mut talk = Talk::open();
    talk.client("A", 1001_u32.wrapping_sub(65 << 20), 5001, "old");
    assert_eq!(lines(&talk)[2], "2: open 10.0.0.1:4000 10.0.0.2:80 Unknown mid-stream @4");
    // Long after the end.
    let mut talk = Talk::open();
    talk.client("R", 1001, 5001, "").wait_ms(61_000).client("A", 1001, 5001, "new");
    assert_eq!(lines(&talk)[2], "2: open 10.0.0.1:4000 10.0.0.2:80 Unknown mid-stream @61005");
}

#[test]
fn after_a_long_silence_only_what_goes_on_exactly_is_the_same() {
    let mut talk = Talk::open();
    talk.wait_ms(3_700_000).client("A", 1001, 5001, "abc");
    assert_eq!(lines(&talk)[1], "1: > 1001 abc @3700004");
    talk.wait_ms(3_700_000).client("A", 1005, 5001, "abc");
    assert_eq!(lines(&talk)[3], "2: open 10.0.0.1:4000 10.0.0.2:80 Unknown mid-stream @7400005");
}

#[test]
fn damaged_acknowledgements_mislead_nobody() {
    let mut talk = Talk::open();
    talk.client("A", 1001, 5001, "ask").server("A", 5001, 1004 + (1 << 30), "answer");
    talk.client("A", 1004, 5007, "ask").wait_ms(50).client("A", 1007, 5007, "ask");
    let (_, counters) = tell(&talk.pcap());
    assert_eq!((counters.holes, counters.bytes.delivered), (0, 15));
}

#[test]
fn the_table_forgets_the_closed_first_and_then_the_oldest() {
    let mut talk = Talk::new();
    let count = CONNECTIONS_MAX as u32;
    for number in 0..count {
        talk.client = ([10, 1, (number >> 8) as u8, number as u8], 4000).into();
        talk.client("S", 1000, 0, "");
    }
    // One more: the oldest has to go.
    talk.client = ([10, 2, 0, 0], 4000).into();
    talk.client("S", 1000, 0, "");
    let told = before_end(&talk.pcap());
    assert_eq!(told.len(), CONNECTIONS_MAX + 2);
    assert!(told[CONNECTIONS_MAX].starts_with("1: out of sight"), "{}", told[CONNECTIONS_MAX]);
    assert_eq!(tell(&talk.pcap()).1.connections_evicted, 1);
    // With one closed, that goes instead.
    talk.packets.pop();
    talk.client = ([10, 1, 0, 7], 4000).into();
    talk.server("RA", 0, 1001, "");
    talk.client = ([10, 2, 0, 0], 4000).into();
    talk.client("S", 1000, 0, "");
    let (told, counters) = tell(&talk.pcap());
    assert!(told[CONNECTIONS_MAX].starts_with("8: Refused"));
    assert_eq!((counters.connections_evicted, counters.connections), (0, u64::from(count) + 1));
    // Each ends once.
    assert_eq!(told.len(), 2 * (CONNECTIONS_MAX + 1));
}
