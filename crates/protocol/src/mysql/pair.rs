//! A command on its way to its reply, and the exchange that becomes of both.

use std::sync::Arc;

use alaz_model::{Attributes, Message, Outcome, Position, Protocol};
use compact_str::{CompactString, format_compact};

use super::Conversation;
use super::parse::{Failure, capability};
use crate::dialogue::{Context, Told};
use crate::sql::Statement;
use crate::stream::Origin;

/// Longer names of users and databases are cut (64 characters are allowed).
const NAME_MAX: usize = 256;

/// First byte of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
}

/// What a command is about.
pub(super) enum Subject {
    /// Nothing that is shown; its name is.
    Name(&'static str),
    Query(Arc<Statement>),
    Prepare(Arc<Statement>),
    /// A prepared statement, by its number.
    Statement {
        name: &'static str,
        number: u32,
    },
    /// The session begins, or begins anew, with this user and database.
    Login {
        name: &'static str,
        user: CompactString,
        database: CompactString,
    },
    InitDb(CompactString),
    FieldList(CompactString),
}

/// Which packet of a reply comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// OK or ERR, and for some commands EOF.
    Plain,
    /// OK, ERR, or what asks for the next step of a login.
    Login,
    /// Text.
    Text,
    /// OK, ERR, the number of columns, or the wish for a file.
    Result,
    /// So many definitions of columns, then perhaps EOF.
    Columns(u64),
    /// Rows until EOF, OK in its place, or ERR.
    Rows,
    /// What a statement was prepared to, or ERR.
    Prepare,
    /// Definitions of parameters, perhaps EOF, definitions of columns, perhaps EOF.
    Prepared { parameters: u16, columns: u16, eof_is_due: bool },
    /// Definitions until EOF or ERR.
    Fields,
    /// Events of replication, without an end.
    Events,
}

/// What the server has said to a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
}

/// A command that the server has been sent.
pub(super) struct Asked {
    pub(super) subject: Subject,
    pub(super) begin: Begin,
    /// Just after its last byte.
    pub(super) end: Position,
    /// The number of the packet that must come next.
    pub(super) sequence: u8,
    pub(super) stage: Stage,
    pub(super) reply: Option<Reply>,
    /// Error number and SQLSTATE.
    pub(super) error: Option<(u16, CompactString)>,
    pub(super) is_reported: bool,
}

/// What is known of the session.
#[derive(Default)]
pub(super) struct Session {
    /// What both sides can do; not known of older connections.
    pub(super) capabilities: Option<u32>,
    /// The same, MariaDB's own.
    pub(super) extended: u32,
    /// No EOF packets, as far as that is known.
    pub(super) deprecates_eof: Option<bool>,
    pub(super) is_mariadb: Option<bool>,
    pub(super) user: CompactString,
    pub(super) database: CompactString,
}

impl Session {
    pub(super) fn is_compressed(&self) -> bool {
        let compression = capability::COMPRESS | capability::ZSTD;
        self.capabilities.is_some_and(|capabilities| capabilities & compression != 0)
    }
}

/// A name as it is shown.
pub(super) fn shown(name: &[u8]) -> CompactString {
    let mut shown = CompactString::from_utf8_lossy(name);
    shown.truncate(shown.floor_char_boundary(NAME_MAX));
    shown
}

impl Asked {
    pub(super) fn fail(&mut self, failure: Failure<'_>) {
        let state = CompactString::from_utf8_lossy(failure.state);
        self.error.get_or_insert((failure.number, state));
    }
}

impl Conversation {
    /// Method and target.
    fn subject(&mut self, index: usize) -> (&'static str, CompactString) {
        let Some(asked) = self.queue.get(index) else { return ("", CompactString::default()) };
        match &asked.subject {
            Subject::Name(name) | Subject::Login { name, .. } => (name, CompactString::default()),
            Subject::Query(statement) => (statement.method, statement.text.clone()),
            Subject::Prepare(statement) => ("PREPARE", statement.text.clone()),
            Subject::Statement { name, number } => {
                // MariaDB's clients may name the last one without having heard its number.
                let number = if *number == u32::MAX { self.last_prepared } else { Some(*number) };
                match number.and_then(|number| self.statements.get(&number)) {
                    Some(statement) if *name == "EXECUTE" && !statement.method.is_empty() => {
                        (statement.method, statement.text.clone())
                    }
                    Some(statement) => (name, statement.text.clone()),
                    None => (name, CompactString::default()),
                }
            }
            Subject::InitDb(database) => ("INIT_DB", database.clone()),
            Subject::FieldList(table) => ("FIELD_LIST", table.clone()),
        }
    }

    /// Hands on what is known of a command. Its reply ends at `end`, where there was one.
    pub(super) fn tell(
        &mut self,
        index: usize,
        outcome: Outcome,
        end: Option<(Position, Origin)>,
        context: &mut Context<'_>,
    ) {
        let (method, target) = self.subject(index);
        let Some(asked) = self.queue.get(index) else { return };
        let (begin, reply) = (asked.begin, asked.reply);
        let is_whole = outcome == Outcome::Complete;
        let status = match &asked.error {
            Some((number, _)) => format_compact!("{number}"),
            None if is_whole => CompactString::const_new("ok"),
            None => CompactString::default(),
        };
        let response_bytes = match (reply, end) {
            (Some(reply), Some((end, _))) if is_whole => bytes(end, reply.position),
            _ => 0,
        };
        let ended_ns = match (reply, end) {
            (Some(reply), Some((_, last))) => last.moved_ns(reply.started_ns),
            _ => begin.started_ns,
        };
        let message = Message {
            protocol: Protocol::Mysql,
            method: CompactString::const_new(method),
            route: target.clone(),
            target,
            status,
            error: asked.error.is_some() || outcome.is_error(),
            outcome,
            request_bytes: bytes(asked.end, begin.position),
            response_bytes,
            attributes: self.attributes(method, asked),
        };
        context.tell(Told {
            request_position: begin.position,
            response_position: reply.map(|reply| reply.position),
            started_ns: begin.started_ns,
            response_ns: reply.map(|reply| reply.started_ns),
            ended_ns,
            client_pid: begin.pid,
            server_pid: reply.map_or(begin.pid, |reply| reply.pid),
            message,
        });
    }

    /// OpenTelemetry semantic conventions, database attributes; what is not known is left out.
    fn attributes(&self, method: &'static str, asked: &Asked) -> Attributes {
        let system = match self.session.is_mariadb {
            Some(true) => "mariadb",
            Some(false) => "mysql",
            None => "",
        };
        let (code, state) = match &asked.error {
            Some((number, state)) => (format_compact!("{number}"), state.clone()),
            None => Default::default(),
        };
        let known = [
            ("db.system.name", CompactString::const_new(system)),
            ("db.operation.name", CompactString::const_new(method)),
            ("db.namespace", self.session.database.clone()),
            ("db.user", self.session.user.clone()),
            ("db.response.status_code", code),
            ("alaz.sqlstate", state),
        ];
        let mut attributes = Attributes::new();
        attributes.extend(known.into_iter().filter(|(_, value)| !value.is_empty()));
        if matches!(asked.subject, Subject::Statement { .. }) {
            attributes.push(("alaz.prepared", CompactString::const_new("true")));
        }
        attributes
    }

    /// The reply to the front of the queue has ended.
    pub(super) fn finish(
        &mut self,
        outcome: Outcome,
        end: (Position, Origin),
        context: &mut Context<'_>,
    ) {
        let Some(front) = self.queue.front() else { return };
        let has_failed = front.error.is_some();
        // A login that succeeds is part of the connection.
        let is_login = matches!(front.subject, Subject::Login { name: "CONNECT", .. });
        if !front.is_reported && (!is_login || has_failed) {
            self.tell(0, outcome, Some(end), context);
        }
        let Some(front) = self.queue.pop_front() else { return };
        (self.sends_file, self.file_unseen) = (false, false);
        if !has_failed {
            self.follow(front.subject);
        }
        self.pipelines |=
            self.queue.front().is_some_and(|next| next.begin.started_ns < end.1.started_ns);
    }

    /// What a command that succeeded changes.
    fn follow(&mut self, subject: Subject) {
        match subject {
            Subject::Login { user, database, .. } => {
                (self.session.user, self.session.database) = (user, database);
            }
            Subject::InitDb(database) => self.session.database = database,
            Subject::Query(statement) => self.follow_use(&statement),
            Subject::Name(_)
            | Subject::Prepare(_)
            | Subject::Statement { .. }
            | Subject::FieldList(_) => {}
        }
    }

    /// `USE` changes the database.
    fn follow_use(&mut self, statement: &Statement) {
        if statement.method == "USE" && !statement.text.contains(';') {
            let name = statement.text.get("USE ".len()..).unwrap_or_default().trim();
            let is_known = !name.contains(['?', '…', ' ']);
            let name = if is_known { name.trim_matches('`') } else { "" };
            self.session.database = name.into();
        } else if statement.text.contains(';') && contains_use(&statement.text) {
            self.session.database = CompactString::default();
        }
    }
}

fn contains_use(text: &str) -> bool {
    text.split([' ', ';']).any(|word| word.eq_ignore_ascii_case("use"))
}

fn bytes(end: Position, start: Position) -> u64 {
    u64::try_from(end.since(start)).unwrap_or(0)
}
