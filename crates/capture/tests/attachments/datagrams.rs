//! UDP: every call that moves datagrams, and what is said of who sent them.
//!
//! The traffic is made by a process of its own, as that of `traffic`, which says when it has ended
//! what it did.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use alaz_capture::Capture;
use alaz_model::Direction;
use rustix::net::{
    MMsgHdr, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recvmsg, sendmmsg,
    sendmsg_addr,
};
use serde::{Deserialize, Serialize};

use crate::check::Passed;
use crate::observe::Observed;
use crate::traffic::{content, receive_messages};

/// First argument of the process that makes the traffic.
pub(crate) const COMMAND: &str = "datagrams";
pub(crate) const NAME: &str = "datagrams of every call";

/// Datagrams of this port are told of (`bpf/abi.h`). Few machines have anybody on these addresses.
const SERVERS: [&str; 2] = ["127.0.0.9:53", "[::1]:53"];
/// As it stands on an IPv6 socket.
const MAPPED: &str = "[::ffff:127.0.0.9]:53";
/// What capture copies of the beginning.
const HEAD: usize = 4096;

/// One datagram that one side moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) local: SocketAddr,
    /// Nobody named it: then it may be told or not.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) sends: bool,
    pub(crate) length: usize,
}

/// Lets the process run, and compares.
pub(crate) fn check(capture: &mut Capture, observed: &mut Observed) -> Result<Passed, String> {
    let before = capture.counters().map_err(|error| error.to_string())?;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(COMMAND)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    while child.try_wait().unwrap().is_none() {
        observed.drain(capture);
        std::thread::sleep(Duration::from_millis(5));
    }
    observed.drain(capture);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told: Vec<Moved> = serde_json::from_str(&text)
        .map_err(|error| format!("the traffic failed: {error}: {text}"))?;
    let mut found: Vec<_> = observed.datagrams.iter().filter(|it| it.pid == pid).collect();
    found.sort_by_key(|datagram| datagram.time_ns);
    if found.len() != told.len() {
        return Err(format!("{} datagrams, not {}", found.len(), told.len()));
    }
    for (index, (found, told)) in found.iter().zip(&told).enumerate() {
        let remote = found.remote.filter(|_| told.remote.is_some());
        let seen = Moved {
            local: found.local,
            remote,
            sends: found.direction == Direction::Send,
            length: found.length,
        };
        if seen != *told {
            return Err(format!("datagram {index} is {seen:?}, not {told:?}"));
        }
        if found.head != content(0, told.length.min(HEAD)) {
            return Err(format!("datagram {index} has other bytes: {told:?}"));
        }
    }
    let after = capture.counters().map_err(|error| error.to_string())?;
    if after.datagrams_passed.segments < before.datagrams_passed.segments + 2 {
        return Err("datagrams of other ports are not counted".to_owned());
    }
    Ok(Passed::Exact)
}

/// Makes the traffic, and says what it was.
pub(crate) fn run() {
    let mut account = Vec::new();
    for server in SERVERS {
        exchange(UdpSocket::bind(server).unwrap(), server, server, &mut account);
    }
    let server = UdpSocket::bind(SERVERS[0]).unwrap();
    let client = UdpSocket::bind("[::]:0").unwrap();
    // IPv4 on an IPv6 socket.
    let mapped: SocketAddr = MAPPED.parse().unwrap();
    client.send_to(&content(0, 40), mapped).unwrap();
    note(&mut account, &client, Some(SERVERS[0].parse().unwrap()), true, 40);
    let (length, from) = server.recv_from(&mut [0; 100]).unwrap();
    note(&mut account, &server, Some(from), false, length);

    // Of no interest, but counted.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.send_to(&content(0, 30), other.local_addr().unwrap()).unwrap();
    other.recv_from(&mut [0; 100]).unwrap();
    println!("{}", serde_json::to_string(&account).unwrap());
}

fn exchange(server: UdpSocket, address: &str, to: &str, account: &mut Vec<Moved>) {
    let to: SocketAddr = to.parse().unwrap();
    let family = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let client = UdpSocket::bind(family).unwrap();
    let client_address = client.local_addr().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let mut buffer = vec![0; 9000];

    // sendto, recvfrom
    for length in [1, 100, 5000] {
        client.send_to(&content(0, length), to).unwrap();
        note(account, &client, Some(address), true, length);
        let (received, from) = server.recv_from(&mut buffer).unwrap();
        note(account, &server, Some(from), false, received);
        server.send_to(&content(0, length + 1), from).unwrap();
        note(account, &server, Some(client_address), true, length + 1);
        // A look at it moves nothing.
        client.peek_from(&mut buffer).unwrap();
        let (received, _) = client.recv_from(&mut buffer).unwrap();
        note(account, &client, Some(address), false, received);
    }

    // sendmsg, and recvmsg that does not ask who it is from
    let bytes = content(0, 70);
    let parts = [IoSlice::new(&bytes[..20]), IoSlice::new(&bytes[20..])];
    let mut control = SendAncillaryBuffer::default();
    sendmsg_addr(&client, &to, &parts, &mut control, SendFlags::empty()).unwrap();
    note(account, &client, Some(address), true, 70);
    let received = recvmsg(
        &server,
        &mut [IoSliceMut::new(&mut buffer)],
        &mut RecvAncillaryBuffer::default(),
        RecvFlags::empty(),
    );
    note(account, &server, None, false, received.unwrap().bytes);

    // An answer whose sender nobody asks for, on a socket that is not connected.
    server.send_to(&content(0, 71), client_address).unwrap();
    note(account, &server, Some(client_address), true, 71);
    let received = rustix::io::read(&client, &mut buffer).unwrap();
    note(account, &client, None, false, received);

    // write, read; sendmmsg, recvmmsg: connected
    client.connect(to).unwrap();
    server.connect(client_address).unwrap();
    rustix::io::write(&client, &content(0, 60)).unwrap();
    note(account, &client, Some(address), true, 60);
    let received = rustix::io::read(&server, &mut buffer).unwrap();
    note(account, &server, Some(client_address), false, received);
    let (first, second) = (content(0, 50), content(0, 51));
    let (first, second) = ([IoSlice::new(&first)], [IoSlice::new(&second)]);
    let mut controls = [SendAncillaryBuffer::default(), SendAncillaryBuffer::default()];
    let [one, two] = &mut controls;
    let mut messages = [MMsgHdr::new(&first, one), MMsgHdr::new(&second, two)];
    assert_eq!(sendmmsg(&client, &mut messages, SendFlags::empty()).unwrap(), 2);
    let (mut one, mut two) = ([0; 100], [0; 100]);
    for length in [50, 51] {
        note(account, &client, Some(address), true, length);
    }
    let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
    for length in receive_messages(server.as_fd(), &mut buffers) {
        note(account, &server, Some(client_address), false, length);
    }
}

fn note(
    account: &mut Vec<Moved>,
    socket: &UdpSocket,
    remote: Option<SocketAddr>,
    sends: bool,
    length: usize,
) {
    let local = socket.local_addr().unwrap();
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    account.push(Moved { local, remote, sends, length });
}
