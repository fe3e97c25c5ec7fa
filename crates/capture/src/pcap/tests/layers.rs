//! From the link layer to the transport.

use std::net::IpAddr;

use super::build::{
    Captured, ETHERNET, TCP, UDP, ethernet, ethertype, ip, ip4_fragment, ip6, pcap, tcp, udp,
};
use super::tell;
use crate::pcap::fragments::PENDING_MAX;

const IPV4: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const IPV6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

fn addresses(text: [&str; 2]) -> (IpAddr, IpAddr) {
    (text[0].parse().unwrap(), text[1].parse().unwrap())
}

/// A datagram that says `text`.
fn datagram(between: [&str; 2], text: &str) -> Vec<u8> {
    let (source, destination) = addresses(between);
    ip(source, destination, UDP, &udp((53, 99), text.as_bytes()))
}

/// What is told of one frame.
fn told(link_type: u32, frame: Vec<u8>) -> Vec<String> {
    tell(&pcap(link_type, &[Captured::new(0, frame)])).0
}

#[test]
fn every_link_type_in_both_ip_versions() {
    for (between, said) in [
        (IPV4, "10.0.0.1:53 10.0.0.2:99 hello @0"),
        (IPV6, "[2001:db8::1]:53 [2001:db8::2]:99 hello @0"),
    ] {
        let packet = datagram(between, "hello");
        let kind = ethertype(&packet);
        let with = |header: &[u8]| [header, &packet].concat();
        let families: &[u8] = if between == IPV4 { &[2] } else { &[10, 24, 28, 30] };
        for family in families {
            assert_eq!(told(0, with(&[*family, 0, 0, 0])), [said], "NULL, little-endian");
            assert_eq!(told(0, with(&[0, 0, 0, *family])), [said], "NULL, big-endian");
            assert_eq!(told(108, with(&[0, 0, 0, *family])), [said], "LOOP");
        }
        let [high, low] = kind;
        let cooked = [0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, high, low];
        assert_eq!(told(113, with(&cooked)), [said], "cooked");
        let cooked2 = [high, low, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0];
        assert_eq!(told(276, with(&cooked2)), [said], "cooked, second version");
        assert_eq!(told(ETHERNET, ethernet(&packet)), [said], "Ethernet");
        for tags in [
            &[0x81, 0, 0, 7][..],
            &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8],
            &[0x91, 0, 0, 7, 0x81, 0, 0, 8, 0x81, 0, 0, 9],
        ] {
            let frame = [&[2; 12], tags, &kind, &packet].concat();
            assert_eq!(told(ETHERNET, frame), [said], "{tags:?}");
        }
        for raw in [101, 12, 14, if between == IPV4 { 228 } else { 229 }] {
            assert_eq!(told(raw, packet.clone()), [said], "raw {raw}");
        }
    }
}

#[test]
fn addresses_mapped_into_ipv6_are_ipv4() {
    let packet = datagram(["::ffff:10.0.0.1", "::ffff:10.0.0.2"], "hello");
    assert_eq!(told(101, packet), ["10.0.0.1:53 10.0.0.2:99 hello @0"]);
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    let mut packet = datagram(IPV4, "hello");
    packet[0] = 0x47;
    packet[3] += 8;
    packet.splice(20..20, [1; 8]);
    assert_eq!(told(101, packet), ["10.0.0.1:53 10.0.0.2:99 hello @0"]);

    let (source, destination) = addresses(IPV6);
    let mut chain = Vec::new();
    // Hop by hop, destination options of sixteen bytes, routing, authentication, an only fragment.
    chain.extend([60, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([51, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([UDP, 0, 0, 0, 0, 0, 0, 9]);
    chain.extend(udp((53, 99), b"hello"));
    let said = "[2001:db8::1]:53 [2001:db8::2]:99 hello @0";
    assert_eq!(told(101, ip6(source, destination, 0, &chain)), [said]);
}

#[test]
fn padding_is_no_payload_and_an_offloaded_length_is_the_frame_s() {
    let mut frame = ethernet(&datagram(IPV4, "hi"));
    frame.resize(60, 0);
    assert_eq!(told(ETHERNET, frame), ["10.0.0.1:53 10.0.0.2:99 hi @0"]);

    let (source, destination) = addresses(IPV4);
    let packet = tcp((1, 2), "A", 1, 1, b"hello");
    let mut frame = ethernet(&ip(source, destination, TCP, &packet));
    frame[16..18].fill(0);
    assert_eq!(told(ETHERNET, frame)[1], "1: > 1 hello @0");
    let (source, destination) = addresses(IPV6);
    let mut frame = ethernet(&ip(source, destination, TCP, &packet));
    frame[18..20].fill(0);
    assert_eq!(told(ETHERNET, frame)[1], "1: > 1 hello @0");
    let mut packet = datagram(IPV4, "hello");
    packet[24..26].fill(0);
    assert_eq!(told(101, packet), ["10.0.0.1:53 10.0.0.2:99 hello @0"]);
}

#[test]
fn what_is_not_read_is_counted_by_why() {
    let (source, destination) = addresses(IPV4);
    let whole = ethernet(&ip(source, destination, TCP, &tcp((1, 2), "A", 1, 1, b"")));
    let changed = |at: usize, to: u8| {
        let mut frame = whole.clone();
        frame[at] = to;
        Captured::new(0, frame)
    };
    let cut = |length| Captured { frame: whole[..length].to_vec(), ..changed(0, 2) };
    let short = |length| Captured::new(0, whole[..length].to_vec());
    let (told, counters) = tell(&pcap(
        ETHERNET,
        &[
            // ARP, and an 802.3 length instead of a type.
            changed(13, 6),
            changed(12, 0),
            // ICMP.
            changed(23, 1),
            // Cut by the capture: in the Ethernet, IP and TCP header.
            cut(13),
            cut(33),
            cut(53),
            // Too short, IP version and header length, TCP header length below and beyond.
            short(13),
            changed(14, 0x55),
            changed(14, 0x44),
            changed(46, 4 << 4),
            changed(46, 15 << 4),
        ],
    ));
    assert_eq!(told, [""; 0]);
    assert_eq!(
        (counters.not_ip, counters.other_transport, counters.cut_headers, counters.malformed),
        (2, 1, 3, 5)
    );
    assert_eq!(counters.truncated, 3);
}

/// `whole` in pieces of `size` bytes, as fragments of one packet.
fn fragments4(identification: u16, whole: &[u8], size: usize) -> Vec<Captured> {
    let (source, destination) = addresses(IPV4);
    let pieces = whole.chunks(size).enumerate().map(|(number, piece)| {
        let (offset, more) = (number * size, (number + 1) * size < whole.len());
        ip4_fragment(source, destination, UDP, identification, (offset, more), piece)
    });
    pieces.map(|packet| Captured::new(0, packet)).collect()
}

#[test]
fn fragments_become_whole_in_any_order() {
    let whole = udp((53, 99), b"hello fragments, how do you do");
    let said = "10.0.0.1:53 10.0.0.2:99 hello fragments, how do you do @0";
    let mut packets = fragments4(7, &whole, 8);
    let count = packets.len() as u64;
    for _ in 0..packets.len() {
        packets.rotate_left(1);
        let (told, counters) = tell(&pcap(101, &packets));
        assert_eq!(told, [said]);
        assert_eq!((counters.fragments, counters.fragments_lost), (count, 0));
        assert_eq!((counters.reassembled, counters.datagrams), (1, 1));
    }
    packets.reverse();
    packets.insert(2, packets[1].clone());
    assert_eq!(tell(&pcap(101, &packets)).0, [said], "one of them twice");
    packets.pop();
    let (told, counters) = tell(&pcap(101, &packets));
    assert_eq!(told, [""; 0]);
    assert_eq!(counters.fragments_lost, counters.fragments);
}

#[test]
fn ipv6_fragments_become_whole_with_headers_inside() {
    let (source, destination) = addresses(IPV6);
    let mut whole = vec![UDP, 0, 0, 0, 0, 0, 0, 0];
    whole.extend(udp((53, 99), b"hello fragments"));
    let fragment = |offset: usize, more: bool, piece: &[u8]| {
        let [high, low] = (offset as u16 | u16::from(more)).to_be_bytes();
        let header = [60, 0, high, low, 1, 2, 3, 4];
        Captured::new(0, ip6(source, destination, 44, &[&header, piece].concat()))
    };
    let packets = [fragment(16, false, &whole[16..]), fragment(0, true, &whole[..16])];
    assert_eq!(
        tell(&pcap(101, &packets)).0,
        ["[2001:db8::1]:53 [2001:db8::2]:99 hello fragments @0"]
    );
}

#[test]
fn fragments_that_contradict_each_other_are_lost() {
    let whole = udp((53, 99), b"hello fragments, how do you do");
    let (source, destination) = addresses(IPV4);
    let one = |offset, more, piece: &[u8]| {
        Captured::new(0, ip4_fragment(source, destination, UDP, 7, (offset, more), piece))
    };
    for packets in [
        // Overlap; bytes behind the end; two ends; an end before what came; beyond any length.
        vec![one(0, true, &whole[..16]), one(8, true, &whole[8..24])],
        vec![one(32, false, &whole[32..]), one(40, true, &whole[..8])],
        vec![one(32, false, &whole[32..]), one(24, false, &whole[24..32])],
        vec![one(16, true, &whole[16..24]), one(8, false, &whole[8..16])],
        vec![one(65_528, false, &whole[..16])],
        vec![one(8, true, b"")],
    ] {
        let (told, counters) = tell(&pcap(101, &packets));
        assert_eq!(told, [""; 0]);
        assert_eq!(counters.fragments_lost, packets.len() as u64);
    }
}

#[test]
fn a_cut_fragment_cuts_the_whole() {
    let whole = udp((53, 99), b"hello fragments, how do you do");
    let mut packets = fragments4(7, &whole, 16);
    packets[1].frame.truncate(20 + 4);
    assert_eq!(tell(&pcap(101, &packets)).0, ["10.0.0.1:53 10.0.0.2:99 hello fragme…30 @0"]);
}

#[test]
fn fragments_wait_for_a_limited_time_and_number() {
    let whole = udp((53, 99), b"hello fragments, how do you do");
    let mut packets = fragments4(7, &whole, 24);
    packets[1].time_ns = 30_000_000_000;
    assert_eq!(tell(&pcap(101, &packets)).0.len(), 1);
    packets[1].time_ns += 1_000_000;
    assert_eq!(tell(&pcap(101, &packets)).1.fragments_lost, 2);

    let [first, last] = &fragments4(0, &whole, 24)[..] else { panic!("two") };
    let numbered = |number: u16, packet: &Captured| {
        let mut packet = packet.clone();
        packet.frame[4..6].copy_from_slice(&number.to_be_bytes());
        packet.time_ns = u64::from(number) * 1_000;
        packet
    };
    let pending = PENDING_MAX as u16;
    let mut packets: Vec<_> = (0..pending).map(|number| numbered(number, first)).collect();
    packets.push(Captured { time_ns: 1_000_000, ..numbered(0, last) });
    assert_eq!(tell(&pcap(101, &packets)).0.len(), 1);
    packets.insert(pending.into(), numbered(pending, first));
    let (told, counters) = tell(&pcap(101, &packets));
    assert_eq!(told, [""; 0], "the oldest made room");
    assert_eq!(counters.fragments_lost, u64::from(pending) + 2);
}
