//! TLS as it shows from outside: the headers of its records (RFC 8446 §5.1, RFC 5246 §6.2.1), and what
//! both sides say before they encrypt.
//!
//! Nothing here is needed to read inside: what a library takes and gives comes by itself (see
//! [`Source::Tls`](alaz_model::Source)).

mod hello;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use alaz_model::{Direction, Role, TlsFailure, TlsHandshake};

use crate::stream::{Input, Step};
use hello::Hello;

/// Type, version and length.
const HEADER: usize = 5;
/// A record of TLS 1.2 may be this much longer than its 2^14 bytes of plaintext.
const LENGTH_MAX: u16 = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// The level of an alert that ends the connection.
const FATAL: u8 = 2;

/// Segments that are looked at before it counts as begun.
const LOOKS: u8 = 16;

/// Whether a segment that begins like this carries TLS records.
pub(crate) fn is_record(bytes: &[u8]) -> bool {
    Record::first(bytes).is_some()
}

struct Record<'a> {
    kind: u8,
    length: usize,
    /// As much of its content as is there.
    content: &'a [u8],
}

impl Record<'_> {
    fn first(bytes: &[u8]) -> Option<Record<'_>> {
        let (&[kind, major, minor, high, low], rest) = bytes.split_first_chunk::<HEADER>()?;
        // Versions 3.0 (SSL 3) to 3.4.
        let length = u16::from_be_bytes([high, low]);
        let is_one = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
            && major == 3
            && minor <= 4
            && (1..=LENGTH_MAX).contains(&length);
        let length = usize::from(length);
        is_one.then(|| Record { kind, length, content: rest.get(..length).unwrap_or(rest) })
    }

    fn is_whole(&self) -> bool {
        self.content.len() == self.length
    }
}

/// How a connection begins: what is said openly, until both sides encrypt.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    handshake: Arc<TlsHandshake>,
    /// Something was added that nobody was told of.
    is_news: bool,
    /// It was not told yet that the connection carries TLS at all.
    is_told: bool,
    sent: Spoken,
    received: Spoken,
    looks: u8,
}

/// What one direction has said.
#[derive(Debug, Default)]
struct Spoken {
    hello: bool,
    /// All that follows is encrypted, or was not seen.
    is_over: bool,
}

impl Opening {
    /// What is said in one direction. Only where a segment begins, a record is sure to begin.
    pub(crate) fn read(&mut self, direction: Direction, role: Role, input: &Input<'_>) -> Step {
        if self.is_over() || self.spoken(direction).is_over || !input.is_fresh() {
            return Step::Ignore;
        }
        let mut rest = input.bytes;
        while let Some(record) = Record::first(rest) {
            if record.kind == HANDSHAKE
                && !record.is_whole()
                && !input.cut
                && !self.spoken(direction).hello
            {
                return Step::More;
            }
            self.take(direction, role, &record);
            if self.spoken(direction).is_over {
                break;
            }
            rest = rest.get(HEADER + record.length..).unwrap_or_default();
        }
        self.looks += 1;
        Step::Ignore
    }

    /// Bytes are missing in this direction.
    pub(crate) fn lost(&mut self, direction: Direction) {
        self.spoken(direction).is_over = true;
    }

    /// Whether nothing more will be learned.
    pub(crate) fn is_over(&self) -> bool {
        self.looks >= LOOKS
            || self.handshake.failure.is_some()
            || self.sent.is_over && self.received.is_over
    }

    /// What is known so far.
    pub(crate) fn handshake(&self) -> &Arc<TlsHandshake> {
        &self.handshake
    }

    /// What is known, if that is more than was told before.
    pub(crate) fn take_news(&mut self) -> Option<Arc<TlsHandshake>> {
        let is_news = std::mem::take(&mut self.is_news) || !self.is_told;
        self.is_told = true;
        is_news.then(|| Arc::clone(&self.handshake))
    }

    fn spoken(&mut self, direction: Direction) -> &mut Spoken {
        match direction {
            Direction::Send => &mut self.sent,
            Direction::Receive => &mut self.received,
        }
    }

    fn take(&mut self, direction: Direction, role: Role, record: &Record<'_>) {
        match record.kind {
            HANDSHAKE if !self.spoken(direction).hello => {
                if let Some(hello) = hello::read(record.content) {
                    self.spoken(direction).hello = true;
                    self.learn(hello);
                }
            }
            HANDSHAKE => {}
            ALERT => {
                if let &[FATAL, alert] = record.content
                    && let Some(by) = speaker(direction, role)
                {
                    self.add(|handshake| handshake.failure = Some(TlsFailure { by, alert }));
                }
                self.spoken(direction).is_over = true;
            }
            _ => self.spoken(direction).is_over = true,
        }
    }

    fn learn(&mut self, hello: Hello) {
        self.add(|handshake| match hello {
            Hello::Client { server_name } => handshake.server_name = server_name,
            Hello::Server { version, cipher, protocol } => {
                handshake.version = version;
                handshake.cipher = Some(cipher);
                handshake.protocol = protocol;
            }
        });
    }

    fn add(&mut self, add: impl FnOnce(&mut TlsHandshake)) {
        add(Arc::make_mut(&mut self.handshake));
        self.is_news = true;
    }
}

fn speaker(direction: Direction, role: Role) -> Option<Role> {
    match (direction, role) {
        (_, Role::Unknown) => None,
        (Direction::Send, role) => Some(role),
        (Direction::Receive, role) => Some(role.opposite()),
    }
}
