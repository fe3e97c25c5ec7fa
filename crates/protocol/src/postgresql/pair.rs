//! What the server has been asked, and the exchange that becomes of it.

use std::sync::Arc;

use alaz_model::{Attributes, Message, Outcome, Position, Protocol, UnpairedReason};
use compact_str::CompactString;

use super::{Conversation, Course};
use crate::dialogue::{Context, Told};
use crate::sql::Statement;
use crate::stream::Origin;

/// Longer names of users, databases and applications are cut (`NAMEDATALEN` is 64).
const NAME_MAX: usize = 64;

/// First byte of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
}

/// First byte of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    /// Where what it answers begins.
    pub(super) to: Position,
    pub(super) position: Position,
    pub(super) origin: Origin,
}

/// What the server owes an answer to.
pub(super) enum Awaited {
    /// One byte: whether the connection will be encrypted.
    Encryption,
    /// Authentication, parameters, ReadyForQuery.
    Startup,
    Query(Arc<Statement>),
    FunctionCall,
    Parse {
        name: CompactString,
        statement: Arc<Statement>,
    },
    Bind {
        portal: CompactString,
        statement: CompactString,
    },
    Describe {
        name: CompactString,
        is_portal: bool,
    },
    Close {
        name: CompactString,
        is_portal: bool,
    },
    Execute {
        portal: CompactString,
    },
    Sync,
}

/// A message that the server has been sent.
pub(super) struct Asked {
    pub(super) awaited: Awaited,
    pub(super) begin: Begin,
    /// Just after its last byte.
    pub(super) end: Position,
    /// The SQLSTATE of the first error in its answer.
    pub(super) error: Option<CompactString>,
    /// It was reported as never answered.
    pub(super) is_reported: bool,
    /// The client has ended COPY data for it.
    pub(super) copy_ended: bool,
}

impl Asked {
    /// Whether it becomes an exchange, also where nothing fails.
    pub(super) fn is_exchange(&self) -> bool {
        matches!(self.awaited, Awaited::Query(_) | Awaited::FunctionCall | Awaited::Execute { .. })
    }

    /// Whether it may ask for COPY data.
    pub(super) fn may_copy(&self) -> bool {
        matches!(self.awaited, Awaited::Query(_) | Awaited::Execute { .. })
    }

    /// Whether it is about a statement of the extended protocol.
    fn is_extended(&self) -> bool {
        match self.awaited {
            Awaited::Parse { .. }
            | Awaited::Bind { .. }
            | Awaited::Describe { .. }
            | Awaited::Execute { .. } => true,
            Awaited::Query(_)
            | Awaited::FunctionCall
            | Awaited::Close { .. }
            | Awaited::Startup
            | Awaited::Encryption
            | Awaited::Sync => false,
        }
    }
}

/// What is known of the session.
#[derive(Default)]
pub(super) struct Session {
    pub(super) user: CompactString,
    pub(super) database: CompactString,
    pub(super) application: CompactString,
}

impl Session {
    /// OpenTelemetry semantic conventions, database attributes; what is not known is left out.
    pub(super) fn attributes(&self, method: &'static str, code: CompactString) -> Attributes {
        let known = [
            ("db.operation.name", CompactString::const_new(method)),
            ("db.namespace", self.database.clone()),
            ("db.user", self.user.clone()),
            ("alaz.application_name", self.application.clone()),
            ("db.response.status_code", code),
        ];
        let mut attributes = Attributes::new();
        attributes.push(("db.system.name", CompactString::const_new("postgresql")));
        attributes.extend(known.into_iter().filter(|(_, value)| !value.is_empty()));
        attributes
    }
}

/// A name as it is shown.
pub(super) fn shown(name: &[u8]) -> CompactString {
    let mut shown = CompactString::from_utf8_lossy(name);
    shown.truncate(shown.floor_char_boundary(NAME_MAX));
    shown
}

impl Conversation {
    /// What a message is about: method and text, empty where that is not known.
    fn subject(&mut self, index: usize) -> (&'static str, CompactString) {
        let Some(asked) = self.queue.get(index) else { return ("", CompactString::default()) };
        let (otherwise, statement) = match &asked.awaited {
            Awaited::Query(statement) => ("", Some(Arc::clone(statement))),
            Awaited::Parse { statement, .. } => ("PREPARE", Some(Arc::clone(statement))),
            Awaited::Bind { statement, .. } => ("BIND", self.statement(&statement.clone(), index)),
            Awaited::Describe { name, is_portal: false } => {
                ("DESCRIBE", self.statement(&name.clone(), index))
            }
            Awaited::Describe { name, is_portal: true } => {
                ("DESCRIBE", self.portal(&name.clone(), index))
            }
            Awaited::Execute { portal } => ("EXECUTE", self.portal(&portal.clone(), index)),
            Awaited::FunctionCall => ("FUNCTION", None),
            Awaited::Close { .. } => ("CLOSE", None),
            Awaited::Startup | Awaited::Encryption => ("STARTUP", None),
            Awaited::Sync => ("SYNC", None),
        };
        match statement {
            Some(statement) if statement.method.is_empty() => (otherwise, statement.text.clone()),
            Some(statement) => (statement.method, statement.text.clone()),
            None => (otherwise, CompactString::default()),
        }
    }

    /// What a statement's name will stand for when the server comes to this place of the queue.
    fn statement(&mut self, name: &CompactString, index: usize) -> Option<Arc<Statement>> {
        let asked = self.queue.iter().take(index).rev().find_map(|asked| match &asked.awaited {
            Awaited::Parse { name: given, statement } if given == name => Some(statement),
            _ => None,
        });
        asked.or(self.statements.get(name).map(|statement| &*statement)).cloned()
    }

    /// The same for a portal's name.
    fn portal(&mut self, name: &CompactString, index: usize) -> Option<Arc<Statement>> {
        let place = self.queue.iter().take(index).rposition(
            |asked| matches!(&asked.awaited, Awaited::Bind { portal, .. } if portal == name),
        );
        match place.and_then(|place| Some((place, &self.queue.get(place)?.awaited))) {
            Some((place, Awaited::Bind { statement, .. })) => {
                let statement = statement.clone();
                self.statement(&statement, place)
            }
            _ => self.portals.get(name).cloned(),
        }
    }

    fn told(&mut self, index: usize, outcome: Outcome, end: (Position, Origin)) -> Option<Told> {
        let (method, target) = self.subject(index);
        let asked = self.queue.get(index)?;
        let (begin, error) = (asked.begin, asked.error.clone());
        let reply = self.reply;
        let started_ns = reply.map(|reply| reply.origin.moved_ns(begin.started_ns));
        let is_whole = outcome == Outcome::Complete;
        let code = error.clone().unwrap_or_default();
        let mut attributes = self.session.attributes(method, code);
        if asked.is_extended() {
            attributes.push(("alaz.prepared", CompactString::const_new("true")));
        }
        let is_error = error.is_some();
        let status = match error {
            Some(code) => code,
            None if is_whole => CompactString::const_new("ok"),
            None => CompactString::default(),
        };
        let response_bytes = reply.map_or(0, |reply| bytes(end.0, reply.position));
        Some(Told {
            request_position: begin.position,
            response_position: reply.map(|reply| reply.position),
            started_ns: begin.started_ns,
            response_ns: started_ns,
            ended_ns: started_ns.map_or(begin.started_ns, |first_ns| end.1.moved_ns(first_ns)),
            client_pid: begin.pid,
            server_pid: reply.map_or(begin.pid, |reply| reply.origin.pid),
            message: Message {
                protocol: Protocol::Postgresql,
                method: CompactString::const_new(method),
                route: target.clone(),
                target,
                status,
                error: is_error || outcome.is_error(),
                outcome,
                request_bytes: bytes(asked.end, begin.position),
                response_bytes: if is_whole { response_bytes } else { 0 },
                attributes,
            },
        })
    }

    /// The reply to the front of the queue ends here. `false` where it shows that the queue does not
    /// hold everything that was asked.
    pub(super) fn tell_front(
        &mut self,
        outcome: Outcome,
        end: (Position, Origin),
        context: &mut Context<'_>,
    ) -> bool {
        let is_reported = self.queue.front().is_none_or(|front| front.is_reported);
        let told = if is_reported { None } else { self.told(0, outcome, end) };
        self.reply = None;
        // Any part of a cycle fails alike: the one that did may stand before what was seen of it.
        let may_be_anothers = self.course == Course::Tentative
            && self.queue.front().is_some_and(|front| front.is_extended() && front.error.is_some());
        match told {
            Some(_) if may_be_anothers => {
                context.exchanges.give_up(UnpairedReason::Gap, 1);
                true
            }
            Some(told) if self.course == Course::Tentative => {
                self.unconfirmed.replace(told).is_none()
            }
            Some(told) => {
                context.tell(told);
                true
            }
            None => true,
        }
    }

    /// ReadyForQuery has come where it had to: nothing else was being answered.
    pub(super) fn confirm_course(&mut self, context: &mut Context<'_>) {
        if let Some(told) = self.unconfirmed.take() {
            context.tell(told);
        }
        self.course = Course::Sure;
    }

    pub(super) fn tell_unanswered(
        &mut self,
        index: usize,
        outcome: Outcome,
        context: &mut Context<'_>,
    ) {
        let heard = (Position::default(), self.heard);
        if let Some(told) = self.told(index, outcome, heard) {
            context.tell(told);
        }
    }

    /// The front of the queue has been answered, and what it does is done.
    pub(super) fn confirm_front(&mut self) {
        let Some(front) = self.queue.pop_front() else { return };
        match front.awaited {
            Awaited::Parse { name, statement } => self.statements.insert(name, statement),
            Awaited::Bind { portal, statement } => match self.statements.get(&statement) {
                Some(statement) => {
                    let statement = Arc::clone(statement);
                    self.portals.insert(portal, statement);
                }
                None => self.portals.remove(&portal),
            },
            Awaited::Close { name, is_portal: true } => self.portals.remove(&name),
            Awaited::Close { name, is_portal: false } => self.statements.remove(&name),
            Awaited::Query(statement) => {
                // A simple query destroys what has no name.
                self.statements.remove(&CompactString::default());
                self.portals.remove(&CompactString::default());
                self.follow(statement.method);
            }
            Awaited::Execute { portal } => {
                if let Some(method) = self.portals.get(&portal).map(|statement| statement.method) {
                    self.follow(method);
                }
            }
            Awaited::Encryption
            | Awaited::Startup
            | Awaited::FunctionCall
            | Awaited::Describe { .. }
            | Awaited::Sync => {}
        }
    }

    /// After some statements names may stand for what was not seen here.
    fn follow(&mut self, method: &'static str) {
        if matches!(method, "PREPARE" | "DISCARD") {
            self.forget_names();
        }
    }

    /// After an error the server reads on at the next Sync.
    pub(super) fn skip_to_sync(&mut self) {
        while self.queue.front().is_some_and(|asked| !matches!(asked.awaited, Awaited::Sync)) {
            self.queue.pop_front();
        }
        self.skips = self.queue.is_empty();
        self.reply = None;
    }

    /// Room for more in the queue.
    pub(super) fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        // A pipelined statement takes up to five places.
        let is_full = self.queue.len() >= context.limits.pending.saturating_mul(5);
        if is_full {
            self.lose_course(UnpairedReason::TooManyPending, context);
        }
        !is_full
    }
}

fn bytes(end: Position, start: Position) -> u64 {
    u64::try_from(end.since(start)).unwrap_or(0)
}
