//! What the client says.

use std::sync::Arc;

use alaz_model::UnpairedReason;
use compact_str::CompactString;

use super::pair::{Asked, Begin, Stage, Subject, shown};
use super::parse::{self, FULL, HEADER, Login, Packet, capability, command};
use super::{Conversation, Place};
use crate::dialogue::{Claim, Context, Side};
use crate::sql::{self, TEXT_ENOUGH};
use crate::stream::{Input, Step};

impl Conversation {
    pub(super) fn read_requests(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        self.go_on(input.origin(0).started_ns, context);
        if self.requests == Place::Adrift
            && let Some(step) = self.find_command(input)
        {
            return Some(step);
        }
        // What is meant depends on what the server has said before.
        if self.requests == Place::Login && self.session.capabilities.is_none() && !input.forced {
            return Some(Step::Wait);
        }
        let Some(packet) = parse::packet(input.bytes) else { return Some(Step::More) };
        if self.requests == Place::Continued {
            if let Some(asked) = self.queue.back_mut() {
                asked.end = input.position.plus((HEADER + packet.length) as u64);
                asked.sequence = packet.sequence.wrapping_add(1);
            }
        } else if self.requests == Place::Login {
            match self.read_login(&packet, input, context) {
                Some(None) => {}
                Some(Some(step)) => return Some(step),
                None => return None,
            }
        } else if self.sends_file {
            // The end of the file is an empty packet, which the answer follows.
            if packet.length == 0 {
                self.sends_file = false;
            }
            if let Some(front) = self.queue.front_mut() {
                front.sequence = packet.sequence.wrapping_add(1);
            }
        } else if packet.sequence != 0 {
            // A step of a login.
            if let Some(front) = self.queue.front_mut().filter(|f| f.stage == Stage::Login) {
                front.sequence = packet.sequence.wrapping_add(1);
            } else if !self.proven {
                return None;
            } else {
                self.requests = Place::Adrift;
                self.lose_course(UnpairedReason::Gap, context);
                return Some(Step::Ignore);
            }
        } else if let Some(step) = self.read_command(&packet, input, context) {
            return Some(step);
        }
        if self.requests != Place::Adrift && self.requests != Place::Opaque {
            let is_continued = packet.length == FULL;
            self.requests = if is_continued { Place::Continued } else { Place::Packet };
        }
        let bytes = HEADER + packet.body.len();
        Some(Step::Read { bytes, then_pass: (packet.length - packet.body.len()) as u64 })
    }

    /// While adrift: `None` where a command begins.
    fn find_command(&mut self, input: &Input<'_>) -> Option<Step> {
        if !input.is_fresh() || self.file_unseen {
            return Some(Step::Ignore);
        }
        // After a file the client is known to have waited: any command will do.
        let is_command = self.adrift.is_none()
            && parse::packet(input.bytes).is_some_and(|packet| {
                let is_alone = input.bytes.len() == HEADER + packet.length;
                let is_known = packet.body.first().is_some_and(|c| command::name(*c).is_some());
                packet.sequence == 0 && is_known && is_alone
            });
        match parse::claim(input.bytes, input.cut) {
            _ if is_command => {}
            Claim::Yes(Side::Client) => {}
            Claim::Maybe => return Some(Step::More),
            Claim::Yes(_) | Claim::No => return Some(Step::Ignore),
        }
        self.requests = Place::Packet;
        None
    }

    /// `Some(None)` when it was read, `None` when the rest of the connection is TLS or no MySQL.
    #[allow(clippy::option_option, reason = "a step, none needed, or withdrawn")]
    fn read_login(
        &mut self,
        packet: &Packet<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Step>> {
        if !packet.is_whole() && !input.cut {
            return Some(Some(Step::More));
        }
        let Login::Session { capabilities, extended, user, database } = parse::login(packet.body)?
        else {
            return None;
        };
        let offered = self.session.capabilities.unwrap_or(u32::MAX);
        let agreed = capabilities & offered;
        self.session.capabilities = Some(agreed);
        self.session.extended &= extended;
        self.session.deprecates_eof = Some(agreed & capability::DEPRECATE_EOF != 0);
        let subject =
            Subject::Login { name: "CONNECT", user: shown(user), database: shown(database) };
        let asked = self.asked(subject, Stage::Login, packet, input);
        if self.admit(&asked, input, context) {
            self.queue.push_back(asked);
        }
        self.requests = Place::Packet;
        Some(None)
    }

    fn asked(
        &self,
        subject: Subject,
        stage: Stage,
        packet: &Packet<'_>,
        input: &Input<'_>,
    ) -> Asked {
        let origin = input.origin(0);
        Asked {
            subject,
            begin: Begin {
                position: input.position,
                started_ns: origin.moved_ns(self.heard.1.started_ns),
                pid: origin.pid,
            },
            end: input.position.plus((HEADER + packet.length) as u64),
            sequence: packet.sequence.wrapping_add(1),
            stage,
            reply: None,
            error: None,
            is_reported: false,
        }
    }

    fn read_command(
        &mut self,
        packet: &Packet<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let body = packet.body;
        let is_enough = packet.is_whole() || input.cut || body.len() > TEXT_ENOUGH;
        let is_text = matches!(
            body,
            [command::QUERY | command::STMT_PREPARE | command::CHANGE_USER | command::INIT_DB, ..]
        );
        if is_text && !is_enough || !packet.is_enough() {
            return Some(Step::More);
        }
        let Some((&code, rest)) = body.split_first() else {
            return self.misread(context);
        };
        let Some(name) = command::name(code) else { return self.misread(context) };
        let number = rest.first_chunk().map_or(0, |number| u32::from_le_bytes(*number));
        let (subject, stage) = match code {
            command::QUIT | command::STMT_SEND_LONG_DATA => return None,
            command::STMT_CLOSE => {
                if self.queue.is_empty() {
                    self.statements.remove(&number);
                }
                return None;
            }
            command::QUERY => (Subject::Query(self.statement(packet)), Stage::Result),
            command::STMT_PREPARE => (Subject::Prepare(self.statement(packet)), Stage::Prepare),
            command::STMT_EXECUTE | command::STMT_BULK_EXECUTE => {
                (Subject::Statement { name, number }, Stage::Result)
            }
            command::STMT_FETCH => (Subject::Statement { name, number }, Stage::Rows),
            command::STMT_RESET => (Subject::Statement { name, number }, Stage::Plain),
            command::INIT_DB => (Subject::InitDb(shown(rest)), Stage::Plain),
            command::FIELD_LIST => {
                let table = parse::text(rest).map_or(&[][..], |(table, _)| table);
                (Subject::FieldList(shown(table)), Stage::Fields)
            }
            command::CHANGE_USER => (change_user(rest), Stage::Login),
            command::PROCESS_INFO => (Subject::Name(name), Stage::Result),
            command::STATISTICS => (Subject::Name(name), Stage::Text),
            command::BINLOG_DUMP | command::BINLOG_DUMP_GTID => {
                (Subject::Name(name), Stage::Events)
            }
            _ => (Subject::Name(name), Stage::Plain),
        };
        let asked = self.asked(subject, stage, packet, input);
        if self.admit(&asked, input, context) {
            self.queue.push_back(asked);
        }
        None
    }

    fn misread(&mut self, context: &mut Context<'_>) -> Option<Step> {
        self.requests = Place::Adrift;
        self.lose_course(UnpairedReason::Gap, context);
        Some(Step::Ignore)
    }

    fn statement(&self, packet: &Packet<'_>) -> Arc<sql::Statement> {
        let is_query = packet.body.first() == Some(&command::QUERY);
        let text = match is_query {
            true => parse::query(packet.body, self.session.capabilities),
            false => packet.body.get(1..),
        };
        let is_whole = packet.is_whole() && packet.length < FULL;
        Arc::new(
            text.map_or_else(Default::default, |text| sql::normalise(text, is_whole, self.dialect)),
        )
    }

    /// Whether its reply will be told from those of other commands; otherwise it is counted.
    fn admit(&mut self, asked: &Asked, input: &Input<'_>, context: &mut Context<'_>) -> bool {
        if self.queue.len() >= context.limits.pending {
            self.lose_course(UnpairedReason::TooManyPending, context);
        }
        let Some(reason) = self.adrift else { return true };
        let has_waited = self.queue.is_empty()
            && !self.pipelines
            && input.is_fresh()
            && asked.begin.started_ns >= self.heard.1.started_ns;
        if has_waited {
            self.adrift = None;
        } else {
            context.exchanges.give_up(reason, 1);
        }
        has_waited
    }
}

/// User, proof, database.
fn change_user(body: &[u8]) -> Subject {
    let (mut user, mut database) = (CompactString::default(), CompactString::default());
    if let Some((name, rest)) = parse::text(body) {
        user = shown(name);
        let after = rest.split_first().and_then(|(length, rest)| rest.get(usize::from(*length)..));
        if let Some((name, _)) = after.and_then(parse::text) {
            database = shown(name);
        }
    }
    Subject::Login { name: "CHANGE_USER", user, database }
}
