//! What the client says.

use std::sync::Arc;

use alaz_model::{Message, Outcome, Position, Protocol, UnpairedReason};
use compact_str::CompactString;

use super::pair::{Asked, Awaited, Begin, Session, shown};
use super::parse::{self, Frame, HEADER, NAMES_ENOUGH, Reading, Startup};
use super::{Conversation, Course, Place};
use crate::dialogue::{Claim, Context, Told};
use crate::sql::{self, TEXT_ENOUGH};
use crate::stream::{Input, Step};
use crate::tls;

impl Conversation {
    pub(super) fn read_requests(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        self.go_on(input.origin(0).started_ns, context);
        match self.requests {
            Place::Startup => self.read_startup(input, context),
            Place::Message => self.read_message(input, context),
            Place::Adrift => Some(self.find_message(input)),
        }
    }

    fn read_startup(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let begin = self.begins(input);
        let (awaited, length) = match parse::startup(input.bytes) {
            Reading::Is(Startup::Encryption) => (Awaited::Encryption, parse::ENCRYPTION_LENGTH),
            Reading::Is(Startup::Cancel) => {
                tell_cancel(begin, input.bytes.len(), context);
                return Some(Step::read(input.bytes.len()));
            }
            Reading::Is(Startup::Session { length, user, database, application }) => {
                self.session.user = shown(user);
                self.session.database = shown(database);
                self.session.application = shown(application);
                self.requests = Place::Message;
                (Awaited::Startup, length)
            }
            Reading::More => return Some(Step::More),
            // The answer to the question for encryption was yes.
            Reading::Invalid if tls::is_record(input.bytes) => return None,
            Reading::Invalid => {
                self.requests = Place::Adrift;
                self.lose_course(UnpairedReason::MidStream, context);
                return Some(Step::Again);
            }
        };
        self.queue.push_back(Asked {
            awaited,
            begin,
            end: input.position.plus(length as u64),
            error: None,
            is_reported: false,
            copy_ended: false,
        });
        Some(Step::read(length))
    }

    /// While adrift: do messages begin here?
    fn find_message(&mut self, input: &Input<'_>) -> Step {
        if !input.is_fresh() || self.copies_unseen {
            return Step::Ignore;
        }
        if let Reading::Is(_) = parse::startup(input.bytes) {
            self.requests = Place::Startup;
            return Step::Again;
        }
        match parse::claim_requests(input.bytes) {
            Claim::Yes(_) => {
                self.requests = Place::Message;
                Step::Again
            }
            Claim::Maybe if !input.cut => Step::More,
            Claim::Maybe | Claim::No => Step::Ignore,
        }
    }

    fn read_message(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
        let frame = match parse::frame(input.bytes) {
            Reading::Is(frame) if parse::is_request(&frame) => frame,
            Reading::More => return Some(Step::More),
            Reading::Is(_) | Reading::Invalid => return self.misread_request(context),
        };
        let Some(awaited) = self.awaited(&frame, input.cut) else {
            return if frame.is_whole || input.cut {
                self.misread_request(context)
            } else {
                Some(Step::More)
            };
        };
        let end = input.position.plus(frame.length as u64);
        match awaited {
            Said::Asks(awaited) => self.ask(awaited, end, input, context),
            Said::Flush => self.batch = None,
            Said::CopyEnd => self.end_copy(),
            Said::Nothing => {}
        }
        let bytes = HEADER + frame.body.len();
        Some(Step::Read { bytes, then_pass: (frame.length - bytes) as u64 })
    }

    fn misread_request(&mut self, context: &mut Context<'_>) -> Option<Step> {
        if !self.proven {
            return None;
        }
        self.requests = Place::Adrift;
        self.forget_names();
        self.lose_course(UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    /// What a message is; `None` while too little of it is there.
    fn awaited(&self, frame: &Frame<'_>, cut: bool) -> Option<Said> {
        let body = frame.body;
        let is_enough = |text: &[u8]| frame.is_whole || cut || text.len() >= TEXT_ENOUGH;
        let statement = |text: &[u8]| {
            let whole = parse::text(text);
            let text = whole.map_or(text, |(text, _)| text);
            Arc::new(sql::normalise(text, whole.is_some(), self.dialect))
        };
        Some(Said::Asks(match frame.kind {
            b'Q' => Awaited::Query(is_enough(body).then(|| statement(body))?),
            b'P' => {
                let (name, text) = parse::text(body).filter(|(name, _)| is_short(name))?;
                let statement = is_enough(text).then(|| statement(text))?;
                Awaited::Parse { name: CompactString::from_utf8_lossy(name), statement }
            }
            b'B' => {
                let (portal, rest) = parse::text(body).filter(|(name, _)| is_short(name))?;
                let (statement, _) = parse::text(rest).filter(|(name, _)| is_short(name))?;
                Awaited::Bind {
                    portal: CompactString::from_utf8_lossy(portal),
                    statement: CompactString::from_utf8_lossy(statement),
                }
            }
            b'E' => {
                let (portal, _) = parse::text(body).filter(|(name, _)| is_short(name))?;
                let portal = CompactString::from_utf8_lossy(portal);
                Awaited::Execute { portal }
            }
            kind @ (b'D' | b'C') => {
                let (what, rest) = body.split_first()?;
                let (name, _) = parse::text(rest).filter(|(name, _)| is_short(name))?;
                let name = CompactString::from_utf8_lossy(name);
                let is_portal = *what == b'P';
                match kind {
                    b'D' => Awaited::Describe { name, is_portal },
                    _ => Awaited::Close { name, is_portal },
                }
            }
            b'F' => Awaited::FunctionCall,
            b'S' => Awaited::Sync,
            b'H' => return Some(Said::Flush),
            b'c' | b'f' => return Some(Said::CopyEnd),
            // COPY data, passwords and the like, Terminate.
            _ => return Some(Said::Nothing),
        }))
    }

    fn ask(
        &mut self,
        awaited: Awaited,
        end: Position,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        let own = self.begins(input);
        let is_sync = matches!(awaited, Awaited::Sync);
        let ends_cycle =
            matches!(awaited, Awaited::Sync | Awaited::Query(_) | Awaited::FunctionCall);
        let cycle_ended = std::mem::replace(&mut self.cycle_ended, ends_cycle);
        let begin = match awaited {
            Awaited::Execute { .. } => self.batch.take().unwrap_or(own),
            Awaited::Sync | Awaited::Query(_) | Awaited::FunctionCall => {
                self.batch = None;
                own
            }
            _ => *self.batch.get_or_insert(own),
        };
        if let Course::Adrift(reason) = self.course {
            // A second cycle while nothing was heard since the first began: it does not wait.
            self.pipelines |= cycle_ended && self.heard.ended_ns < self.cycle_began_ns;
            let is_turn = !is_sync
                && cycle_ended
                && !self.pipelines
                && input.is_fresh()
                && own.started_ns >= self.heard.started_ns;
            if !is_turn {
                let asked = Asked {
                    awaited,
                    begin,
                    end,
                    error: None,
                    is_reported: false,
                    copy_ended: false,
                };
                context.exchanges.give_up(reason, u64::from(asked.is_exchange()));
                self.doubt(&asked.awaited);
                if cycle_ended {
                    self.cycle_began_ns = own.started_ns;
                }
                return;
            }
            self.course = Course::Tentative;
        }
        if cycle_ended {
            self.cycle_began_ns = own.started_ns;
        }
        if self.skips || self.copies_in && is_sync {
            self.skips &= !is_sync || self.copies_in;
            if !is_sync || self.copies_in {
                return;
            }
        }
        if self.has_room(context) {
            self.queue.push_back(Asked {
                awaited,
                begin,
                end,
                error: None,
                is_reported: false,
                copy_ended: false,
            });
        }
    }

    /// The end of COPY data. The server does not answer a Sync that came between an Execute and it.
    fn end_copy(&mut self) {
        if std::mem::take(&mut self.copies_in) {
            return;
        }
        let last = self.queue.iter().rposition(|asked| !matches!(asked.awaited, Awaited::Sync));
        if let Some(last) = last
            && let Some(asked) = self.queue.get_mut(last)
            && asked.may_copy()
        {
            asked.copy_ended = true;
            self.queue.truncate(last + 1);
        }
    }

    fn begins(&self, input: &Input<'_>) -> Begin {
        let origin = input.origin(0);
        let started_ns = origin.moved_ns(self.heard.started_ns);
        Begin { position: input.position, started_ns, pid: origin.pid }
    }
}

/// What a message of the client's means for the queue.
enum Said {
    Asks(Awaited),
    Flush,
    CopyEnd,
    Nothing,
}

fn is_short(name: &[u8]) -> bool {
    name.len() <= NAMES_ENOUGH
}

fn tell_cancel(begin: Begin, length: usize, context: &mut Context<'_>) {
    context.tell(Told {
        request_position: begin.position,
        response_position: None,
        started_ns: begin.started_ns,
        response_ns: None,
        ended_ns: begin.started_ns,
        client_pid: begin.pid,
        server_pid: begin.pid,
        message: Message {
            protocol: Protocol::Postgresql,
            method: CompactString::const_new("CANCEL"),
            target: CompactString::default(),
            route: CompactString::default(),
            status: CompactString::default(),
            error: false,
            outcome: Outcome::OneWay,
            request_bytes: length as u64,
            response_bytes: 0,
            attributes: Session::default().attributes("CANCEL", CompactString::default()),
        },
    });
}
