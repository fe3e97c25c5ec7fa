//! The file formats, byte by byte.

use super::build::{Bytes, Captured, ETHERNET, Talk, UDP, ethernet, ip, pcap, udp};
use super::{read, tell};
use crate::pcap::{PcapError, PcapReader, is_pcap};

/// A datagram whose payload is `text`, in an Ethernet frame.
fn frame(text: &str) -> Vec<u8> {
    let (source, destination) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    ethernet(&ip(source, destination, UDP, &udp((53, 53), text.as_bytes())))
}

/// Its line, at this time.
fn said(text: &str, ms: &str) -> String {
    format!("10.0.0.1:53 10.0.0.2:53 {text} @{ms}")
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for big in [false, true] {
        for (magic, extra, fraction, ms) in [
            (0xa1b2_c3d4, 0, 1_500, "2001.5"),
            (0xa1b2_3c4d, 0, 1_500, "2000.0015"),
            (0xa1b2_cd34, 8, 1_500, "2001.5"),
        ] {
            let frame = frame("hello");
            let length = frame.len() as u32;
            let header = Bytes::new(big).u32(magic).u16(2).u16(4).u64(0).u32(65_535).u32(1);
            let packet = header.u32(2).u32(fraction).u32(length).u32(length);
            let file = packet.bytes(&vec![0; extra]).bytes(&frame).out;
            assert!(is_pcap(&file));
            assert_eq!(tell(&file).0, [said("hello", ms)], "{magic:x} {big}");
        }
    }
}

#[test]
fn pcap_link_type_without_its_neighbours() {
    let mut file = pcap(ETHERNET, &[Captured::new(1_000_000, frame("hello"))]);
    // A frame check sequence of four bytes is announced in the same word.
    file[23] = 0x24;
    assert_eq!(tell(&file).0, [said("hello", "1")]);
}

#[test]
fn pcapng_blocks() {
    for big in [false, true] {
        let none = Bytes::new(big);
        let simple = Bytes::new(big).u32(frame("simple").len() as u32).padded(&frame("simple"));
        let obsolete = Bytes::new(big)
            .u16(0)
            .u16(9)
            .u32(0)
            .u32(4_000)
            .u32(frame("obsolete").len() as u32)
            .u32(frame("obsolete").len() as u32)
            .padded(&frame("obsolete"));
        let file = Bytes::new(big)
            .section()
            .block(0x0bad_cafe, Bytes::new(big).padded(b"whatever else"))
            .interface(1, 0, none.clone())
            .enhanced(0, 3_000, &frame("enhanced"))
            .block(3, simple)
            .block(2, obsolete)
            .block(4, none.clone())
            // Another section, in the other byte order, with interfaces of its own.
            .bytes(&Bytes::new(!big).section().out)
            .bytes(&Bytes::new(!big).interface(101, 0, Bytes::new(!big)).out)
            .bytes(&Bytes::new(!big).enhanced(0, 5_000, &frame("raw")[14..]).out)
            .out;
        assert!(is_pcap(&file));
        let (told, counters) = tell(&file);
        assert_eq!(
            told,
            [
                said("enhanced", "3"),
                // Its block has no time: the last one's is the best that is known.
                said("simple", "3"),
                said("obsolete", "4"),
                said("raw", "5"),
            ]
        );
        assert_eq!(counters.blocks_skipped, 2);
    }
}

#[test]
fn pcapng_times_by_interface() {
    for big in [false, true] {
        let option = |code: u16, value: &[u8]| {
            Bytes::new(big).u16(code).u16(value.len() as u16).padded(value)
        };
        let offset = |seconds: i64| {
            let value = Bytes::new(big).u64(seconds.cast_unsigned()).out;
            option(9, &[3]).bytes(&option(14, &value).out)
        };
        let file = Bytes::new(big)
            .section()
            .interface(1, 0, option(2, b"eth0").bytes(&option(9, &[9]).out).u32(0))
            .interface(1, 0, option(9, &[0x80 | 10]))
            .interface(1, 0, offset(2))
            .interface(1, 0, offset(-1))
            .interface(1, 0, option(9, &[12]))
            .interface(1, 0, option(9, &[0x7f]))
            // What follows the end of options is none.
            .interface(1, 0, Bytes::new(big).u32(0).bytes(&option(9, &[9]).out))
            .enhanced(0, 1_234_567, &frame("ns"))
            .enhanced(1, 1_024 + 512, &frame("binary"))
            .enhanced(2, 1, &frame("later"))
            .enhanced(3, 1_007, &frame("earlier"))
            .enhanced(4, 7_000_000_000, &frame("ps"))
            .enhanced(5, u64::MAX, &frame("never"))
            .enhanced(6, 7_000, &frame("us"))
            .out;
        assert_eq!(
            tell(&file).0,
            [
                said("ns", "1.234567"),
                said("binary", "1500"),
                said("later", "2001"),
                said("earlier", "7"),
                said("ps", "7"),
                said("never", "0"),
                said("us", "7"),
            ]
        );
    }
}

#[test]
fn simple_packets_are_as_long_as_the_interface_allows() {
    let whole = frame("hello");
    let cut = &whole[..whole.len() - 2];
    let body = Bytes::new(false).u32(whole.len() as u32).padded(cut);
    let snap_length = cut.len() as u32;
    let file =
        Bytes::new(false).section().interface(1, snap_length, Bytes::new(false)).block(3, body).out;
    assert_eq!(tell(&file).0, [said("hel…5", "0")]);
}

#[test]
fn other_files_are_refused_with_a_remedy() {
    for (file, remedy) in [
        (&b""[..], "give a .pcap"),
        (b"\xd4\xc3", "give a .pcap"),
        (b"ALAZREC\n1234", "give a .pcap"),
        (b"\x1f\x8b\x08\x00 packed", "gunzip"),
    ] {
        let error = PcapReader::new(file).err().unwrap().to_string();
        assert!(error.contains(remedy), "{error}");
    }
    assert!(!is_pcap(b"ALAZREC\n"));
    assert!(!is_pcap(b"\xd4\xc3"));
    assert!(is_pcap(b"\x1f\x8b\x08\x00"), "to be told what to do with it");
}

#[test]
fn other_versions_are_refused() {
    let mut file = pcap(ETHERNET, &[]);
    file[4] = 3;
    assert!(matches!(read(&file).2, Err(PcapError::Version { found: 3 })));
    let mut file = Bytes::new(false).section().out;
    file[12] = 2;
    assert!(matches!(read(&file).2, Err(PcapError::Version { found: 2 })));
}

#[test]
fn unread_link_layers_are_named_where_nothing_else_is_there() {
    let file = pcap(147, &[Captured::new(0, frame("hello"))]);
    assert!(matches!(read(&file).2, Err(PcapError::LinkType { link_type: 147 })));
    let none = Bytes::new(false);
    let file = Bytes::new(false)
        .section()
        .interface(147, 0, none.clone())
        .interface(1, 0, none)
        .enhanced(0, 0, &frame("unread"))
        .enhanced(1, 0, &frame("read"))
        .out;
    let (told, counters) = tell(&file);
    assert_eq!(told, [said("read", "0")]);
    assert_eq!(counters.unknown_link, 1);
}

#[test]
fn a_file_cut_off_says_where_and_gives_what_is_before() {
    let mut talk = Talk::open();
    talk.client("A", 1001, 5001, "ask").server("A", 5001, 1004, "answer");
    let mut ng = Bytes::new(false).section().interface(1, 0, Bytes::new(false));
    for packet in &talk.packets {
        ng = ng.enhanced(0, packet.time_ns / 1_000, &packet.frame);
    }
    for file in [talk.pcap(), ng.out] {
        let mut seen = Vec::new();
        for length in 4..file.len() {
            let (told, counters, result) = read(&file[..length]);
            if let Err(error) = result {
                let PcapError::CutOff { whole } = error else { panic!("{error}") };
                assert!(error.to_string().contains(&format!("--size={whole} ")));
                assert!(whole < length as u64);
                // Cut there, it reads the same.
                if whole > 0 {
                    let (again, the_same, result) = read(&file[..whole as usize]);
                    result.unwrap();
                    assert_eq!((again, the_same), (told, counters));
                }
            }
            seen.push(counters.packets);
        }
        seen.dedup();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn damage_is_named_with_its_place() {
    let none = || Bytes::new(false);
    let start = none().section().interface(1, 0, none());
    let at = start.out.len() as u64;
    let short = none().u32(0).u32(0).u32(0).u32(100).u32(100).padded(b"short");
    for (file, what) in [
        (start.clone().u32(6).u32(13).u32(0), "a block of 13 bytes"),
        (start.clone().u32(6).u32(8).u32(0), "a block of 8 bytes"),
        (start.clone().u32(7).u32(16).u32(0).u32(20), "16 bytes by its front and 20 by its end"),
        (start.clone().u32(6).u32(1 << 30).u32(0), "a packet of 1073741812 bytes"),
        (start.clone().enhanced(1, 0, b""), "a packet of interface 1"),
        (start.clone().block(6, short), "a packet of 100 bytes in a shorter block"),
        (start.clone().block(6, none().u32(0)), "too short"),
        (start.clone().block(3, none()), "too short"),
        (start.clone().block(1, none().u32(1)), "too short"),
        (start.clone().section().enhanced(0, 0, b""), "interface 0"),
        (start.clone().block(0x0a0d_0d0a, none().u32(77)), "without byte order"),
        (start.clone().block(0x0a0d_0d0a, none().u32(0x1a2b_3c4d)), "too short"),
    ] {
        match read(&file.out).2 {
            Err(PcapError::Damaged { at: place, what: named }) => {
                assert!(named.contains(what), "{named}");
                assert!(place >= at);
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let mut file = pcap(ETHERNET, &[Captured::new(0, frame("a")), Captured::new(0, frame("b"))]);
    let second = 24 + 16 + frame("a").len();
    file[second + 11] = 0x7f;
    let (told, _, result) = read(&file);
    assert_eq!(told.len(), 1);
    let Err(PcapError::Damaged { at, .. }) = result else { panic!("{result:?}") };
    assert_eq!(at, second as u64);
}

#[test]
fn interfaces_are_limited() {
    let mut file = Bytes::new(false).section();
    for _ in 0..65_536 {
        file = file.interface(1, 0, Bytes::new(false));
    }
    tell(&file.clone().enhanced(65_535, 0, &frame("last")).out);
    let result = read(&file.interface(1, 0, Bytes::new(false)).out).2;
    assert!(matches!(result, Err(PcapError::Damaged { .. })));
}
