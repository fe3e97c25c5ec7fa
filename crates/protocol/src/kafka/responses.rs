//! What the broker says.

use alaz_model::{Outcome, UnpairedReason};

use super::found::Found;
use super::pair::{FetchSession, Request, Response};
use super::parse::{self, LENGTH, LENGTH_BELIEVED, RESPONSE_HEAD, Reading};
use super::schema::{self, API_VERSIONS, FETCH};
use super::walk::{Progress, Walk};
use super::{Conversation, Place};
use crate::dialogue::{Context, Side};
use crate::stream::{Input, Origin, Step};

/// What a broker says to a version of `ApiVersions` that it does not know, in version 0.
const UNSUPPORTED_VERSION: i16 = 35;
/// Where a response is looked for, so much of it must make sense: small numbers and zeros are
/// everywhere.
const PROOF_BYTES: usize = 256;

impl Conversation {
    /// While adrift: is this the response to something that waits for it?
    pub(super) fn find_response(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Step {
        let (length, id) = match parse::response_head(input.bytes) {
            _ if !input.is_fresh() => return self.drift(context),
            Reading::Whole(head) => head,
            Reading::More if !input.cut => return Step::More,
            _ => return self.drift(context),
        };
        let request = self.pending.iter().find(|request| request.correlation == id);
        let Some(request) = request.filter(|_| length <= LENGTH_BELIEVED) else {
            return self.drift(context);
        };
        if is_older(input, request) {
            return self.drift(context);
        }
        match self.makes_sense(request, length, input) {
            Reading::Whole(()) => {
                self.server.place = Place::Frame;
                Step::Again
            }
            Reading::More => Step::More,
            Reading::Invalid => self.drift(context),
        }
    }

    /// What is passed by may answer anything that was said since.
    fn drift(&mut self, context: &mut Context<'_>) -> Step {
        self.lose_course(Side::Server, self.reason, context);
        Step::Ignore
    }

    /// Whether the fields of a response are what the request asks for, as far as they are there.
    fn makes_sense(&self, request: &Request, length: u64, input: &Input<'_>) -> Reading<()> {
        let Some(mut walk) = walk_of(request) else { return Reading::Invalid };
        let head = LENGTH + RESPONSE_HEAD;
        let left = length - head as u64;
        let body = input.bytes.get(head..).unwrap_or_default();
        let body = usize::try_from(left).ok().and_then(|left| body.get(..left)).unwrap_or(body);
        let mut found = Found::default();
        let (taken, progress) = walk.read(body, left, &mut found, &mut Default::default());
        if found.error.is_some_and(|code| schema::error_name(code).is_none()) {
            return Reading::Invalid;
        }
        match progress {
            Progress::Done if taken == left => Reading::Whole(()),
            Progress::More if body.len() < PROOF_BYTES && !input.cut => Reading::More,
            Progress::More => Reading::Whole(()),
            Progress::Invalid if is_unsupported(request, &found) => Reading::Whole(()),
            Progress::Done | Progress::Invalid => Reading::Invalid,
        }
    }

    pub(super) fn read_response(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        let (length, id) = match parse::response_head(input.bytes) {
            Reading::Whole(head) => head,
            Reading::More => return Some(Step::More),
            Reading::Invalid if self.has_raw_frames => {
                return parse::raw_frame(input.bytes)
                    .map(|frame| Step::Read { bytes: LENGTH, then_pass: frame });
            }
            Reading::Invalid if !self.proven => return None,
            Reading::Invalid => {
                self.lose_course(Side::Server, UnpairedReason::Gap, context);
                return Some(Step::Ignore);
            }
        };
        let at = self.pending.iter().position(|request| request.correlation == id);
        let at = at.filter(|at| self.pending.get(*at).is_some_and(|of| !is_older(input, of)));
        if at.is_none() && !self.has_raw_frames && !input.forced && self.may_come(id) {
            return Some(Step::Wait);
        }
        self.server.place = Place::Inside;
        self.server.at = input.position.plus((LENGTH + RESPONSE_HEAD) as u64);
        self.server.end = input.position.plus(length);
        self.server.walk = None;
        match at {
            Some(at) => self.begin_response(at, length, input, context),
            None if self.has_raw_frames => {}
            None if !self.proven && self.reason == UnpairedReason::Ambiguous => return None,
            None => self.hear_unknown(input, context),
        }
        let size = LENGTH + RESPONSE_HEAD;
        if length == size as u64 {
            self.frame_ends(Side::Server, input.origin(size - 1), context);
        }
        Some(Step::read(size))
    }

    /// The response to a request that was not seen, or not kept.
    fn hear_unknown(&mut self, input: &Input<'_>, context: &mut Context<'_>) {
        match self.untold.checked_sub(1) {
            Some(untold) => self.untold = untold,
            None => context.exchanges.give_up(self.reason, 1),
        }
        // Its request may be told of later.
        self.server.losses.pass_by(input.origin(0));
    }

    /// Whether the request that has this number may still be read.
    fn may_come(&self, id: i32) -> bool {
        let is_being_read = self.asking.as_ref().is_some_and(|asking| asking.correlation == id);
        is_being_read || self.client.place != Place::Adrift && self.untold == 0
    }

    fn begin_response(
        &mut self,
        at: usize,
        length: u64,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        // Brokers answer in order: what answered these was not seen.
        let before = self.pending.drain(..at).filter(|request| !request.reported).count();
        context.exchanges.give_up(self.reason, before as u64);
        let Some(request) = self.pending.pop_front() else { return };
        let response = Response::new(&request, length, input);
        self.server.walk = walk_of(&request);
        self.answering = Some((request, response));
    }

    pub(super) fn response_ends(&mut self, last: Origin, context: &mut Context<'_>) {
        let Some((request, mut response)) = self.answering.take() else { return };
        self.proven = true;
        let outcome = match last.is_known() {
            true => Outcome::Complete,
            false => Outcome::Partial,
        };
        if last.is_known() {
            response.ended_ns = last.moved_ns(response.started_ns);
        }
        response.is_unsure &= !is_unsupported(&request, &response.found);
        request.report(Some(&response), outcome, context);
        let (asked, said) = (request.found, response.found);
        if request.key == FETCH && asked.session_epoch == Some(0) && said.session != 0 {
            self.session = Some(FetchSession { id: said.session, topics: asked.topics });
        }
    }
}

/// It was moved before the request was: it answers something else.
fn is_older(input: &Input<'_>, request: &Request) -> bool {
    input.origin(0).ended_ns < request.started_ns
}

/// The fields of the response to a request.
fn walk_of(request: &Request) -> Option<Walk> {
    let api = request.api?;
    let is_flexible = api.is_flexible(request.version);
    let mut walk = Walk::new(api.response, request.version, is_flexible);
    if is_flexible && request.key != API_VERSIONS {
        walk.begin_with_tags();
    }
    Some(walk)
}

fn is_unsupported(request: &Request, found: &Found) -> bool {
    request.key == API_VERSIONS && found.error == Some(UNSUPPORTED_VERSION)
}
