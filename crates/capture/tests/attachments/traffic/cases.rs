//! The ways to move bytes.

use std::io::{IoSlice, IoSliceMut, Seek, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{
    MMsgHdr, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmmsg,
    sendmsg,
};
use rustix::pipe::SpliceFlags;

use super::pair::{HEAD, Pair, Side, content};
use super::recvmmsg::receive_messages;
use super::{Call, Case, Seen, When};
use Side::{Client, Server};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn v4() -> Pair {
    Pair::connect(V4, V4)
}

fn v6() -> Pair {
    Pair::connect(V6, V6)
}

/// IPv4 on IPv6 sockets, on both sides.
fn mapped() -> Pair {
    Pair::connect(
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
    )
}

fn during(name: &'static str, open: fn() -> Pair, run: fn(&mut Pair)) -> Case {
    Case { name, when: When::DuringTheCapture, connections: 1, at_once: false, open, run }
}

fn before(name: &'static str, open: fn() -> Pair, run: fn(&mut Pair)) -> Case {
    Case { when: When::BeforeTheCapture, ..during(name, open, run) }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        before("connected before the capture", mid_stream, both_ways),
        before("reading since before the capture", blocked, released_late),
        during("read and write", v4, both_ways),
        during("read and write, IPv6", v6, both_ways),
        during("read and write, IPv4 on IPv6 sockets", mapped, both_ways),
        during("recv and send", v4, recv_send),
        during("readv and writev", v4, vectors),
        during("readv and writev of many buffers", v4, many_buffers),
        during("recvmsg and sendmsg", v4, messages),
        during("preadv2 and pwritev2", v4, vectors_with_flags),
        during("recvmmsg and sendmmsg", v4, several_messages),
        during("sendfile", v4, send_file),
        during("splice", v4, splices),
        during("read in pieces", v4, pieces),
        during("a write that is cut short", v4, cut_short),
        during("peeking", v4, peeking),
        during("dropping what is received", v4, dropping),
        during("waiting for all", v4, waiting),
        Case { connections: 200, ..during("many readers that wait", blocked, released) },
        Case { connections: 16, at_once: true, ..during("more threads than CPUs", v4, crowded) },
        during("reading after the end", v4, half_closed),
    ];
    if Pair::can_open_fast() {
        cases.push(during("TCP Fast Open", Pair::connect_fast, both_ways));
    }
    cases
}

/// For connections that are copied in depth.
pub(crate) fn deep_cases() -> [Case; 3] {
    [
        during("in depth: read and write", v4, long_calls),
        during("in depth: recvmsg and sendmsg", v4, messages),
        during("in depth: readv and writev", v4, long_vectors),
    ]
}

/// More connections than there is room for, and more bytes.
pub(crate) fn crowd() -> Case {
    Case { connections: 200, ..during("crowd", v4, both_ways) }
}

/// For connections of which nothing is copied.
pub(crate) fn counted_case() -> Case {
    during("counted", v4, both_ways)
}

/// One that is opted out, and another one.
pub(crate) fn opted_out_cases() -> [Case; 2] {
    [during("opted out", v4, both_ways), during("beside one that is opted out", v4, both_ways)]
}

fn long_calls(pair: &mut Pair) {
    for length in [HEAD, 2 * HEAD, 20_000, 60_000] {
        pair.send(Client, length, write);
        pair.receive_all(Server, read);
    }
}

/// Buffers that begin and end anywhere.
fn long_vectors(pair: &mut Pair) {
    for length in [9_000, 30_000] {
        pair.send(Client, length, |fd, bytes| {
            let parts: Vec<_> = bytes.chunks(1_700).map(IoSlice::new).collect();
            rustix::io::writev(fd, &parts)
        });
        pair.receive_all(Server, |fd, bytes| {
            let mut parts: Vec<_> = bytes.chunks_mut(6_000).map(IoSliceMut::new).collect();
            rustix::io::readv(fd, &mut parts)
        });
    }
}

/// Each reader waits once more, since only then it shows that the end of its first call was missed.
pub(crate) fn more_readers_than_returns() -> Case {
    Case { connections: 200, ..during("more readers than returns", blocked_twice, released_twice) }
}

fn read(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
    rustix::io::read(fd, bytes)
}

fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::io::write(fd, bytes)
}

/// Requests and responses of several sizes, up to those of which only the ends are copied.
fn both_ways(pair: &mut Pair) {
    for length in [1, 100, HEAD, HEAD + 1, 20_000] {
        pair.send(Client, length, write);
        pair.receive_all(Server, read);
        pair.send(Server, 2 * length, write);
        pair.receive_all(Client, read);
    }
}

fn mid_stream() -> Pair {
    let mut pair = v4();
    pair.send(Client, 1000, write);
    pair.receive_all(Server, read);
    pair.send(Server, 10, write);
    pair.receive_all(Client, read);
    pair.forget_calls();
    pair
}

fn recv_send(pair: &mut Pair) {
    for length in [5, 6000] {
        pair.send(Client, length, |fd, bytes| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL));
        pair.receive_all(Server, |fd, bytes| {
            rustix::net::recv(fd, bytes, RecvFlags::empty()).map(|(read, _)| read)
        });
    }
}

/// Threads are taken off their CPU at any point.
fn crowded(pair: &mut Pair) {
    for _ in 0..200 {
        pair.send(Client, 100, write);
        pair.receive_all(Server, read);
        pair.send(Server, 500, write);
        pair.receive_all(Client, read);
    }
}

fn blocked() -> Pair {
    let mut pair = v4();
    pair.block(Server, 4000);
    pair
}

fn blocked_twice() -> Pair {
    let mut pair = v4();
    pair.block_for(Server, 300, 2);
    pair
}

fn released_twice(pair: &mut Pair) {
    pair.send(Client, 600, write);
    pair.unblock(Server);
    pair.unblock(Server);
}

fn released(pair: &mut Pair) {
    pair.send(Client, 300, write);
    pair.unblock(Server);
    pair.send(Server, 500, write);
    pair.receive_all(Client, read);
}

fn released_late(pair: &mut Pair) {
    pair.send(Client, 300, write);
    pair.unblock(Server).seen = Seen::AtSyscallsOnly;
    both_ways(pair);
}

/// Buffers of these lengths, one after the other.
fn cut<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<IoSlice<'a>> {
    let mut parts = Vec::new();
    for length in lengths {
        let (part, rest) = bytes.split_at(*length);
        parts.push(IoSlice::new(part));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    parts
}

fn cut_mut<'a>(mut bytes: &'a mut [u8], lengths: &[usize]) -> Vec<IoSliceMut<'a>> {
    let mut parts = Vec::new();
    for length in lengths {
        let (part, rest) = bytes.split_at_mut(*length);
        parts.push(IoSliceMut::new(part));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    parts
}

/// Buffers with and without bytes, whose borders lie before, at and behind the end of the head.
const SHAPES: [&[usize]; 7] = [
    &[7],
    &[10, 20, 30],
    &[0, 5, 0, 6],
    &[HEAD, 10],
    &[4000, 200, 100],
    &[100, 5000, 3000],
    &[10, 20, 30, 40, 50, 60, 70, 80],
];

fn vectors(pair: &mut Pair) {
    for shape in SHAPES {
        let length = shape.iter().sum();
        pair.send(Client, length, |fd, bytes| rustix::io::writev(fd, &cut(bytes, shape)));
        pair.of_buffers(shape);
        // The last buffer is not filled.
        let roomy = [shape, &[100]].concat();
        pair.receive(Server, length + 100, |fd, bytes| {
            rustix::io::readv(fd, &mut cut_mut(bytes, &roomy))
        });
        pair.of_buffers(shape);
    }
}

fn vectors_with_flags(pair: &mut Pair) {
    // Offset -1 is none (preadv2(2)).
    let (nowhere, flags) = (u64::MAX, ReadWriteFlags::empty());
    for shape in SHAPES {
        let length = shape.iter().sum();
        pair.send(Client, length, |fd, bytes| {
            rustix::io::pwritev2(fd, &cut(bytes, shape), nowhere, flags)
        });
        pair.of_buffers(shape);
        pair.receive(Server, length, |fd, bytes| {
            rustix::io::preadv2(fd, &mut cut_mut(bytes, shape), nowhere, flags)
        });
        pair.of_buffers(shape);
    }
}

/// More messages, too, than are looked at where system calls are watched.
fn several_messages(pair: &mut Pair) {
    for number in [1, 3, LOOKED_AT, LOOKED_AT + 5, PLACED, PLACED + 1] {
        let lengths: Vec<usize> = (0..number).map(|index| 10 + 7 * index).collect();
        let bytes = content(pair.sent(Client), lengths.iter().sum());
        let buffers: Vec<[IoSlice<'_>; 1]> =
            cut(&bytes, &lengths).into_iter().map(|it| [it]).collect();
        let mut control: Vec<_> = buffers.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> = buffers
            .iter()
            .zip(&mut control)
            .map(|(buffer, control)| MMsgHdr::new(buffer, control))
            .collect();
        let sent = sendmmsg(&pair.client, &mut messages, SendFlags::empty()).unwrap();
        assert_eq!(sent, number);
        for (index, message) in messages.iter().enumerate() {
            one_of_many(pair.account(Client, true, message.bytes_sent()), index, number);
        }

        while pair.due(Server) > 0 {
            let mut bytes = vec![0; (pair.due(Server)).next_multiple_of(100)];
            let room = vec![100; bytes.len() / 100];
            let received = receive_messages(pair.server.as_fd(), &mut cut_mut(&mut bytes, &room));
            let number = received.len();
            for (index, (part, length)) in bytes.chunks(100).zip(received).enumerate() {
                assert_eq!(part[..length], content(pair.received(Server), length));
                one_of_many(pair.account(Server, false, length), index, number);
            }
        }
    }
}

/// Messages of one system call that are looked at, and up to how many they are placed
/// (`bpf/syscalls.bpf.c`).
const LOOKED_AT: usize = 16;
const PLACED: usize = 256;

fn one_of_many(call: &mut Call, index: usize, number: usize) {
    call.beyond = index >= LOOKED_AT;
    if number > PLACED {
        call.seen = Seen::AtSocketsOnly;
    }
}

/// More buffers than are looked at.
fn many_buffers(pair: &mut Pair) {
    for lengths in [&[10; 65][..], &[10; 1024], &[1000; 100]] {
        let length = lengths.iter().sum();
        pair.send(Client, length, |fd, bytes| rustix::io::writev(fd, &cut(bytes, lengths)));
        pair.of_buffers(lengths);
        while pair.due(Server) > 0 {
            pair.receive(Server, length, |fd, bytes| {
                rustix::io::readv(fd, &mut cut_mut(bytes, lengths))
            });
            pair.of_buffers(lengths);
        }
    }
}

fn send_message(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
    sendmsg(fd, parts, &mut SendAncillaryBuffer::default(), SendFlags::empty())
}

fn receive_message(
    fd: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
) -> Result<usize, Errno> {
    recvmsg(fd, parts, &mut RecvAncillaryBuffer::default(), flags).map(|message| message.bytes)
}

fn messages(pair: &mut Pair) {
    for shape in SHAPES {
        let length = shape.iter().sum();
        pair.send(Client, length, |fd, bytes| send_message(fd, &cut(bytes, shape)));
        pair.of_buffers(shape);
        pair.receive(Server, length, |fd, bytes| {
            receive_message(fd, &mut cut_mut(bytes, shape), RecvFlags::empty())
        });
        pair.of_buffers(shape);
    }
}

/// A file with the next bytes of the stream.
fn file_of(length: usize) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content(0, length)).unwrap();
    file.rewind().unwrap();
    file
}

fn send_file(pair: &mut Pair) {
    let length = 100_000;
    let file = file_of(length);
    let mut left = length;
    while left > 0 {
        left -= pair.send(Client, left, |fd, _| rustix::fs::sendfile(fd, &file, None, left));
        pair.only_counted();
        pair.receive_all(Server, read);
    }
}

/// From a file through a pipe to the socket, and from the other socket through a pipe to a file.
fn splices(pair: &mut Pair) {
    let length = 50_000;
    let (file, (pipe_out, pipe_in)) = (file_of(length), rustix::pipe::pipe().unwrap());
    let move_on = |from: BorrowedFd<'_>, to: BorrowedFd<'_>, length| {
        rustix::pipe::splice(from, None, to, None, length, SpliceFlags::empty())
    };
    let mut target = tempfile::tempfile().unwrap();
    let mut left = length;
    while left > 0 {
        let filled = move_on(file.as_fd(), pipe_in.as_fd(), left).unwrap();
        let mut inside = filled;
        while inside > 0 {
            inside -= pair.send(Client, inside, |fd, _| move_on(pipe_out.as_fd(), fd, inside));
            pair.only_counted();
        }
        left -= filled;
        while pair.due(Server) > 0 {
            let due = pair.due(Server);
            let moved = move_on(pair.server.as_fd(), pipe_in.as_fd(), due).unwrap();
            pair.account(Server, false, moved);
            pair.only_counted();
            let mut inside = moved;
            while inside > 0 {
                inside -= move_on(pipe_out.as_fd(), target.as_fd(), inside).unwrap();
            }
        }
    }
    target.rewind().unwrap();
    let mut arrived = Vec::new();
    std::io::Read::read_to_end(&mut target, &mut arrived).unwrap();
    assert_eq!(arrived, content(0, length));
}

fn pieces(pair: &mut Pair) {
    pair.send(Client, 12_000, write);
    for room in [1, 4095, 4097, 300, 5000] {
        pair.receive(Server, room, read);
    }
    pair.receive_all(Server, read);
}

/// The socket takes only a part of what it is given.
fn cut_short(pair: &mut Pair) {
    set_socket_send_buffer_size(&pair.client, 50_000).unwrap();
    set_socket_recv_buffer_size(&pair.server, 50_000).unwrap();
    pair.client.set_nonblocking(true).unwrap();
    assert!(pair.send(Client, 2_000_000, write) < 2_000_000);
    pair.receive_all(Server, read);
    // Wherever among the buffers it ends.
    let lengths = [20_000; 100];
    let sent =
        pair.send(Client, 2_000_000, |fd, bytes| rustix::io::writev(fd, &cut(bytes, &lengths)));
    assert!(sent < 2_000_000);
    pair.of_buffers(&lengths);
    pair.receive_all(Server, read);
}

fn peeking(pair: &mut Pair) {
    pair.send(Client, 100, write);
    for room in [10, 100] {
        let mut bytes = vec![0; room];
        rustix::net::recv(&pair.server, &mut bytes, RecvFlags::PEEK).unwrap();
        assert_eq!(bytes, content(0, room));
        receive_message(pair.server.as_fd(), &mut cut_mut(&mut bytes, &[room]), RecvFlags::PEEK)
            .unwrap();
        assert_eq!(bytes, content(0, room));
    }
    pair.receive_all(Server, read);
}

/// What is received with MSG_TRUNC goes nowhere (tcp(7)).
fn dropping(pair: &mut Pair) {
    pair.send(Client, 5000, write);
    let mut bytes = [MaybeUninit::uninit(); 3000];
    let (_, dropped) = rustix::net::recv(&pair.server, &mut bytes, RecvFlags::TRUNC).unwrap();
    pair.account(Server, false, dropped);
    pair.only_counted();
    pair.receive_all(Server, read);
}

/// One call that returns with what several sent.
fn waiting(pair: &mut Pair) {
    pair.send(Client, 3000, write);
    pair.send(Client, 4000, write);
    pair.receive(Server, 7000, |fd, bytes| {
        rustix::net::recv(fd, bytes, RecvFlags::WAITALL).map(|(read, _)| read)
    });
}

/// Both sides have finished, so that the connection is over, and there is something left to read.
fn half_closed(pair: &mut Pair) {
    pair.send(Client, 10, write);
    pair.receive_all(Server, read);
    pair.client.shutdown(Shutdown::Write).unwrap();
    pair.send(Server, 6000, write);
    pair.server.shutdown(Shutdown::Write).unwrap();
    pair.wait_until_over();
    pair.receive(Client, 100, read);
    pair.receive_all(Client, read);
}
