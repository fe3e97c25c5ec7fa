//! What the client says.

use alaz_model::{Outcome, UnpairedReason};
use compact_str::CompactString;

use super::channel::{Channel, Confirms, Content};
use super::parse::{
    self, BASIC_ACK, BASIC_CANCEL, BASIC_CONSUME, BASIC_GET, BASIC_NACK, BASIC_PUBLISH,
    BASIC_REJECT, CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CHANNEL_OPEN, CONFIRM_SELECT, CONNECTION_CLOSE,
    CONNECTION_CLOSE_OK, CONNECTION_OPEN, Frame, Method,
};
use super::pending::{Answer, Pending};
use super::{Consumer, Conversation, Took};
use crate::dialogue::{Context, Side};
use crate::pattern::pattern;
use crate::stream::Input;

impl Conversation {
    pub(super) fn client_says(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Took {
        match method.id {
            CONNECTION_OPEN => self.vhost = pattern(method.vhost),
            BASIC_PUBLISH => self.publish(method, frame, input, context),
            BASIC_ACK | BASIC_NACK | BASIC_REJECT => {
                return self.acknowledge(method, frame, input, context);
            }
            CHANNEL_CLOSE_OK | CONNECTION_CLOSE_OK => self.close_ok(frame, input, context),
            CHANNEL_OPEN if self.channel(frame.channel).is_some() => {
                self.end_channel(frame.channel, context);
                self.channels.insert(frame.channel, Channel::opened());
            }
            CONFIRM_SELECT => {
                if let Some(channel) = self.channel(frame.channel)
                    && channel.confirms == Confirms::Off
                {
                    channel.confirms = Confirms::On { next: Some(1) };
                }
            }
            _ => {}
        }
        if !parse::answers(method.id).is_empty() {
            self.ask(method, frame, input, context);
        }
        Took::Frame
    }

    /// A method that the client waits for, unless it says that it does not.
    fn ask(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        let mut pending = Pending::new(method, Side::Client, frame.length, 0, input);
        match method.id {
            BASIC_CANCEL => {
                let queue = self.consumer(frame.channel, method).map(|known| known.queue.clone());
                pending.target = queue.unwrap_or_default();
            }
            BASIC_CONSUME | BASIC_GET if method.queue.is_empty() && method.is_whole => {
                let channel = self.channels.get(&frame.channel);
                pending.target = channel.map(|known| known.last_queue.clone()).unwrap_or_default();
            }
            // Who closes says why.
            CHANNEL_CLOSE | CONNECTION_CLOSE => pending.tag = u64::from(method.code),
            _ => {}
        }
        if method.no_wait {
            pending.report(Outcome::OneWay, &self.vhost, context);
            let key = CompactString::from_utf8_lossy(method.consumer);
            if method.id == BASIC_CONSUME && !key.is_empty() {
                let consumer = Consumer { queue: pending.target, no_ack: method.no_ack };
                self.remember_consumer(frame.channel, key, consumer);
            } else if method.id == BASIC_CANCEL {
                self.consumers.remove(&(frame.channel, key));
            }
            return;
        }
        // Whether it is answered at all was not seen, or whether it was answered already.
        let may_be_answered = self.server.is_losing || pending.started_ns <= self.server.lost_to_ns;
        if pending.is_partial || may_be_answered {
            context.exchanges.give_up(UnpairedReason::Truncated, 1);
            return;
        }
        // One at a time is the rule.
        let is_first =
            self.channels.get(&frame.channel).is_none_or(|channel| channel.asked.is_empty());
        if !is_first && !self.has_room(context) {
            return;
        }
        let reason = self.reason;
        match self.channel(frame.channel) {
            Some(channel) if !channel.is_adrift => {
                channel.pipelines |= !is_first;
                channel.asked.push_back(pending);
            }
            _ => context.exchanges.give_up(reason, 1),
        }
    }

    fn publish(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) {
        let mut pending = Pending::new(method, Side::Client, frame.length, 0, input);
        let reason = self.reason;
        let Some(channel) = self.channel(frame.channel) else {
            context.exchanges.give_up(reason, 1);
            return;
        };
        if let Confirms::On { next } = &mut channel.confirms {
            // Which confirmation is meant for it cannot be told.
            pending.is_partial |= next.is_none();
            pending.tag = next.unwrap_or(0);
            *next = next.map(|tag| tag.saturating_add(1));
        }
        *channel.saying(Side::Client) = Some(Content { pending, left: None });
    }

    /// The client has dealt with deliveries.
    fn acknowledge(
        &mut self,
        method: &Method<'_>,
        frame: &Frame<'_>,
        input: &Input<'_>,
        context: &mut Context<'_>,
    ) -> Took {
        let (tag, multiple) = (method.delivery, method.multiple);
        let Some(channel) = self.channels.get_mut(&frame.channel) else { return Took::Frame };
        let is_early = channel.last_delivery.is_some_and(|last| tag > last);
        if channel.is_unfinished(Side::Server, tag, input.forced) || is_early && !input.forced {
            return Took::Wait;
        }
        let status = match method.id {
            BASIC_ACK => "ok",
            BASIC_NACK => "nack",
            _ => "reject",
        };
        let settled = Channel::settle(&mut channel.delivered, tag, multiple);
        if settled.is_empty() {
            // It may be for what is still to be told of.
            self.client.lost_to_ns = self.client.lost_to_ns.max(input.origin(0).ended_ns);
        }
        for mut delivered in settled {
            if input.origin(0).ended_ns < delivered.started_ns {
                context.exchanges.give_up(self.reason, 1);
                continue;
            }
            let answer = Answer::new(frame, delivered.started_ns, input);
            delivered.answer = Some(Answer { status: CompactString::const_new(status), ..answer });
            delivered.report(Outcome::Complete, &self.vhost, context);
        }
        // A consumer that acknowledges once always does.
        let is_meant = |of: u64| if multiple { of <= tag || tag == 0 } else { of == tag };
        let known = channel.unsure.iter().find(|(of, _)| is_meant(*of));
        if let Some((_, consumer)) = known.cloned() {
            channel.unsure.retain(|(_, of)| *of != consumer);
            let unknown = Consumer { queue: CompactString::default(), no_ack: false };
            self.remember_consumer(frame.channel, consumer, unknown);
        }
        Took::Frame
    }

    /// The client agrees to what the server has closed.
    fn close_ok(&mut self, frame: &Frame<'_>, input: &Input<'_>, context: &mut Context<'_>) {
        if let Some(channel) = self.channels.get_mut(&frame.channel)
            && let Some(mut closing) = channel.closing.take()
        {
            let answer = Answer::new(frame, closing.started_ns, input);
            let code = u16::try_from(closing.tag).unwrap_or(0);
            closing.answer = Some(answer.with_code(code));
            closing.report(Outcome::Complete, &self.vhost, context);
            self.end_channel(frame.channel, context);
        }
    }
}
