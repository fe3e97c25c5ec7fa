//! What the server says.

use alaz_model::Outcome;
use compact_str::CompactString;

use super::channel::{Channel, Confirms, Content};
use super::parse::{
    self, BASIC_ACK, BASIC_CANCEL, BASIC_CANCEL_OK, BASIC_CONSUME_OK, BASIC_DELIVER, BASIC_GET_OK,
    BASIC_NACK, BASIC_PUBLISH, BASIC_RETURN, CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CONNECTION_CLOSE,
    CONNECTION_CLOSE_OK, CONNECTION_START_OK, Frame, Method, QUEUE_DECLARE, QUEUE_DECLARE_OK,
};
use super::pending::{Answer, Pending};
use super::{Consumer, Conversation, Took};
use crate::dialogue::{Context, Side};
use crate::pattern::pattern;
use crate::stream::Input;

impl Conversation {
    pub(super) fn server_says(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Took {
        match method.id {
            BASIC_DELIVER => self.deliver(method, frame, input, context),
            BASIC_RETURN => {
                let mut pending = Pending::new(method, Side::Server, frame.length, 0, input);
                let answer = Answer::new(frame, pending.started_ns, input);
                pending.answer = Some(Answer { bytes: 0, ..answer.with_code(method.code) });
                self.say(frame.channel, pending, context);
            }
            BASIC_ACK | BASIC_NACK => return self.confirm(method, frame, input, context),
            BASIC_CANCEL => {
                let mut pending = Pending::new(method, Side::Server, frame.length, 0, input);
                let key = (frame.channel, CompactString::from_utf8_lossy(method.consumer));
                let consumer = self.consumers.remove(&key);
                pending.target = consumer.map(|known| known.queue).unwrap_or_default();
                pending.report(Outcome::OneWay, &self.vhost, context);
            }
            CHANNEL_CLOSE | CONNECTION_CLOSE => self.closes(method, frame, input, context),
            _ => return self.answer(method, frame, input, context),
        }
        Took::Frame
    }

    fn say(&mut self, number: u16, pending: Pending, context: &mut Context<'_>) {
        match self.channel(number) {
            Some(channel) => {
                *channel.saying(Side::Server) = Some(Content { pending, left: None });
            }
            None => context.exchanges.give_up(self.reason, 1),
        }
    }

    fn deliver(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        let mut pending = Pending::new(method, Side::Server, frame.length, 0, input);
        let consumer = self.consumer(frame.channel, method);
        // Whether an unknown consumer acknowledges is not known either.
        pending.no_ack = consumer.is_none_or(|consumer| consumer.no_ack);
        let is_unsure = consumer.is_none();
        if let Some(consumer) = consumer.filter(|consumer| !consumer.queue.is_empty()) {
            pending.target = consumer.queue.clone();
        }
        if let Some(channel) = self.channel(frame.channel) {
            if is_unsure {
                channel.remember_unsure(method.delivery, pending.consumer.clone());
            }
            let last = channel.last_delivery.filter(|_| method.is_whole);
            channel.last_delivery = last.map(|_| method.delivery);
        }
        self.say(frame.channel, pending, context);
    }

    /// The server has what was published.
    fn confirm(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Took {
        let Some(channel) = self.channels.get_mut(&frame.channel) else { return Took::Frame };
        let tag = method.delivery;
        let is_early = match channel.confirms {
            Confirms::On { next: Some(next) } => tag >= next,
            _ => false,
        };
        if channel.is_unfinished(Side::Client, tag, input.forced) || is_early && !input.forced {
            return Took::Wait;
        }
        let failed = method.id == BASIC_NACK;
        let settled = Channel::settle(&mut channel.published, tag, method.multiple);
        if settled.is_empty() {
            // It may be for what is still to be told of.
            self.server.lost_to_ns = self.server.lost_to_ns.max(input.origin(0).ended_ns);
        }
        for mut published in settled {
            if input.origin(0).ended_ns < published.started_ns {
                context.exchanges.give_up(self.reason, 1);
                continue;
            }
            let mut answer = Answer::new(frame, published.started_ns, input);
            if failed {
                answer = Answer { status: CompactString::const_new("nack"), failed, ..answer };
            }
            published.answer = Some(answer);
            published.report(Outcome::Complete, &self.vhost, context);
        }
        Took::Frame
    }

    /// The server closes a channel or the connection, mostly because of something that was asked.
    fn closes(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        let is_at_fault = |asked: &Pending| {
            let unnamed = method.about == (0, 0) && asked.id == CONNECTION_START_OK;
            method.is_whole && (asked.id == method.about || unnamed)
        };
        let mut faulty = None;
        for (number, channel) in &mut self.channels {
            if frame.channel != 0 && frame.channel != *number {
                continue;
            }
            if channel.asked.front().is_some_and(is_at_fault) {
                faulty = channel.asked.pop_front();
            } else if method.about == BASIC_PUBLISH && channel.published.len() == 1 {
                faulty = channel.published.pop_front();
            }
            if faulty.is_some() {
                break;
            }
        }
        if let Some(mut faulty) = faulty {
            let answer = Answer::new(frame, faulty.started_ns, input);
            faulty.answer = Some(answer.with_code(method.code));
            faulty.report(Outcome::Complete, &self.vhost, context);
        }
        let mut closing = Pending::new(method, Side::Server, frame.length, 0, input);
        closing.tag = u64::from(method.code);
        if let Some(channel) = self.channel(frame.channel) {
            channel.closing = Some(closing);
        }
    }

    /// What a client waits for.
    fn answer(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Took {
        let is_answer = |asked: &Pending| parse::answers(asked.id).contains(&method.id);
        if !is_any_answer(method) {
            return Took::Frame;
        }
        let reason = self.reason;
        let Some(channel) = self.channel(frame.channel) else { return Took::Frame };
        let is_late = |asked: &Pending| asked.started_ns <= input.origin(0).ended_ns;
        let mut asked = match channel.asked.front() {
            None if !input.forced && !channel.is_adrift => return Took::Wait,
            Some(front) if is_answer(front) && is_late(front) => match channel.asked.pop_front() {
                Some(front) => front,
                None => return Took::Frame,
            },
            // It answers what was not seen; what comes after that is still to be answered.
            Some(front) if !is_late(front) => {
                context.exchanges.give_up(reason, 1);
                return Took::Frame;
            }
            _ => {
                context.exchanges.give_up(reason, 1 + channel.asked.len() as u64);
                channel.asked.clear();
                // What it answers may be told of later.
                self.server.lost_to_ns = self.server.lost_to_ns.max(input.origin(0).ended_ns);
                return Took::Frame;
            }
        };
        let answer = Answer::new(frame, asked.started_ns, input);
        let code = match asked.id {
            CHANNEL_CLOSE | CONNECTION_CLOSE => u16::try_from(asked.tag).unwrap_or(0),
            _ => 200,
        };
        asked.answer = Some(answer.with_code(code));
        match method.id {
            BASIC_GET_OK => {
                asked.routing_key = pattern(method.routing_key);
                self.say(frame.channel, asked, context);
                return Took::Frame;
            }
            QUEUE_DECLARE_OK if asked.id == QUEUE_DECLARE && method.is_whole => {
                let queue = pattern(method.queue);
                channel.last_queue = queue.clone();
                asked.target = queue;
            }
            BASIC_CONSUME_OK if method.is_whole => {
                let queue = asked.target.clone();
                let consumer = Consumer { queue, no_ack: asked.no_ack };
                let tag = CompactString::from_utf8_lossy(method.consumer);
                self.remember_consumer(frame.channel, tag, consumer);
            }
            BASIC_CANCEL_OK if method.is_whole => {
                let tag = CompactString::from_utf8_lossy(method.consumer);
                self.consumers.remove(&(frame.channel, tag));
            }
            _ => {}
        }
        asked.report(Outcome::Complete, &self.vhost, context);
        if let CHANNEL_CLOSE_OK | CONNECTION_CLOSE_OK = method.id {
            self.end_channel(frame.channel, context);
        }
        Took::Frame
    }
}

/// Of what only a server says, all but these answers something.
fn is_any_answer(method: &Method<'_>) -> bool {
    // connection.start, blocked and unblocked, channel.flow
    !matches!(method.id, (10, 10 | 60 | 61) | (20, 20))
}
