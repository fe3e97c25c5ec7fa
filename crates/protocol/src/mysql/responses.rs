//! What the server says.

use alaz_model::{Outcome, UnpairedReason};

use super::pair::{Reply, Stage, Subject};
use super::parse::{self, FULL, HEADER, PROGRESS, Packet, status};
use super::{Conversation, Place};
use crate::dialogue::Context;
use crate::stream::{Input, Step};

/// MariaDB: definitions of columns that the client knows are left out.
const CACHES_METADATA: u32 = 1 << 4;
/// MySQL: the same.
const OPTIONAL_METADATA: u32 = 1 << 25;

/// What a packet is to the reply it is part of.
enum Fit {
    Part,
    Ends,
    Not,
}

impl Conversation {
    pub(super) fn read_responses(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        if self.missing.is_some() {
            return Some(self.read_blind(input));
        }
        if self.requests == Place::Login && self.session.capabilities.is_none() {
            return self.read_greeting(input);
        }
        if !self.is_framed
            && let Some(step) = self.find_packet(input, context)
        {
            return Some(step);
        }
        let mut read = 0;
        loop {
            let bytes = input.bytes.get(read..).unwrap_or_default();
            if bytes.is_empty() {
                return Some(Step::read(read));
            }
            // What stands before has been answered to: it is taken first.
            let or_read = |step| if read > 0 { Step::read(read) } else { step };
            let Some(packet) = parse::packet(bytes).filter(Packet::is_enough) else {
                return Some(or_read(Step::More));
            };
            if self.queue.is_empty() && !self.is_continued && !is_late_eof(&packet) {
                if !input.forced {
                    return Some(or_read(Step::Wait));
                }
                return self.stray(context);
            }
            if !self.take_packet(&packet, read, input, context) {
                return self.stray(context);
            }
            if self.requests == Place::Opaque {
                return Some(Step::Ignore);
            }
            let seen = HEADER + packet.body.len();
            read += seen;
            if !packet.is_whole() {
                let then_pass = (packet.length - packet.body.len()) as u64;
                return Some(Step::Read { bytes: read, then_pass });
            }
        }
    }

    fn read_greeting(&mut self, input: &Input<'_>) -> Option<Step> {
        let packet = match parse::packet(input.bytes) {
            Some(packet) if packet.is_whole() || input.cut => packet,
            _ => return Some(Step::More),
        };
        let greeting = parse::greeting(packet.body)?;
        self.session.capabilities = Some(greeting.capabilities);
        self.session.extended = greeting.extended;
        self.session.is_mariadb = Some(greeting.is_mariadb);
        Some(Step::read(HEADER + packet.length))
    }

    /// `None` at the beginning of the reply to a client that had waited for everything before.
    fn find_packet(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let Some(front) = self.queue.front() else { return Some(Step::Ignore) };
        let started_ns = front.begin.started_ns;
        if input.origin(0).ended_ns < started_ns {
            let (mut old, mut new) = (1, input.bytes.len());
            while old < new {
                let middle = old.midpoint(new);
                if input.origin(middle).ended_ns < started_ns {
                    old = middle + 1;
                } else {
                    new = middle;
                }
            }
            return Some(Step::read(old));
        }
        self.is_framed = input.is_fresh();
        if self.is_framed {
            return None;
        }
        self.lose_course(UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    /// What the server says answers nothing that it was seen to be asked.
    fn stray(&mut self, context: &mut Context<'_>) -> Option<Step> {
        if !self.proven {
            return None;
        }
        self.lose_course(UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    /// Takes a packet as part of the reply to the front of the queue. `false` where it is not.
    fn take_packet(
        &mut self,
        packet: &Packet<'_>,
        offset: usize,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        let origin = input.origin(offset);
        let Some(front) = self.queue.front_mut() else {
            self.is_continued &= packet.length == FULL;
            return true;
        };
        let is_next = packet.sequence == front.sequence || self.file_unseen;
        if origin.ended_ns < front.begin.started_ns || !is_next {
            return is_late_eof(packet) && front.reply.is_none();
        }
        front.sequence = packet.sequence.wrapping_add(1);
        let position = input.position.plus(offset as u64);
        if front.reply.is_none() {
            let started_ns = origin.moved_ns(front.begin.started_ns);
            front.reply = Some(Reply { position, started_ns, pid: origin.pid });
        }
        if std::mem::replace(&mut self.is_continued, packet.length == FULL) {
            return true;
        }
        let fit = self.fit(packet);
        let is_last = matches!(fit, Fit::Ends);
        match fit {
            Fit::Part => self.proven |= packet.length > 0,
            Fit::Ends => {
                self.proven = true;
                let seen = HEADER + packet.body.len();
                let end = position.plus((HEADER + packet.length) as u64);
                let last = input.origin(offset + seen.saturating_sub(1));
                let is_login = self.queue.front().is_some_and(|front| front.stage == Stage::Login);
                self.finish(Outcome::Complete, (end, last), context);
                if is_login && self.session.is_compressed() {
                    self.requests = Place::Opaque;
                }
            }
            Fit::Not => return false,
        }
        // Where no EOF is due the last definition is the end.
        if !is_last && self.is_prepared() {
            let end = position.plus((HEADER + packet.length) as u64);
            let last = input.origin(offset + HEADER + packet.body.len().saturating_sub(1));
            self.finish(Outcome::Complete, (end, last), context);
        }
        true
    }

    fn is_prepared(&self) -> bool {
        let deprecates_eof = self.session.deprecates_eof;
        self.queue.front().is_some_and(|front| match front.stage {
            Stage::Prepared { parameters: 0, columns: 0, eof_is_due } => {
                !eof_is_due || deprecates_eof != Some(false)
            }
            _ => false,
        })
    }

    fn fit(&mut self, packet: &Packet<'_>) -> Fit {
        let Some(stage) = self.queue.front().map(|front| front.stage) else { return Fit::Not };
        let first = packet.body.first().copied();
        if first == Some(0xff) && stage != Stage::Text {
            return self.fail(packet);
        }
        match (stage, first) {
            (Stage::Plain | Stage::Login, Some(0)) => self.end_with(parse::ok_status(packet.body)),
            (Stage::Login, Some(1 | 0xfe)) => Fit::Part,
            (Stage::Plain, Some(0xfe)) => Fit::Ends,
            (Stage::Text, Some(_)) => Fit::Ends,
            (Stage::Events, Some(0)) => {
                self.requests = Place::Opaque;
                Fit::Part
            }
            (Stage::Result, Some(0)) if packet.length >= 7 => {
                self.end_with(parse::ok_status(packet.body))
            }
            (Stage::Result, Some(0xfb)) => {
                self.sends_file = true;
                Fit::Part
            }
            (Stage::Result, Some(_)) => self.begin_columns(packet),
            (Stage::Columns(0), _) => self.end_columns(packet),
            (Stage::Columns(left), Some(_)) => self.go_to(Stage::Columns(left - 1)),
            (Stage::Rows, Some(0xfe)) if parse::is_eof(packet) => {
                self.end_with(parse::eof_status(packet.body))
            }
            (Stage::Rows, Some(0xfe)) if packet.length < FULL => {
                self.end_with(parse::ok_status(packet.body))
            }
            (Stage::Rows, Some(_)) => Fit::Part,
            (Stage::Prepare, Some(0)) => self.begin_prepared(packet),
            (Stage::Prepared { parameters, columns, eof_is_due }, Some(_)) => {
                self.read_prepared(packet, parameters, columns, eof_is_due)
            }
            (Stage::Fields, Some(0xfe)) => Fit::Ends,
            (Stage::Fields, Some(_)) => Fit::Part,
            _ => Fit::Not,
        }
    }

    fn go_to(&mut self, stage: Stage) -> Fit {
        if let Some(front) = self.queue.front_mut() {
            front.stage = stage;
        }
        Fit::Part
    }

    /// A result ends; another one may follow.
    fn end_with(&mut self, flags: Option<u16>) -> Fit {
        let Some(flags) = flags else { return Fit::Not };
        self.dialect.backslash_escapes = flags & status::NO_BACKSLASH_ESCAPES == 0;
        if flags & status::MORE_RESULTS != 0 { self.go_to(Stage::Result) } else { Fit::Ends }
    }

    fn fail(&mut self, packet: &Packet<'_>) -> Fit {
        let Some(failure) = parse::failure(packet.body) else { return Fit::Not };
        if failure.number == PROGRESS {
            return Fit::Part;
        }
        if let Some(front) = self.queue.front_mut() {
            front.fail(failure);
        }
        Fit::Ends
    }

    /// The number of columns, and whether their definitions follow.
    fn begin_columns(&mut self, packet: &Packet<'_>) -> Fit {
        let optional =
            self.session.capabilities.is_some_and(|known| known & OPTIONAL_METADATA != 0);
        let caches = self.session.extended & CACHES_METADATA != 0;
        let is_unknown = self.session.capabilities.is_none();
        let columns = match (packet.body, parse::integer(packet.body)) {
            (_, Some((columns, []))) if columns > 0 => Some(columns),
            (_, Some((columns, [1]))) if columns > 0 && (caches || is_unknown) => Some(columns),
            (_, Some((columns, [0]))) if columns > 0 && (caches || is_unknown) => Some(0),
            ([0, _, ..], _) if optional || is_unknown && packet.length < 7 => Some(0),
            ([1, rest @ ..], _) if optional || is_unknown => {
                parse::integer(rest).filter(|(_, rest)| rest.is_empty()).map(|(count, _)| count)
            }
            _ => None,
        };
        columns.map_or(Fit::Not, |columns| self.go_to(Stage::Columns(columns)))
    }

    /// After the definitions of columns: EOF, or already the rows.
    fn end_columns(&mut self, packet: &Packet<'_>) -> Fit {
        let is_eof = parse::is_eof(packet);
        match self.session.deprecates_eof {
            Some(false) if !is_eof => return Fit::Not,
            None => self.session.deprecates_eof = Some(!is_eof),
            _ => {}
        }
        self.go_to(Stage::Rows);
        if !is_eof || self.session.deprecates_eof == Some(true) {
            return self.fit(packet);
        }
        // The rows stay with the server until they are fetched.
        match parse::eof_status(packet.body) {
            Some(flags) if flags & status::CURSOR_EXISTS != 0 => Fit::Ends,
            Some(_) => Fit::Part,
            None => Fit::Not,
        }
    }

    /// The number of the statement, of its columns and parameters.
    fn begin_prepared(&mut self, packet: &Packet<'_>) -> Fit {
        let &[0, a, b, c, d, columns, columns_high, parameters, parameters_high, ..] = packet.body
        else {
            return Fit::Not;
        };
        let number = u32::from_le_bytes([a, b, c, d]);
        if let Some(Subject::Prepare(statement)) = self.queue.front().map(|front| &front.subject) {
            self.statements.insert(number, std::sync::Arc::clone(statement));
            self.last_prepared = Some(number);
        }
        let has_definitions = packet.body.get(12) != Some(&0);
        let count = |low, high| if has_definitions { u16::from_le_bytes([low, high]) } else { 0 };
        let columns = count(columns, columns_high);
        let parameters = count(parameters, parameters_high);
        self.go_to(Stage::Prepared { parameters, columns, eof_is_due: false })
    }

    fn read_prepared(
        &mut self,
        packet: &Packet<'_>,
        mut parameters: u16,
        mut columns: u16,
        mut eof_is_due: bool,
    ) -> Fit {
        let is_eof = parse::is_eof(packet);
        if eof_is_due && self.session.deprecates_eof.is_none() {
            self.session.deprecates_eof = Some(!is_eof);
        }
        if eof_is_due && is_eof {
            eof_is_due = false;
        } else if is_eof || eof_is_due && self.session.deprecates_eof == Some(false) {
            return Fit::Not;
        } else if parameters > 0 {
            parameters -= 1;
            eof_is_due = parameters == 0;
        } else if columns > 0 {
            columns -= 1;
            eof_is_due = columns == 0;
        } else {
            return Fit::Not;
        }
        self.go_to(Stage::Prepared { parameters, columns, eof_is_due })
    }
}

/// An EOF after the definitions of a prepared statement, where it was not known that one would come.
fn is_late_eof(packet: &Packet<'_>) -> bool {
    parse::is_eof(packet) && packet.sequence > 1
}
