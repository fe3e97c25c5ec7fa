//! Both ends of one connection, and an account of each call on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, channel};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketType};

use serde::{Deserialize, Serialize};

use super::{Call, Connection, Seen};

/// What capture copies of the beginning and the end of a segment (`bpf/abi.h`).
pub(crate) const HEAD: usize = 4096;
pub(crate) const TAIL: usize = 256;
/// recv(2); the data goes with the SYN.
const MSG_FASTOPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);
/// How many buffers of one call it looks at (`bpf/payload.h`).
const BUFFERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// The bytes of one direction's stream, from `offset` on. No two short runs of them are the same.
pub(crate) fn content(offset: u64, length: usize) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    (offset..offset + length as u64).map(byte).collect()
}

pub(crate) struct Pair {
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
    client_address: SocketAddr,
    server_address: SocketAddr,
    /// Bytes that each side has sent and received, by side.
    sent: [u64; 2],
    received: [u64; 2],
    calls: Vec<Call>,
    /// Thread and results of reads that wait.
    reader: Option<(u32, Receiver<Vec<u8>>)>,
}

impl Pair {
    /// Connects to `address` over the loopback device; the listener is on `listen`.
    pub(crate) fn connect(listen: IpAddr, address: IpAddr) -> Pair {
        let listener = TcpListener::bind((listen, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((address, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        Pair::of(client, server)
    }

    /// Whether this machine's listeners take data before a connection is established (ip-sysctl,
    /// tcp_fastopen: client, server, no cookies, every listener).
    pub(crate) fn can_open_fast() -> bool {
        let bits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_fastopen").unwrap();
        bits.trim().parse::<u32>().is_ok_and(|bits| bits & 0x607 == 0x607)
    }

    /// Connects by sending.
    pub(crate) fn connect_fast() -> Pair {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let bytes = content(0, 600);
        let address = listener.local_addr().unwrap();
        let sent = rustix::net::sendto(&client, &bytes, MSG_FASTOPEN, &address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let mut pair = Pair::of(client.into(), server);
        pair.account(Side::Client, true, sent);
        pair.receive_all(Side::Server, |fd, bytes| rustix::io::read(fd, bytes));
        pair
    }

    pub(crate) fn of(client: TcpStream, server: TcpStream) -> Pair {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Pair {
            client_address: canonical(client.local_addr().unwrap()),
            server_address: canonical(server.local_addr().unwrap()),
            client,
            server,
            sent: [0; 2],
            received: [0; 2],
            calls: Vec::new(),
            reader: None,
        }
    }

    pub(crate) fn socket(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// Makes one call that is to send the next `length` bytes; it may send fewer.
    pub(crate) fn send(
        &mut self,
        side: Side,
        length: usize,
        call: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<usize, Errno>,
    ) -> usize {
        let bytes = content(self.sent[side as usize], length);
        let sent = call(self.socket(side).as_fd(), &bytes).unwrap();
        self.account(side, true, sent);
        sent
    }

    /// Makes one call that is to receive up to `room` bytes, and looks at what it got.
    pub(crate) fn receive(
        &mut self,
        side: Side,
        room: usize,
        call: impl FnOnce(BorrowedFd<'_>, &mut [u8]) -> Result<usize, Errno>,
    ) -> usize {
        let mut bytes = vec![0; room];
        let received = call(self.socket(side).as_fd(), &mut bytes).unwrap();
        bytes.truncate(received);
        assert_eq!(bytes, content(self.received[side as usize], received));
        self.account(side, false, received);
        received
    }

    /// Takes a call into the account; the next of the same side and direction begins where it ends.
    pub(crate) fn account(&mut self, side: Side, sends: bool, length: usize) -> &mut Call {
        assert!(length > 0, "a call moved nothing");
        let passed = if sends { &mut self.sent } else { &mut self.received };
        let passed = &mut passed[side as usize];
        let offset = *passed;
        *passed += length as u64;
        let head = length.min(HEAD);
        let call = Call {
            by: side,
            sends,
            offset,
            length,
            head,
            tail: (length - head).min(TAIL),
            tid: gettid(),
            seen: Seen::Everywhere,
            beyond: false,
        };
        self.calls.push(call);
        self.calls.last_mut().unwrap()
    }

    /// The last call's bytes are none that capture copies.
    pub(crate) fn only_counted(&mut self) {
        let call = self.calls.last_mut().unwrap();
        (call.head, call.tail) = (0, 0);
    }

    /// The last call's bytes were in buffers of these lengths, of which some are looked at; the tail
    /// is of one buffer only.
    pub(crate) fn of_buffers(&mut self, lengths: &[usize]) {
        let call = self.calls.last_mut().unwrap();
        let mut left = call.length;
        let mut last = 0;
        for length in lengths.iter().take(BUFFERS) {
            let here = left.min(*length);
            left -= here;
            last = if here > 0 { here } else { last };
        }
        call.head = (call.length - left).min(HEAD);
        call.tail = if left > 0 { 0 } else { (call.length - call.head).min(TAIL).min(last) };
    }

    /// Waits until the client's side is only remembered by the kernel (TIME_WAIT, proc_net_tcp).
    pub(crate) fn wait_until_over(&self) {
        let place = |address: SocketAddr| format!(":{:04X} ", address.port());
        let (client, server) = (place(self.client_address), place(self.server_address));
        let is_over = |line: &str| {
            let ports = line.find(&client).zip(line.find(&server));
            ports.is_some_and(|(own, other)| own < other) && line.contains(&format!("{server}06 "))
        };
        while !std::fs::read_to_string("/proc/self/net/tcp").unwrap().lines().any(is_over) {
            std::thread::yield_now();
        }
    }

    /// How many bytes the side has sent.
    pub(crate) fn sent(&self, side: Side) -> u64 {
        self.sent[side as usize]
    }

    /// How many bytes the side has received.
    pub(crate) fn received(&self, side: Side) -> u64 {
        self.received[side as usize]
    }

    /// How many bytes the other side has sent that this one has not received.
    pub(crate) fn due(&self, side: Side) -> usize {
        (self.sent[side.other() as usize] - self.received[side as usize]) as usize
    }

    /// Receives all that is due, in one way or another.
    pub(crate) fn receive_all(
        &mut self,
        side: Side,
        mut call: impl FnMut(BorrowedFd<'_>, &mut [u8]) -> Result<usize, Errno>,
    ) {
        while self.due(side) > 0 {
            self.receive(side, self.due(side), &mut call);
        }
    }

    /// Lets another thread wait for up to `room` bytes, and returns when it does.
    pub(crate) fn block(&mut self, side: Side, room: usize) {
        self.block_for(side, room, 1);
    }

    /// The same for several reads in a row.
    pub(crate) fn block_for(&mut self, side: Side, room: usize, reads: usize) {
        let socket = self.socket(side).try_clone().unwrap();
        let (send_tid, receive_tid) = channel();
        let (send_bytes, received) = channel();
        std::thread::spawn(move || {
            send_tid.send(gettid()).unwrap();
            for _ in 0..reads {
                let mut bytes = vec![0; room];
                let received = rustix::io::read(&socket, &mut bytes).unwrap();
                bytes.truncate(received);
                send_bytes.send(bytes).unwrap();
            }
        });
        let tid = receive_tid.recv().unwrap();
        // It sleeps nowhere else but in its read (proc_pid_stat(5)).
        let status = format!("/proc/self/task/{tid}/stat");
        while !std::fs::read_to_string(&status).unwrap().contains(") S ") {
            std::thread::yield_now();
        }
        self.reader = Some((tid, received));
    }

    /// Takes the bytes of one read that another thread waited for.
    pub(crate) fn unblock(&mut self, side: Side) -> &mut Call {
        let (tid, received) = self.reader.as_ref().unwrap();
        let (tid, bytes) = (*tid, received.recv().unwrap());
        assert_eq!(bytes, content(self.received[side as usize], bytes.len()));
        let call = self.account(side, false, bytes.len());
        call.tid = tid;
        call
    }

    /// Nothing was seen so far.
    pub(crate) fn forget_calls(&mut self) {
        self.calls.clear();
    }

    pub(crate) fn told(&mut self) -> Connection {
        Connection {
            client: self.client_address,
            server: self.server_address,
            calls: std::mem::take(&mut self.calls),
        }
    }
}

fn gettid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}
