//! PostgreSQL: the server answers in order; after an error it skips to the next Sync.

use std::collections::{BTreeMap, VecDeque};

use alaz_tests::tshark::Packet;

use super::{Request, Said, exactly};

/// What the client has sent and the server not yet answered.
struct Step {
    kind: Kind,
    text: Said,
}

#[derive(PartialEq)]
enum Kind {
    Startup,
    Query,
    Call,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    Sync,
}

#[derive(Default)]
struct Session {
    steps: VecDeque<Step>,
    statements: BTreeMap<String, Said>,
    portals: BTreeMap<String, Said>,
    requests: Vec<Request>,
    /// The status of the simple query that is being answered.
    failure: Option<String>,
}

pub(crate) fn read(packets: &[&Packet]) -> Vec<Request> {
    let mut session = Session::default();
    for packet in packets {
        for layer in packet.layers.iter().filter(|layer| layer.name == "pgsql") {
            let mut start = 0;
            let starts: Vec<_> = (0..layer.fields.len())
                .filter(|at| layer.fields[*at].name == "pgsql.type")
                .chain([layer.fields.len()])
                .collect();
            for next in starts {
                let message = &layer.fields[start..next];
                start = next;
                let Some(kind) = message.first() else { continue };
                let get = |name: &str| {
                    let field = message.iter().find(|field| field.name == name);
                    field.map_or(String::new(), |field| field.show.clone())
                };
                if get("pgsql.frontend") == "1" {
                    session.asked(&kind.show, get);
                } else {
                    session.answered(packet, &kind.show, &get("pgsql.code"));
                }
            }
        }
    }
    session.requests
}

impl Session {
    fn asked(&mut self, kind: &str, get: impl Fn(&str) -> String) {
        let known = |names: &BTreeMap<String, Said>, name| {
            names.get(&name).cloned().unwrap_or(Said::Nothing)
        };
        let step = match kind {
            "Startup message" => Step { kind: Kind::Startup, text: exactly("") },
            "Simple query" => {
                Step { kind: Kind::Query, text: Said::WithValues(get("pgsql.query")) }
            }
            "Function call" => Step { kind: Kind::Call, text: Said::Nothing },
            "Parse" => {
                let text = Said::WithValues(get("pgsql.query"));
                self.statements.insert(get("pgsql.statement"), text.clone());
                Step { kind: Kind::Parse, text }
            }
            "Bind" => {
                let text = known(&self.statements, get("pgsql.statement"));
                self.portals.insert(get("pgsql.portal"), text.clone());
                Step { kind: Kind::Bind, text }
            }
            "Execute" => {
                Step { kind: Kind::Execute, text: known(&self.portals, get("pgsql.portal")) }
            }
            "Describe" => Step { kind: Kind::Describe, text: Said::Nothing },
            "Close" => Step { kind: Kind::Close, text: Said::Nothing },
            "Sync" => Step { kind: Kind::Sync, text: exactly("") },
            _ => return,
        };
        self.steps.push_back(step);
    }

    fn answered(&mut self, packet: &Packet, kind: &str, code: &str) {
        let ends: &[Kind] = match kind {
            "Parse completion" => &[Kind::Parse],
            "Bind completion" => &[Kind::Bind],
            "Close completion" => &[Kind::Close],
            "Row description" | "No data" => &[Kind::Describe],
            "Command completion" | "Empty query" | "Portal suspended" => &[Kind::Execute],
            "Ready for query" => &[Kind::Startup, Kind::Query, Kind::Call, Kind::Sync],
            "Error" => return self.failed(packet, code),
            _ => return,
        };
        if !self.steps.front().is_some_and(|step| ends.contains(&step.kind)) {
            return;
        }
        let Some(step) = self.steps.pop_front() else { return };
        match step.kind {
            Kind::Query | Kind::Call => {
                let status = self.failure.take().unwrap_or("ok".to_owned());
                self.tell(packet, step, &status);
            }
            Kind::Execute => self.tell(packet, step, "ok"),
            _ => {}
        }
    }

    fn failed(&mut self, packet: &Packet, code: &str) {
        match self.steps.front() {
            Some(Step { kind: Kind::Query | Kind::Call, .. }) => {
                self.failure = Some(code.to_owned())
            }
            Some(_) => {
                let step = self.steps.pop_front();
                while self.steps.front().is_some_and(|step| step.kind != Kind::Sync) {
                    self.steps.pop_front();
                }
                step.into_iter().for_each(|step| self.tell(packet, step, code));
            }
            None => {}
        }
    }

    /// The packet is one of the server.
    fn tell(&mut self, packet: &Packet, step: Step, status: &str) {
        let method = match (&step.kind, &step.text) {
            (Kind::Startup, _) => exactly("STARTUP"),
            (_, Said::WithValues(text)) => first_word(text),
            _ => Said::Nothing,
        };
        self.requests.push(Request {
            client: packet.destination,
            server: packet.source,
            method,
            target: step.text,
            status: exactly(status),
        });
    }
}

/// The word that a statement begins with, where nothing but white space is before it.
pub(crate) fn first_word(text: &str) -> Said {
    let word: String = text.trim_start().chars().take_while(|c| c.is_ascii_alphabetic()).collect();
    match &*word.to_uppercase() {
        "" | "SYNTAX" => Said::Nothing,
        word => exactly(word),
    }
}
