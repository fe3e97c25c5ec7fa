//! The records of `bpf/abi.h`, and the way from their bytes to events.
//!
//! The structures mirror the header; a test compares every size and offset with the type
//! information that clang wrote into the compiled object.

mod encode;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use alaz_model::{
    Close, CloseReason, Connection, ConnectionKey, Datagram, Direction, Event, Measures, OptedOut,
    Position, ProcessExec, ProcessExit, ProcessFork, Refused, Role, Segment, Source,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use encode::encode;

/// Version of the layouts; recordings carry it.
pub(crate) const ABI_VERSION: u32 = 5;

const RECORD_OPEN: u32 = 1;
const RECORD_SEGMENT: u32 = 2;
const RECORD_CLOSE: u32 = 3;
const RECORD_EXEC: u32 = 4;
const RECORD_EXIT: u32 = 5;
const RECORD_FORK: u32 = 6;
const RECORD_DATAGRAM: u32 = 7;
const RECORD_MEASURES: u32 = 8;
const RECORD_REFUSED: u32 = 9;
const RECORD_OPTED_OUT: u32 = 10;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// What the programs are told before they run.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Settings {
    pub(crate) own_pid: u32,
    pub(crate) receive_arguments: u32,
}

/// How much is copied of one connection (`bpf/segment.h`).
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Depth {
    pub(crate) generation: u64,
    pub(crate) parts: u32,
    pub(crate) reserved: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Key {
    socket: u64,
    generation: u64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OpenRecord {
    kind: u32,
    role: u8,
    mid_stream: u8,
    family: u16,
    key: Key,
    time: u64,
    send_position: u64,
    receive_position: u64,
    local_address: [u8; 16],
    remote_address: [u8; 16],
    local_port: [u8; 2],
    remote_port: [u8; 2],
    network_namespace: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct SegmentRecord {
    kind: u32,
    length: u32,
    key: Key,
    position: u64,
    time: u64,
    sent: u64,
    pid: u32,
    tid: u32,
    head_length: u16,
    tail_length: u16,
    direction: u8,
    source: u8,
    reserved: [u8; 2],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DatagramRecord {
    kind: u32,
    family: u16,
    reserved: u16,
    local_address: [u8; 16],
    remote_address: [u8; 16],
    local_port: [u8; 2],
    remote_port: [u8; 2],
    network_namespace: u32,
    call: SegmentRecord,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CloseRecord {
    kind: u32,
    error: u32,
    key: Key,
    time: u64,
    send_position: u64,
    receive_position: u64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct MeasuresRecord {
    kind: u32,
    retransmits: u32,
    key: Key,
    time: u64,
    handshake: u64,
    round_trip: u32,
    least_round_trip: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OptedOutRecord {
    kind: u32,
    reserved: u32,
    key: Key,
    time: u64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RefusedRecord {
    kind: u32,
    error: u32,
    time: u64,
    began: u64,
    local_address: [u8; 16],
    remote_address: [u8; 16],
    local_port: [u8; 2],
    remote_port: [u8; 2],
    family: u16,
    reserved: u16,
    network_namespace: u32,
    pid: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ExecRecord {
    kind: u32,
    pid: u32,
    parent: u32,
    filename_length: u16,
    arguments_length: u16,
    time: u64,
    comm: [u8; 16],
    filename: [u8; 128],
    arguments: [u8; 256],
    opted_out: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ForkRecord {
    kind: u32,
    pid: u32,
    parent: u32,
    reserved: u32,
    time: u64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ExitRecord {
    kind: u32,
    pid: u32,
    time: u64,
}

/// Segments and bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Quantity {
    /// I/O calls.
    pub segments: u64,
    /// Bytes that they moved.
    pub bytes: u64,
}

impl Quantity {
    fn add(&mut self, other: Quantity) {
        self.segments += other.segments;
        self.bytes += other.bytes;
    }
}

/// What the kernel side counted since the start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct KernelCounters {
    /// Every socket call of TCP that moved bytes, whatever became of it.
    pub seen: Quantity,
    /// Lost: no room in the ring.
    pub ring_full: Quantity,
    /// Lost: no room in the table of connections.
    pub table_full: Quantity,
    /// Lost: the kernel did not run the hook, or of a call's two hooks only one; or the call moved
    /// more messages (`sendmmsg(2)`) than are looked at. Bytes as far as they are known.
    pub hook_missed: Quantity,
    /// Delivered, but without their bytes: the application's page was not in memory.
    pub unreadable: Quantity,
    /// Records of connections and processes that found no room in the ring.
    pub events_lost: u64,
    /// Every UDP datagram that was sent or received.
    pub datagrams_seen: Quantity,
    /// Of no protocol that is read, by their ports: only counted.
    pub datagrams_passed: Quantity,
    /// Lost: no room in the ring.
    pub datagrams_ring_full: Quantity,
    /// Lost: as `hook_missed`.
    pub datagrams_missed: Quantity,
    /// Delivered, but without their bytes.
    pub datagrams_unreadable: Quantity,
    /// Every call of a TLS library that moved plaintext.
    pub tls_seen: Quantity,
    /// Lost: no room in the ring.
    pub tls_ring_full: Quantity,
    /// Lost: no socket call tells on which connection.
    pub tls_unlinked: Quantity,
    /// Lost: only the end of the call was seen, or the program was preempted in another thread. Bytes
    /// as far as they are known.
    pub tls_missed: Quantity,
    /// Delivered, but without their bytes.
    pub tls_unreadable: Quantity,
    /// Of processes that were opted out, or on connections that such used: only counted.
    pub opted_out: Quantity,
    /// Datagrams of processes that were opted out: only counted.
    pub datagrams_opted_out: Quantity,
}

impl KernelCounters {
    /// Adds another CPU's counters.
    pub(crate) fn add(&mut self, other: &KernelCounters) {
        self.seen.add(other.seen);
        self.ring_full.add(other.ring_full);
        self.table_full.add(other.table_full);
        self.hook_missed.add(other.hook_missed);
        self.unreadable.add(other.unreadable);
        self.events_lost += other.events_lost;
        self.datagrams_seen.add(other.datagrams_seen);
        self.datagrams_passed.add(other.datagrams_passed);
        self.datagrams_ring_full.add(other.datagrams_ring_full);
        self.datagrams_missed.add(other.datagrams_missed);
        self.datagrams_unreadable.add(other.datagrams_unreadable);
        self.tls_seen.add(other.tls_seen);
        self.tls_ring_full.add(other.tls_ring_full);
        self.tls_unlinked.add(other.tls_unlinked);
        self.tls_missed.add(other.tls_missed);
        self.tls_unreadable.add(other.tls_unreadable);
        self.opted_out.add(other.opted_out);
        self.datagrams_opted_out.add(other.datagrams_opted_out);
    }

    /// Adds calls of which nothing is known but that they were not seen.
    pub(crate) fn miss(&mut self, segments: u64) {
        self.seen.segments += segments;
        self.hook_missed.segments += segments;
    }
}

/// Turns one record into an event. `None` when it is none of ours or shorter than it says:
/// possible in a damaged recording only.
#[must_use]
pub fn decode(record: &[u8]) -> Option<Event<'_>> {
    match u32::from_ne_bytes(*record.first_chunk()?) {
        RECORD_SEGMENT => segment(record),
        RECORD_OPEN => open(record),
        RECORD_DATAGRAM => datagram(record),
        RECORD_CLOSE => {
            let (close, _) = CloseRecord::read_from_prefix(record).ok()?;
            Some(Event::Close(Close {
                key: close.key.into(),
                time_ns: close.time,
                reason: close_reason(close.error),
                send: Some(Position(close.send_position)),
                receive: Some(Position(close.receive_position)),
            }))
        }
        RECORD_EXEC => {
            let (exec, _) = ExecRecord::ref_from_prefix(record).ok()?;
            Some(Event::Exec(ProcessExec {
                pid: exec.pid,
                parent: exec.parent,
                time_ns: exec.time,
                comm: until_nul(&exec.comm),
                filename: exec.filename.get(..usize::from(exec.filename_length))?,
                arguments: exec.arguments.get(..usize::from(exec.arguments_length))?,
                opted_out: exec.opted_out != 0,
            }))
        }
        RECORD_MEASURES => {
            let (measures, _) = MeasuresRecord::read_from_prefix(record).ok()?;
            let known = |us: u32| (us > 0).then(|| u64::from(us) * 1_000);
            Some(Event::Measures(Measures {
                key: measures.key.into(),
                time_ns: measures.time,
                retransmits: measures.retransmits,
                handshake_ns: (measures.handshake > 0).then_some(measures.handshake),
                round_trip_ns: known(measures.round_trip),
                least_round_trip_ns: known(measures.least_round_trip),
            }))
        }
        RECORD_REFUSED => {
            let (refused, _) = RefusedRecord::read_from_prefix(record).ok()?;
            Some(Event::Refused(Refused {
                local: address(refused.family, refused.local_address, refused.local_port)?,
                remote: address(refused.family, refused.remote_address, refused.remote_port)?,
                network_namespace: refused.network_namespace,
                began_ns: refused.began.min(refused.time),
                time_ns: refused.time,
                pid: refused.pid,
                reason: close_reason(refused.error),
            }))
        }
        RECORD_OPTED_OUT => {
            let (opted_out, _) = OptedOutRecord::read_from_prefix(record).ok()?;
            let (key, time_ns) = (opted_out.key.into(), opted_out.time);
            Some(Event::OptedOut(OptedOut { key, time_ns }))
        }
        RECORD_FORK => {
            let (fork, _) = ForkRecord::read_from_prefix(record).ok()?;
            let (pid, parent) = (fork.pid, fork.parent);
            Some(Event::Fork(ProcessFork { pid, parent, time_ns: fork.time }))
        }
        RECORD_EXIT => {
            let (exit, _) = ExitRecord::read_from_prefix(record).ok()?;
            Some(Event::Exit(ProcessExit { pid: exit.pid, time_ns: exit.time }))
        }
        _ => None,
    }
}

fn segment(record: &[u8]) -> Option<Event<'_>> {
    let (segment, bytes) = SegmentRecord::read_from_prefix(record).ok()?;
    let (head, rest) = bytes.split_at_checked(usize::from(segment.head_length))?;
    let tail = rest.get(..usize::from(segment.tail_length))?;
    if head.len() + tail.len() > segment.length as usize {
        return None;
    }
    let (direction, started_ns) = match segment.direction {
        0 if segment.sent == 0 => (Direction::Send, segment.time),
        0 => (Direction::Send, segment.sent.min(segment.time)),
        1 => (Direction::Receive, segment.time),
        _ => return None,
    };
    Some(Event::Segment(Segment {
        key: segment.key.into(),
        direction,
        position: Position(segment.position),
        length: segment.length,
        head,
        tail,
        started_ns,
        ended_ns: segment.time,
        pid: segment.pid,
        tid: segment.tid,
        source: match segment.source {
            0 => Source::Socket,
            1 => Source::Tls,
            _ => return None,
        },
    }))
}

fn datagram(record: &[u8]) -> Option<Event<'_>> {
    let (datagram, bytes) = DatagramRecord::read_from_prefix(record).ok()?;
    let call = datagram.call;
    let remote = address(datagram.family, datagram.remote_address, datagram.remote_port)?;
    Some(Event::Datagram(Datagram {
        local: address(datagram.family, datagram.local_address, datagram.local_port)?,
        remote: (remote.port() != 0).then_some(remote),
        network_namespace: datagram.network_namespace,
        direction: match call.direction {
            0 => Direction::Send,
            1 => Direction::Receive,
            _ => return None,
        },
        length: call.length,
        head: bytes
            .get(..usize::from(call.head_length))
            .filter(|it| it.len() <= call.length as usize)?,
        time_ns: call.time,
        pid: call.pid,
        tid: call.tid,
    }))
}

fn open(record: &[u8]) -> Option<Event<'_>> {
    let (open, _) = OpenRecord::read_from_prefix(record).ok()?;
    let role = match open.role {
        0 => Role::Unknown,
        1 => Role::Client,
        2 => Role::Server,
        _ => return None,
    };
    Some(Event::Open(Connection {
        key: open.key.into(),
        local: address(open.family, open.local_address, open.local_port)?,
        remote: address(open.family, open.remote_address, open.remote_port)?,
        network_namespace: open.network_namespace,
        role,
        send: Some(Position(open.send_position)),
        receive: Some(Position(open.receive_position)),
        time_ns: open.time,
        mid_stream: open.mid_stream != 0,
    }))
}

/// IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) are the IPv4 ones they stand for.
fn address(family: u16, bytes: [u8; 16], port: [u8; 2]) -> Option<SocketAddr> {
    let ip = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        AF_INET6 => Ipv6Addr::from(bytes).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

/// By the errno that the socket ended with.
fn close_reason(error: u32) -> CloseReason {
    match error as i32 {
        0 => CloseReason::Finished,
        // EPIPE, ECONNRESET
        32 | 104 => CloseReason::Reset,
        // ETIMEDOUT
        110 => CloseReason::TimedOut,
        // ECONNREFUSED
        111 => CloseReason::Refused,
        other => CloseReason::Failed(other),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl From<Key> for ConnectionKey {
    fn from(key: Key) -> ConnectionKey {
        ConnectionKey { socket: key.socket, generation: key.generation }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use libbpf_rs::HasSize;
    use libbpf_rs::btf::types::Struct;
    use libbpf_rs::btf::{Btf, BtfType, TypeId};
    use zerocopy::FromZeros;

    use super::*;

    /// What the header's structure looks like to clang: member offsets in bytes, then the size.
    fn layout_in_object(
        object: &crate::objects::Aligned<[u8]>,
        name: &str,
    ) -> (Vec<(String, usize)>, usize) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &object.0).unwrap();
        let btf = Btf::from_path(file.path()).unwrap();
        let found = (1..btf.len() as u32)
            .filter_map(|id| btf.type_by_id::<BtfType<'_>>(TypeId::from(id)))
            .filter(|ty| ty.name().is_some_and(|found| found == name))
            .find_map(|ty| Struct::try_from(ty).ok())
            .unwrap_or_else(|| panic!("{name} is not in the object"));
        let members = found
            .iter()
            .map(|member| {
                let libbpf_rs::btf::types::MemberAttr::Normal { offset } = member.attr else {
                    panic!("bit fields are not allowed in abi.h");
                };
                (member.name.unwrap().to_string_lossy().into_owned(), offset as usize / 8)
            })
            .collect();
        (members, found.size())
    }

    macro_rules! same_layout {
        ($object:expr, $c:literal, $rust:ty, [$($field:ident),+]) => {
            let expected: Vec<(String, usize)> =
                vec![$((stringify!($field).to_owned(), offset_of!($rust, $field))),+];
            assert_eq!(
                layout_in_object($object, $c),
                (expected, size_of::<$rust>()),
                "struct {} and its mirror differ", $c
            );
        };
    }

    #[test]
    fn mirrors_the_header() {
        use crate::objects::{FEXIT, FEXIT_DIRECT, KPROBE, KPROBE_DIRECT, PROCESS};
        use crate::objects::{SYSCALLS, SYSCALLS_DIRECT};
        for object in [FEXIT, FEXIT_DIRECT, KPROBE, KPROBE_DIRECT, SYSCALLS, SYSCALLS_DIRECT] {
            same_layout!(object, "settings", Settings, [own_pid, receive_arguments]);
            same_layout!(object, "depth", Depth, [generation, parts, reserved]);
            same_layout!(object, "connection_key", Key, [socket, generation]);
            same_layout!(
                object,
                "open_record",
                OpenRecord,
                [
                    kind,
                    role,
                    mid_stream,
                    family,
                    key,
                    time,
                    send_position,
                    receive_position,
                    local_address,
                    remote_address,
                    local_port,
                    remote_port,
                    network_namespace
                ]
            );
            same_layout!(
                object,
                "segment_record",
                SegmentRecord,
                [
                    kind,
                    length,
                    key,
                    position,
                    time,
                    sent,
                    pid,
                    tid,
                    head_length,
                    tail_length,
                    direction,
                    source,
                    reserved
                ]
            );
            same_layout!(
                object,
                "datagram_record",
                DatagramRecord,
                [
                    kind,
                    family,
                    reserved,
                    local_address,
                    remote_address,
                    local_port,
                    remote_port,
                    network_namespace,
                    call
                ]
            );
            same_layout!(
                object,
                "close_record",
                CloseRecord,
                [kind, error, key, time, send_position, receive_position]
            );
            same_layout!(
                object,
                "measures_record",
                MeasuresRecord,
                [kind, retransmits, key, time, handshake, round_trip, least_round_trip]
            );
            same_layout!(object, "opted_out_record", OptedOutRecord, [kind, reserved, key, time]);
            same_layout!(
                object,
                "refused_record",
                RefusedRecord,
                [
                    kind,
                    error,
                    time,
                    began,
                    local_address,
                    remote_address,
                    local_port,
                    remote_port,
                    family,
                    reserved,
                    network_namespace,
                    pid
                ]
            );
            same_layout!(object, "quantity", Quantity, [segments, bytes]);
            same_layout!(
                object,
                "counters",
                KernelCounters,
                [
                    seen,
                    ring_full,
                    table_full,
                    hook_missed,
                    unreadable,
                    events_lost,
                    datagrams_seen,
                    datagrams_passed,
                    datagrams_ring_full,
                    datagrams_missed,
                    datagrams_unreadable,
                    tls_seen,
                    tls_ring_full,
                    tls_unlinked,
                    tls_missed,
                    tls_unreadable,
                    opted_out,
                    datagrams_opted_out
                ]
            );
        }
        let object = PROCESS;
        same_layout!(
            object,
            "exec_record",
            ExecRecord,
            [
                kind,
                pid,
                parent,
                filename_length,
                arguments_length,
                time,
                comm,
                filename,
                arguments,
                opted_out,
                reserved
            ]
        );
        same_layout!(object, "fork_record", ForkRecord, [kind, pid, parent, reserved, time]);
        same_layout!(object, "exit_record", ExitRecord, [kind, pid, time]);
    }

    fn segment_bytes(change: impl FnOnce(&mut SegmentRecord)) -> Vec<u8> {
        let mut record = SegmentRecord {
            kind: RECORD_SEGMENT,
            length: 10,
            key: Key { socket: 1, generation: 2 },
            position: 100,
            time: 50,
            sent: 40,
            pid: 3,
            tid: 4,
            head_length: 3,
            tail_length: 2,
            direction: 0,
            source: 0,
            reserved: [0; 2],
        };
        change(&mut record);
        let mut bytes = record.as_bytes().to_vec();
        bytes.extend_from_slice(b"abcyz");
        bytes
    }

    #[test]
    fn a_segment_has_its_head_tail_and_times() {
        let bytes = segment_bytes(|_| ());
        let Some(Event::Segment(segment)) = decode(&bytes) else { panic!("not a segment") };
        assert_eq!((segment.head, segment.tail), (&b"abc"[..], &b"yz"[..]));
        assert_eq!((segment.started_ns, segment.ended_ns), (40, 50));
        assert_eq!(segment.end(), Position(110));
        // The stamp may be of a later packet than this call's.
        let bytes = segment_bytes(|record| record.sent = 60);
        let Some(Event::Segment(segment)) = decode(&bytes) else { panic!("not a segment") };
        assert_eq!(segment.started_ns, 50);
        let bytes = segment_bytes(|record| record.sent = 0);
        let Some(Event::Segment(segment)) = decode(&bytes) else { panic!("not a segment") };
        assert_eq!(segment.started_ns, 50);
    }

    #[test]
    fn a_datagram_has_its_addresses() {
        let mut record = DatagramRecord::new_zeroed();
        record.kind = RECORD_DATAGRAM;
        record.family = AF_INET;
        record.local_address[..4].copy_from_slice(&[127, 0, 0, 1]);
        record.local_port = [0, 53];
        record.call = SegmentRecord::read_from_bytes(&segment_bytes(|_| ())[..64]).unwrap();
        let bytes = |record: &DatagramRecord| [record.as_bytes(), b"abcyz"].concat();
        let whole = bytes(&record);
        let Some(Event::Datagram(datagram)) = decode(&whole) else { panic!("not a datagram") };
        assert_eq!(datagram.local, "127.0.0.1:53".parse().unwrap());
        assert_eq!((datagram.remote, datagram.head, datagram.length), (None, &b"abc"[..], 10));
        record.remote_port = [1, 0];
        let whole = bytes(&record);
        let Some(Event::Datagram(datagram)) = decode(&whole) else { panic!("not a datagram") };
        assert_eq!(datagram.remote, Some("0.0.0.0:256".parse().unwrap()));
        for length in 0..whole.len() - 2 {
            assert!(decode(&whole[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn damaged_records_are_no_events() {
        let whole = segment_bytes(|_| ());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_none(), "{length} bytes");
        }
        assert!(decode(&segment_bytes(|record| record.direction = 7)).is_none());
        assert!(decode(&segment_bytes(|record| record.source = 2)).is_none());
        assert!(decode(&segment_bytes(|record| record.length = 4)).is_none());
        assert!(decode(&segment_bytes(|record| record.kind = 99)).is_none());
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut mapped = [0; 16];
        mapped[10..12].fill(0xff);
        mapped[12..].copy_from_slice(&[127, 0, 0, 1]);
        assert_eq!(
            address(AF_INET6, mapped, [0x1f, 0x90]),
            Some("127.0.0.1:8080".parse().unwrap())
        );
        assert_eq!(address(1, mapped, [0, 0]), None);
    }
}
