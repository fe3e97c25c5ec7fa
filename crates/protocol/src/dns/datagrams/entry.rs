//! One exchange over UDP, as far as its observations have come.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use alaz_model::{
    Clock, ConnectionKey, Datagram, Direction, Exchange, Outcome, Position, Role, View,
};

use super::{DatagramLimits, SERVER_PORT};
use crate::dialogue::Side;
use crate::dns::parse::{Answer, DnsMessage};
use crate::dns::told::{self, Asked};
use crate::join::{alone, join};

/// What a datagram says around its message. Addresses that nobody told are unspecified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    network_namespace: u32,
    time_ns: u64,
    pid: u32,
    bytes: u64,
}

impl Seen {
    /// `None` where the client's port is not known, or the server's is not that of DNS.
    pub(super) fn of(datagram: &Datagram<'_>, message: &DnsMessage) -> Option<Seen> {
        let by_client = (datagram.direction == Direction::Send) == message.answer.is_none();
        let local = datagram.local;
        let (client, server) = match (by_client, datagram.remote) {
            (true, Some(remote)) => (local, remote),
            (false, Some(remote)) => (remote, local),
            // Who takes an answer need not ask who it is from.
            (true, None) => (local, SocketAddr::from((Ipv4Addr::UNSPECIFIED, SERVER_PORT))),
            (false, None) => return None,
        };
        (server.port() == SERVER_PORT).then_some(Seen {
            client,
            server,
            network_namespace: datagram.network_namespace,
            time_ns: datagram.time_ns,
            pid: datagram.pid,
            bytes: u64::from(datagram.length),
        })
    }

    fn is_loopback(&self) -> bool {
        self.client.ip().is_loopback() || self.server.ip().is_loopback()
    }
}

/// What became of a question that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is part of this exchange.
    Taken,
    /// This exchange is over at that end: the question begins another one.
    Another,
}

/// What one end saw.
#[derive(Clone, Debug, Default)]
struct End {
    network_namespace: Option<u32>,
    /// First and last time that it sent or received the question.
    asked_ns: Option<(u64, u64)>,
    retries: u32,
    asking_pid: u32,
    answered: Option<Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    time_ns: u64,
    pid: u32,
    bytes: u64,
    answer: Answer,
}

impl End {
    fn is_whole(&self) -> bool {
        self.asked_ns.is_some() && self.answered.is_some()
    }

    fn is_untouched(&self) -> bool {
        self.asked_ns.is_none() && self.answered.is_none()
    }
}

/// An exchange on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    client: SocketAddr,
    server: SocketAddr,
    asked: Asked,
    /// The client's, the server's.
    ends: [End; 2],
    /// It was told, and is only remembered.
    pub(super) is_told: bool,
}

fn index(end: Side) -> usize {
    usize::from(end == Side::Server)
}

impl Entry {
    /// For a message, which is still to be added. `None` where it has no question in it.
    pub(super) fn new(message: &DnsMessage, seen: &Seen) -> Option<Entry> {
        let question = message.question.clone()?;
        Some(Entry {
            client: seen.client,
            server: seen.server,
            asked: Asked { opcode: message.opcode, question, bytes: 0, retries: 0 },
            ends: [End::default(), End::default()],
            is_told: false,
        })
    }

    /// Whether what that end saw can be of this exchange, by the addresses. Loopback addresses mean
    /// something only inside one network namespace.
    pub(super) fn agrees(&self, end: Side, seen: &Seen) -> bool {
        let within = |which: usize| {
            let known = self.ends[which].network_namespace;
            known.is_none_or(|known| known == seen.network_namespace)
        };
        let [own, other] = [index(end), 1 - index(end)];
        let near =
            seen.is_loopback() || self.client.ip().is_loopback() || self.server.ip().is_loopback();
        same(self.client.ip(), seen.client.ip())
            && same(self.server.ip(), seen.server.ip())
            && within(own)
            && (!near || within(other))
    }

    /// Whether the message asks the same.
    pub(super) fn asks(&self, message: &DnsMessage) -> bool {
        self.asked.opcode == message.opcode
            && message.question.as_ref() == Some(&self.asked.question)
    }

    /// One end sent or received the question.
    pub(super) fn ask(&mut self, end: Side, seen: &Seen) -> Heard {
        let time_ns = seen.time_ns;
        let [client, _] = &self.ends;
        let client_waits = client.asked_ns.is_some() && client.answered.is_none();
        let own = &self.ends[index(end)];
        let answered_ns = own.answered.as_ref().map(|answered| answered.time_ns);
        match own.asked_ns {
            Some((first_ns, last_ns)) if first_ns != time_ns && last_ns != time_ns => {
                let is_answered = answered_ns.is_some_and(|answered_ns| answered_ns < time_ns);
                // Where the client goes on asking, the server's answer did not reach it.
                let is_over = is_answered && !(end == Side::Server && client_waits);
                if is_over || self.is_told {
                    return Heard::Another;
                }
            }
            // What the other end did not see of an exchange that was told long ago is another one.
            None if self.is_told && !self.is_near_in_time(seen) => return Heard::Another,
            _ => {}
        }
        self.learn(end, seen);
        self.asked.bytes = seen.bytes;
        let own = &mut self.ends[index(end)];
        own.asking_pid = seen.pid;
        own.asked_ns = Some(match own.asked_ns {
            None => (time_ns, time_ns),
            Some((first_ns, last_ns)) => {
                own.retries += u32::from(time_ns != first_ns && time_ns != last_ns);
                (first_ns.min(time_ns), last_ns.max(time_ns))
            }
        });
        Heard::Taken
    }

    /// Drops answers that are older than their question: they were to another one. Whether there
    /// were any.
    pub(super) fn drop_older_answers(&mut self) -> bool {
        let mut dropped = false;
        for end in [Side::Client, Side::Server] {
            let begun_ns = self.begun_ns(end);
            let own = &mut self.ends[index(end)];
            let is_older = |answered: &Answered| begun_ns.is_some_and(|it| answered.time_ns < it);
            if own.answered.as_ref().is_some_and(is_older) {
                own.answered = None;
                dropped = true;
            }
        }
        dropped
    }

    /// When that end had the question. What the server received the client had sent, whatever the
    /// call that sent it took afterwards.
    fn begun_ns(&self, end: Side) -> Option<u64> {
        let [client, server] = self.ends.each_ref().map(|end| end.asked_ns.map(|(first, _)| first));
        match (end, client, server) {
            (Side::Client, Some(client), Some(server)) => Some(client.min(server)),
            (Side::Client, client, _) => client,
            (Side::Server, _, server) => server,
        }
    }

    /// Whether this can be the answer, as that end saw it.
    pub(super) fn is_answered_by(&self, end: Side, message: &DnsMessage, seen: &Seen) -> bool {
        let says_so = message.question.as_ref().is_none_or(|it| *it == self.asked.question);
        says_so
            && self.asked.opcode == message.opcode
            && self.begun_ns(end).is_none_or(|begun_ns| seen.time_ns >= begun_ns)
            && (message.question.is_some() || self.is_asked())
    }

    /// One end sent or received the answer; of several the first counts. Whether the exchange had
    /// been told as unanswered.
    pub(super) fn answer(&mut self, end: Side, message: DnsMessage, seen: &Seen) -> bool {
        self.learn(end, seen);
        let is_late = self.is_told && !self.is_answered();
        let own = &mut self.ends[index(end)];
        if own.answered.is_none()
            && let Some(answer) = message.answer
        {
            let Seen { time_ns, pid, bytes, .. } = *seen;
            own.answered = Some(Answered { time_ns, pid, bytes, answer });
        }
        is_late
    }

    /// Adds what is known of the addresses.
    fn learn(&mut self, end: Side, seen: &Seen) {
        self.ends[index(end)].network_namespace = Some(seen.network_namespace);
        if self.client.ip().is_unspecified() {
            self.client = seen.client;
        }
        if self.server.ip().is_unspecified() {
            self.server = seen.server;
        }
    }

    fn is_near_in_time(&self, seen: &Seen) -> bool {
        let times = self.ends.iter().filter_map(|end| end.asked_ns);
        times.into_iter().any(|(first_ns, last_ns)| {
            seen.time_ns >= first_ns.saturating_sub(super::SECOND_NS)
                && seen.time_ns <= last_ns.saturating_add(super::SECOND_NS)
        })
    }

    pub(super) fn is_asked(&self) -> bool {
        self.ends.iter().any(|end| end.asked_ns.is_some())
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_asked() && self.ends.iter().any(|end| end.answered.is_some())
    }

    /// All four observations are there.
    pub(super) fn is_whole(&self) -> bool {
        self.ends.iter().all(End::is_whole)
    }

    /// The first time that anything was seen of it.
    pub(super) fn started_ns(&self) -> u64 {
        let asked = self.ends.iter().filter_map(|end| end.asked_ns.map(|(first, _)| first));
        let answered = self.ends.iter().filter_map(|end| end.answered.as_ref().map(|a| a.time_ns));
        asked.min().or(answered.min()).unwrap_or_default()
    }

    /// When it is told with what is known; when it was told, when it is forgotten.
    pub(super) fn due_ns(&self, limits: &DatagramLimits) -> u64 {
        let [client, server] = &self.ends;
        let (asking, other) =
            if client.asked_ns.is_some() { (client, server) } else { (server, client) };
        let last_ns = asking.answered.as_ref().map(|answered| answered.time_ns);
        let Some((first_asked_ns, last_asked_ns)) = asking.asked_ns else {
            // An answer whose question may be late.
            return self.started_ns().saturating_add(limits.lateness_ns);
        };
        let unanswered_ns = last_asked_ns
            .saturating_add(limits.silence_ns)
            .min(first_asked_ns.saturating_add(limits.asking_ns));
        let due_ns = match last_ns {
            None => unanswered_ns,
            // It is on this host, or may be.
            Some(last_ns) if !other.is_untouched() || self.is_local() => {
                last_ns.saturating_add(limits.patience_ns)
            }
            Some(last_ns) => last_ns.saturating_add(limits.lateness_ns),
        };
        match (self.is_told, last_ns) {
            (false, _) => due_ns,
            (true, None) => due_ns.saturating_add(limits.silence_ns),
            (true, Some(_)) => due_ns.saturating_add(limits.patience_ns),
        }
    }

    /// Whether the addresses say that both ends are on this host.
    fn is_local(&self) -> bool {
        self.client.ip().is_loopback()
            || self.server.ip().is_loopback()
            || self.client.ip() == self.server.ip()
    }

    /// What is known of it. `None` where nobody asked.
    pub(super) fn exchange(&self, outcome: Outcome, clock: &Clock) -> Option<Exchange> {
        let client = self.view(Side::Client, outcome);
        let server = self.view(Side::Server, outcome);
        match (client, server) {
            (Some(client), Some(server)) => Some(join(client, &server, clock)),
            (Some(view), None) | (None, Some(view)) => Some(alone(view, clock)),
            (None, None) => None,
        }
    }

    /// The exchange as one end saw it; what was said is the same for both.
    fn view(&self, end: Side, outcome: Outcome) -> Option<View> {
        let own = &self.ends[index(end)];
        own.asked_ns?;
        let started_ns = self.begun_ns(end)?;
        let answered = own.answered.as_ref();
        let [client, server] = &self.ends;
        let answer = client.answered.as_ref().or(server.answered.as_ref());
        let retries = client.retries.max(server.retries);
        let asked = Asked { retries, ..self.asked.clone() };
        let said = answer.map(|answered| (&answered.answer, answered.bytes));
        let answering_pid = answered.map_or(own.asking_pid, |answered| answered.pid);
        Some(View {
            key: ConnectionKey { socket: 0, generation: 0 },
            role: if end == Side::Client { Role::Client } else { Role::Server },
            client: self.client,
            server: self.server,
            network_namespace: own.network_namespace.unwrap_or_default(),
            request_position: Position(0),
            response_position: answered.map(|_| Position(0)),
            started_ns,
            response_ns: answered.map(|answered| answered.time_ns),
            ended_ns: answered.map_or(started_ns, |answered| answered.time_ns),
            pid: if end == Side::Client { own.asking_pid } else { answering_pid },
            tls: false,
            message: told::message(&asked, "udp", said, outcome),
        })
    }
}

fn same(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}
