//! Listening to one direction: finds out what is spoken, then lets the dialogue read.

use std::net::SocketAddr;

use alaz_model::{Direction, ExchangeLedger, Position, Role, UnpairedReason, View};

use super::{Talk, WITHDRAWALS_MAX};
use crate::dialogue::{Claim, Context, Dialogue, Facts, MISSING_NOW, PROTOCOLS, Side, Start};
use crate::kafka::TopicNames;
use crate::limits::Limits;
use crate::stream::{Input, Origin, Reader, Step};
use crate::tls;

/// Segments that are looked at before a connection counts as unknown.
const TRIES: u32 = 8;
/// Of an unknown connection every so many segments are looked at again, and those at which the other
/// side begins to speak.
const LOOK_AGAIN: u32 = 64;

/// What the stream of one direction shows its bytes to.
pub(super) struct Ear<'a> {
    pub(super) direction: Direction,
    pub(super) turned: &'a mut bool,
    pub(super) withdrawn: &'a mut bool,
    pub(super) facts: &'a mut Facts,
    pub(super) ends: (SocketAddr, SocketAddr),
    pub(super) talk: &'a mut Talk,
    pub(super) heard: &'a mut [Origin; 2],
    pub(super) missing_ns: &'a mut [Option<u64>; 2],
    pub(super) mid_stream: &'a mut bool,
    pub(super) views: &'a mut Vec<View>,
    pub(super) exchanges: &'a mut ExchangeLedger,
    pub(super) topics: &'a mut TopicNames,
    pub(super) limits: &'a Limits,
}

impl Ear<'_> {
    /// The dialogue, and who speaks in this direction.
    fn dialogue<T>(
        &mut self,
        act: impl FnOnce(&mut dyn Dialogue, Side, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Talk::Speaks { dialogue, .. } = &mut self.talk else { return None };
        let side = match (self.direction, self.facts.role) {
            (Direction::Send, Role::Server) | (Direction::Receive, Role::Client) => Side::Server,
            _ => Side::Client,
        };
        let mut context = Context {
            facts: self.facts,
            views: self.views,
            exchanges: self.exchanges,
            topics: self.topics,
            limits: self.limits,
        };
        Some(act(dialogue.as_mut(), side, &mut context))
    }

    fn decide(&mut self, input: &Input<'_>, tries: u32, withdrawals: u32) -> Step {
        let exhausted = tries >= TRIES && !*self.turned && !tries.is_multiple_of(LOOK_AGAIN);
        if !input.is_fresh() || exhausted || withdrawals >= WITHDRAWALS_MAX {
            return self.pass_by(input, tries, withdrawals);
        }
        let mut unsure = false;
        for entry in PROTOCOLS {
            match (entry.claim)(input.bytes, input.cut) {
                Claim::No => {}
                Claim::Maybe => unsure = true,
                Claim::Yes(side) => {
                    let role = match (side, self.direction) {
                        (Side::Client, Direction::Send) | (Side::Server, Direction::Receive) => {
                            Role::Client
                        }
                        _ => Role::Server,
                    };
                    if self.facts.role == role.opposite() {
                        continue;
                    }
                    self.facts.role = role;
                    (self.facts.client, self.facts.server) = match role {
                        Role::Server => (self.ends.1, self.ends.0),
                        _ => self.ends,
                    };
                    let server = usize::from(role == Role::Client);
                    let start = Start {
                        mid_stream: *self.mid_stream,
                        server_heard: self.heard[server],
                        client_missing_ns: self.missing_ns[1 - server],
                    };
                    let dialogue = (entry.begin)(start);
                    *self.talk = Talk::Speaks { protocol: entry.protocol, dialogue, withdrawals };
                    return Step::Again;
                }
            }
        }
        if tls::is_record(input.bytes) {
            *self.talk = Talk::Tls(Box::default());
            Step::Again
        } else if unsure && !input.cut {
            Step::More
        } else if self.answers_too_early(input) {
            Step::Wait
        } else {
            self.pass_by(input, tries, withdrawals)
        }
    }

    /// The side that was connected to speaks first, or its bytes were told of first: wait for the
    /// other's, which tell more.
    fn answers_too_early(&self, input: &Input<'_>) -> bool {
        let is_server = matches!(
            (self.direction, self.facts.role),
            (Direction::Send, Role::Server) | (Direction::Receive, Role::Client)
        );
        is_server && !*self.mid_stream && !input.forced
    }

    /// Lets another protocol's dialogue read on, where the present one says so.
    fn hand_over(&mut self) {
        if let Talk::Speaks { protocol, dialogue, .. } = self.talk
            && let Some(successor) = dialogue.successor()
        {
            (*protocol, *dialogue) = (successor.protocol, successor.dialogue);
        }
    }

    fn withdraw(&mut self, input: &Input<'_>, withdrawals: u32) -> Step {
        self.dialogue(|dialogue, _, context| dialogue.withdraw(context));
        *self.withdrawn = true;
        self.pass_by(input, 0, withdrawals + 1)
    }

    fn pass_by(&mut self, input: &Input<'_>, tries: u32, withdrawals: u32) -> Step {
        if input.cut {
            self.missing_ns[usize::from(self.direction == Direction::Receive)] = Some(MISSING_NOW);
        }
        *self.mid_stream = true;
        *self.turned = false;
        *self.talk = Talk::Undecided { tries: tries.saturating_add(1), withdrawals };
        Step::Ignore
    }
}

impl Reader for Ear<'_> {
    fn read(&mut self, input: &Input<'_>) -> Step {
        match self.talk {
            Talk::Undecided { tries, withdrawals } => {
                let (tries, withdrawals) = (*tries, *withdrawals);
                self.decide(input, tries, withdrawals)
            }
            Talk::Tls(opening) => opening.read(self.direction, self.facts.role, input),
            Talk::Excluded => Step::Ignore,
            Talk::Speaks { withdrawals, .. } => {
                let withdrawals = *withdrawals;
                let step =
                    self.dialogue(|dialogue, side, context| dialogue.read(side, input, context));
                let step = step.flatten().unwrap_or_else(|| self.withdraw(input, withdrawals));
                self.hand_over();
                step
            }
        }
    }

    fn passed(&mut self, end: Position, last: Origin) {
        self.dialogue(|dialogue, side, context| dialogue.passed(side, end, last, context));
    }

    fn heard(&mut self, end: Position, last: Origin) {
        self.dialogue(|dialogue, side, _| dialogue.heard(side, end, last));
        let way = usize::from(self.direction == Direction::Receive);
        self.heard[way] = last;
        if self.missing_ns[way] == Some(MISSING_NOW) {
            self.missing_ns[way] = Some(last.ended_ns);
        }
    }

    fn can_miss(&mut self) -> bool {
        let can_miss = self.dialogue(|dialogue, side, _| dialogue.can_miss(side));
        can_miss.unwrap_or_else(|| match self.talk {
            // What its beginning tells is no exchange.
            Talk::Tls(_) => true,
            _ => self.talk.needs_nothing(),
        })
    }

    fn lost(&mut self, reason: UnpairedReason) {
        *self.mid_stream = true;
        if let Talk::Tls(opening) = self.talk {
            opening.lost(self.direction);
        }
        self.missing_ns[usize::from(self.direction == Direction::Receive)] = Some(MISSING_NOW);
        self.dialogue(|dialogue, side, context| dialogue.lost(side, reason, context));
    }
}
