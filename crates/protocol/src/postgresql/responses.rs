//! What the server says.

use alaz_model::{Outcome, Position, UnpairedReason};
use compact_str::CompactString;

use super::Conversation;
use super::pair::{Awaited, Reply, shown};
use super::parse::{self, Frame, HEADER, Reading};
use crate::dialogue::Context;
use crate::stream::{Input, Origin, Step};

/// What a message of the server's is to the front of the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Part of its reply.
    Part,
    /// It confirms it.
    Confirms,
    /// The last of its reply.
    Ends,
    /// An error, after which everything is skipped until a Sync.
    Fails,
    /// An error; ReadyForQuery comes all the same.
    FailsInCycle,
    /// The copying of data to the server begins.
    CopyIn,
    /// No reply to it.
    Not,
}

/// Where a message stands.
struct Place {
    position: Position,
    end: Position,
    first: Origin,
    last: Origin,
}

impl Conversation {
    pub(super) fn read_responses(
        &mut self,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Option<Step> {
        if self.missing.is_some() {
            return Some(self.read_blind(input, context));
        }
        if !self.is_framed
            && let Some(step) = self.find_frame(input, context)
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
            if matches!(self.queue.front(), Some(asked) if matches!(asked.awaited, Awaited::Encryption))
            {
                match bytes {
                    [b'N', ..] => {
                        self.queue.pop_front();
                        read += 1;
                        continue;
                    }
                    // It will be encrypted.
                    [b'S' | b'G', ..] => return None,
                    _ => {}
                }
            }
            let frame = match parse::frame(bytes) {
                Reading::Is(frame) if parse::is_response(&frame) => frame,
                Reading::More => return Some(or_read(Step::More)),
                Reading::Is(_) | Reading::Invalid if !self.proven => return None,
                Reading::Is(_) | Reading::Invalid => return Some(self.stray(context)),
            };
            if !frame.is_whole && !input.cut && is_read(frame.kind) {
                return Some(or_read(Step::More));
            }
            let is_notice = self.take_notice(&frame);
            if !is_notice {
                if self.queue.is_empty() {
                    if self.copies_unseen && frame.kind == b'Z' {
                        self.be_ready(&input.origin(read), context);
                    } else if !input.forced {
                        return Some(or_read(Step::Wait));
                    }
                    // The server may end a session at any time.
                    else if frame.kind != b'E' {
                        return Some(self.stray(context));
                    }
                } else if !self.answer(&frame, read, input, context) {
                    return Some(self.stray(context));
                }
            }
            let seen = HEADER + frame.body.len();
            read += seen;
            if seen < frame.length {
                return Some(Step::Read { bytes: read, then_pass: (frame.length - seen) as u64 });
            }
        }
    }

    /// `None` at the beginning of the answer to a client that had waited for everything before.
    fn find_frame(&mut self, input: &Input<'_>, context: &mut Context<'_>) -> Option<Step> {
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
    fn stray(&mut self, context: &mut Context<'_>) -> Step {
        self.lose_course(UnpairedReason::Gap, context);
        Step::Ignore
    }

    /// Takes what may come at any time and answers nothing.
    fn take_notice(&mut self, frame: &Frame<'_>) -> bool {
        if frame.kind == b'S'
            && let Some((name, value)) = parse::text(frame.body)
            && let Some((value, _)) = parse::text(value)
        {
            match name {
                b"standard_conforming_strings" => self.dialect.backslash_escapes = value == b"off",
                b"application_name" => self.session.application = shown(value),
                _ => {}
            }
        }
        matches!(frame.kind, b'S' | b'N' | b'A')
    }

    /// Takes a message as answer to the front of the queue. `false` where it is none.
    fn answer(
        &mut self,
        frame: &Frame<'_>,
        offset: usize,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> bool {
        let first = input.origin(offset);
        let Some(front) = self.queue.front() else { return false };
        let to = front.begin.position;
        if first.ended_ns < front.begin.started_ns {
            // An error that is older than what it would answer ends the session.
            return frame.kind == b'E';
        }
        let is_first = self.reply.is_none_or(|reply| reply.to != to);
        let fit = fit(&front.awaited, frame.kind, is_first);
        if fit == Fit::Not {
            return false;
        }
        self.proven = true;
        let seen = HEADER + frame.body.len();
        let place = Place {
            position: input.position.plus(offset as u64),
            end: input.position.plus((offset + frame.length) as u64),
            first,
            last: input.origin(offset + seen.saturating_sub(1)),
        };
        if is_first {
            self.reply = Some(Reply { to, position: place.position, origin: first });
        }
        self.take_answer(fit, frame, &place, context)
    }

    fn take_answer(
        &mut self,
        fit: Fit,
        frame: &Frame<'_>,
        place: &Place,
        context: &mut Context<'_>,
    ) -> bool {
        let end = (place.end, place.last);
        match fit {
            Fit::Part | Fit::Not => true,
            Fit::Confirms => {
                self.confirm_front();
                true
            }
            Fit::CopyIn => {
                self.begin_copy();
                true
            }
            Fit::Ends => {
                let is_ready = frame.kind == b'Z';
                let is_exchange = self.queue.front().is_some_and(|front| front.is_exchange());
                let is_as_asked = !is_exchange || self.tell_front(Outcome::Complete, end, context);
                self.confirm_front();
                self.reply = None;
                if is_ready {
                    self.be_ready(&place.first, context);
                }
                is_as_asked
            }
            Fit::FailsInCycle => {
                let failure = parse::failure(frame.body);
                let ends = failure.is_fatal || !self.fails_with_ready();
                self.note_error(failure.code);
                if ends {
                    let is_sync = self
                        .queue
                        .front()
                        .is_some_and(|front| matches!(front.awaited, Awaited::Sync));
                    let is_as_asked = self.tell_front(outcome_of(failure.code), end, context);
                    if !is_sync || failure.is_fatal {
                        self.queue.pop_front();
                    }
                    return is_as_asked;
                }
                true
            }
            Fit::Fails => {
                let code = parse::failure(frame.body).code;
                self.note_error(code);
                let is_as_asked = self.tell_front(outcome_of(code), end, context);
                self.queue.pop_front();
                self.skip_to_sync();
                is_as_asked
            }
        }
    }

    /// Whether an error in the answer to the front is followed by ReadyForQuery as its end.
    fn fails_with_ready(&self) -> bool {
        let front = self.queue.front().map(|front| &front.awaited);
        matches!(front, Some(Awaited::Query(_) | Awaited::FunctionCall))
    }

    pub(super) fn note_error(&mut self, code: &[u8]) {
        if let Some(front) = self.queue.front_mut() {
            front.error.get_or_insert_with(|| CompactString::from_utf8_lossy(code));
        }
    }

    fn begin_copy(&mut self) {
        self.copies_in =
            self.queue.front().is_some_and(|front| front.may_copy() && !front.copy_ended);
        while self.copies_in
            && self.queue.get(1).is_some_and(|next| matches!(next.awaited, Awaited::Sync))
        {
            self.queue.remove(1);
        }
    }

    /// The server has answered everything up to here.
    pub(super) fn be_ready(&mut self, at: &Origin, context: &mut Context<'_>) {
        self.confirm_course(context);
        if std::mem::take(&mut self.copies_unseen) || self.queue.is_empty() {
            self.copies_in = false;
            self.skips = false;
        }
        if self.queue.front().is_some_and(|next| next.begin.started_ns < at.started_ns) {
            self.pipelines = true;
        }
    }
}

/// An error of which the code was not seen is not known whole.
fn outcome_of(code: &[u8]) -> Outcome {
    if code.is_empty() { Outcome::Partial } else { Outcome::Complete }
}

/// Messages of which more than kind and length is read, or which end a reply.
fn is_read(kind: u8) -> bool {
    matches!(kind, b'E' | b'S' | b'C' | b'Z')
}

fn fit(awaited: &Awaited, kind: u8, is_first: bool) -> Fit {
    match (awaited, kind) {
        (Awaited::Startup, b'R' | b'K' | b'v') => Fit::Part,
        (Awaited::Startup, b'Z') => Fit::Ends,
        (Awaited::Encryption | Awaited::Startup, b'E') => Fit::FailsInCycle,
        (Awaited::Query(_), b'T' | b'C' | b'I' | b'H' | b'W') => Fit::Part,
        (Awaited::Query(_), b'D' | b'd' | b'c') if !is_first => Fit::Part,
        (Awaited::FunctionCall, b'V') => Fit::Part,
        (Awaited::Query(_) | Awaited::FunctionCall, b'E') => Fit::FailsInCycle,
        (Awaited::Query(_) | Awaited::FunctionCall, b'Z') if !is_first => Fit::Ends,
        (Awaited::Parse { .. }, b'1') | (Awaited::Bind { .. }, b'2') => Fit::Confirms,
        (Awaited::Close { .. }, b'3') => Fit::Confirms,
        (Awaited::Describe { is_portal: false, .. }, b't') => Fit::Part,
        (Awaited::Describe { .. }, b'T' | b'n') => Fit::Confirms,
        (Awaited::Execute { .. }, b'D' | b'H' | b'W' | b'd' | b'c') => Fit::Part,
        (Awaited::Query(_) | Awaited::Execute { .. }, b'G') => Fit::CopyIn,
        (Awaited::Execute { .. }, b'C' | b'I' | b's') => Fit::Ends,
        (Awaited::Sync, b'Z') => Fit::Ends,
        (Awaited::Sync, b'E') => Fit::FailsInCycle,
        (
            Awaited::Parse { .. }
            | Awaited::Bind { .. }
            | Awaited::Describe { .. }
            | Awaited::Close { .. }
            | Awaited::Execute { .. },
            b'E',
        ) => Fit::Fails,
        _ => Fit::Not,
    }
}
