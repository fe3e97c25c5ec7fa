//! MySQL's and MariaDB's packets ("Client/Server Protocol" of both manuals).

use crate::dialogue::{Claim, Side};
use crate::sql::{self, Dialect};

/// Length and sequence number.
pub(super) const HEADER: usize = 4;
/// A packet of this length is continued by the next one.
pub(super) const FULL: usize = 0xff_ffff;
/// No decision takes more of a packet than this.
pub(super) const ENOUGH: usize = 40;

/// Capabilities, as far as they change what is said after them.
pub(super) mod capability {
    pub(crate) const MYSQL: u32 = 1;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const COMPRESS: u32 = 1 << 5;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const LENGTH_ENCODED_AUTH: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    pub(crate) const ZSTD: u32 = 1 << 26;
    pub(crate) const QUERY_ATTRIBUTES: u32 = 1 << 27;
}

/// Status flags.
pub(super) mod status {
    pub(crate) const MORE_RESULTS: u16 = 1 << 3;
    pub(crate) const CURSOR_EXISTS: u16 = 1 << 6;
    pub(crate) const NO_BACKSLASH_ESCAPES: u16 = 1 << 9;
}

/// Commands.
pub(super) mod command {
    pub(crate) const QUIT: u8 = 0x01;
    pub(crate) const INIT_DB: u8 = 0x02;
    pub(crate) const QUERY: u8 = 0x03;
    pub(crate) const FIELD_LIST: u8 = 0x04;
    pub(crate) const STATISTICS: u8 = 0x09;
    pub(crate) const PROCESS_INFO: u8 = 0x0a;
    pub(crate) const CHANGE_USER: u8 = 0x11;
    pub(crate) const BINLOG_DUMP: u8 = 0x12;
    pub(crate) const STMT_PREPARE: u8 = 0x16;
    pub(crate) const STMT_EXECUTE: u8 = 0x17;
    pub(crate) const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub(crate) const STMT_CLOSE: u8 = 0x19;
    pub(crate) const STMT_RESET: u8 = 0x1a;
    pub(crate) const STMT_FETCH: u8 = 0x1c;
    pub(crate) const BINLOG_DUMP_GTID: u8 = 0x1e;
    /// MariaDB's.
    pub(crate) const STMT_BULK_EXECUTE: u8 = 0xfa;

    /// Its name, as it is shown.
    pub(crate) fn name(command: u8) -> Option<&'static str> {
        Some(match command {
            QUIT => "QUIT",
            INIT_DB => "INIT_DB",
            QUERY => "QUERY",
            FIELD_LIST => "FIELD_LIST",
            0x05 => "CREATE_DB",
            0x06 => "DROP_DB",
            0x07 => "REFRESH",
            0x08 => "SHUTDOWN",
            STATISTICS => "STATISTICS",
            PROCESS_INFO => "PROCESS_INFO",
            0x0c => "PROCESS_KILL",
            0x0d => "DEBUG",
            0x0e => "PING",
            CHANGE_USER => "CHANGE_USER",
            BINLOG_DUMP | BINLOG_DUMP_GTID => "BINLOG_DUMP",
            0x15 => "REGISTER_REPLICA",
            STMT_PREPARE => "PREPARE",
            STMT_EXECUTE | STMT_BULK_EXECUTE => "EXECUTE",
            STMT_SEND_LONG_DATA => "SEND_LONG_DATA",
            STMT_CLOSE => "CLOSE",
            STMT_RESET => "RESET",
            0x1b => "SET_OPTION",
            STMT_FETCH => "FETCH",
            0x1f => "RESET_CONNECTION",
            _ => return None,
        })
    }
}

/// A packet, of which the beginning is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) sequence: u8,
    /// Of its body.
    pub(super) length: usize,
    /// As much as is there.
    pub(super) body: &'a [u8],
}

impl Packet<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.body.len() == self.length
    }

    /// Whether what decides is there.
    pub(super) fn is_enough(&self) -> bool {
        self.body.len() >= self.length.min(ENOUGH)
    }
}

pub(super) fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let (&[a, b, c, sequence], rest) = bytes.split_first_chunk::<HEADER>()?;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    Some(Packet { sequence, length, body: rest.get(..length).unwrap_or(rest) })
}

/// What the server says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) is_mariadb: bool,
    pub(super) capabilities: u32,
    /// MariaDB's own.
    pub(super) extended: u32,
}

/// Initial handshake, protocol version 10.
pub(super) fn greeting(body: &[u8]) -> Option<Greeting> {
    let (&10, rest) = body.split_first()? else { return None };
    let (version, rest) = text(rest)?;
    let is_version = version.first().is_some_and(u8::is_ascii_digit)
        && version.iter().all(u8::is_ascii_graphic)
        && version.contains(&b'.');
    if !is_version {
        return None;
    }
    // Thread, 8 bytes of challenge, a zero, capabilities, character set, status, capabilities.
    let fields = rest.get(..20)?;
    let &[.., 0, low, high, _, _, _, low2, high2] = fields else { return None };
    let capabilities = u32::from_le_bytes([low, high, low2, high2]);
    let extended = match rest.get(27..31).and_then(|bytes| bytes.first_chunk()) {
        Some(extended) if capabilities & capability::MYSQL == 0 => u32::from_le_bytes(*extended),
        _ => 0,
    };
    let is_mariadb = memchr::memmem::find(version, b"MariaDB").is_some();
    Some(Greeting { is_mariadb, capabilities, extended })
}

/// What the client answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login<'a> {
    /// The rest is TLS.
    Tls,
    Session {
        capabilities: u32,
        extended: u32,
        user: &'a [u8],
        database: &'a [u8],
    },
}

pub(super) fn login(body: &[u8]) -> Option<Login<'_>> {
    let capabilities = u32::from_le_bytes(*body.first_chunk()?);
    if capabilities & capability::PROTOCOL_41 == 0 {
        return None;
    }
    let (fixed, rest) = body.split_at_checked(32)?;
    if rest.is_empty() && capabilities & capability::SSL != 0 {
        return Some(Login::Tls);
    }
    let extended = match fixed.last_chunk() {
        Some(extended) if capabilities & capability::MYSQL == 0 => u32::from_le_bytes(*extended),
        _ => 0,
    };
    let (user, rest) = text(rest)?;
    let after_proof = if capabilities & capability::LENGTH_ENCODED_AUTH != 0 {
        integer(rest).and_then(|(length, rest)| rest.get(usize::try_from(length).ok()?..))
    } else if capabilities & capability::SECURE_CONNECTION != 0 {
        rest.split_first().and_then(|(length, rest)| rest.get(usize::from(*length)..))
    } else {
        text(rest).map(|(_, rest)| rest)
    };
    let has_database = capabilities & capability::CONNECT_WITH_DB != 0;
    let database = after_proof.filter(|_| has_database).and_then(text);
    let database = database.map_or(&[][..], |(database, _)| database);
    Some(Login::Session { capabilities, extended, user, database })
}

/// A text that ends with a zero byte, and what follows it.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// A length-encoded integer, and what follows it.
pub(super) fn integer(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let size = match first {
        0..=0xfa => return Some((u64::from(first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let (number, rest) = rest.split_at_checked(size)?;
    Some((number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)), rest))
}

/// Status flags of an OK packet, whose first byte is 0 or, in place of an EOF packet, 0xfe.
pub(super) fn ok_status(body: &[u8]) -> Option<u16> {
    let (_affected, rest) = integer(body.get(1..)?)?;
    let (_insert_id, rest) = integer(rest)?;
    Some(u16::from_le_bytes(*rest.first_chunk()?))
}

pub(super) fn is_eof(packet: &Packet<'_>) -> bool {
    packet.length == 5 && packet.body.first() == Some(&0xfe)
}

pub(super) fn eof_status(body: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(*body.get(3..)?.first_chunk()?))
}

/// What is read of an ERR packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure<'a> {
    pub(super) number: u16,
    /// SQLSTATE; empty where there is none.
    pub(super) state: &'a [u8],
}

/// In place of an error number: MariaDB tells how far it has come.
pub(super) const PROGRESS: u16 = 0xffff;

pub(super) fn failure(body: &[u8]) -> Option<Failure<'_>> {
    let (&0xff, rest) = body.split_first()? else { return None };
    let (number, rest) = rest.split_first_chunk::<2>()?;
    let state = match rest {
        [b'#', state @ ..] => state.get(..5).unwrap_or_default(),
        _ => &[],
    };
    let is_state = state.iter().all(u8::is_ascii_alphanumeric);
    let state = if is_state { state } else { &[] };
    Some(Failure { number: u16::from_le_bytes(*number), state })
}

/// The text of a COM_QUERY; `None` where attributes stand before it that are not read.
pub(super) fn query(body: &[u8], capabilities: Option<u32>) -> Option<&[u8]> {
    let text = body.get(1..)?;
    match (capabilities, text) {
        (Some(known), _) if known & capability::QUERY_ATTRIBUTES == 0 => Some(text),
        // No attributes, in one set.
        (_, [0, 1, text @ ..]) => Some(text),
        (Some(_), _) => None,
        (None, [first, ..]) if *first < 9 => None,
        (None, _) => Some(text),
    }
}

/// How the reply to a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended<'a> {
    Complete,
    Failed(Failure<'a>),
}

/// Looks for the last packet of a result at the end of a segment.
pub(super) fn ended(bytes: &[u8]) -> Option<Ended<'_>> {
    for length in 5..=bytes.len().saturating_sub(HEADER) {
        let Some(packet) = bytes.get(bytes.len() - length - HEADER..).and_then(packet) else {
            break;
        };
        if packet.length != length {
            continue;
        }
        let status = match packet.body {
            [0xfe, ..] if length == 5 => eof_status(packet.body),
            [0xfe, 0, 0, ..] => ok_status(packet.body),
            [0xff, ..] => match failure(packet.body) {
                Some(failure) if !failure.state.is_empty() && failure.number != PROGRESS => {
                    return Some(Ended::Failed(failure));
                }
                _ => None,
            },
            _ => None,
        };
        if status.is_some_and(|status| status & status::MORE_RESULTS == 0) {
            return Some(Ended::Complete);
        }
    }
    None
}

pub(super) fn claim(bytes: &[u8], cut: bool) -> Claim {
    let Some(packet) = packet(bytes) else {
        return if !cut && matches!(bytes, [_, _, 0, ..] | [_, _] | [_]) {
            Claim::Maybe
        } else {
            Claim::No
        };
    };
    if packet.sequence != 0 || packet.length > FULL - 1 {
        return Claim::No;
    }
    let follows = bytes.len() > HEADER + packet.length;
    let wait = if packet.is_whole() || cut { Claim::No } else { Claim::Maybe };
    match packet.body {
        [10, ..] if packet.is_whole() && !follows => match greeting(packet.body) {
            Some(_) => Claim::Yes(Side::Server),
            None => Claim::No,
        },
        [10, ..] if packet.length < 512 => wait,
        [] if packet.length > 0 => wait,
        _ if follows => Claim::No,
        _ => match is_command(&packet) {
            Some(true) => Claim::Yes(Side::Client),
            Some(false) => Claim::No,
            None => wait,
        },
    }
}

/// Whether a packet is certainly a command; `None` where more of it could tell.
pub(super) fn is_command(packet: &Packet<'_>) -> Option<bool> {
    match packet.body {
        [command::QUERY | command::STMT_PREPARE, ..] => {
            let is_statement = query(packet.body, None).is_some_and(|text| {
                let text = text.get(..64).unwrap_or(text);
                !text.contains(&0)
                    && !sql::normalise(text, packet.is_whole(), Dialect::MYSQL).method.is_empty()
            });
            if is_statement || packet.is_enough() { Some(is_statement) } else { None }
        }
        // Statement, flags, and one as the number of iterations.
        [command::STMT_EXECUTE, _, _, _, _, flags, 1, 0, 0, 0, ..] => Some(*flags < 16),
        [command::STMT_EXECUTE, ..] if packet.length >= 10 && !packet.is_enough() => None,
        _ => Some(false),
    }
}
