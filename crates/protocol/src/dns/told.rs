//! What is told of a question and its answer.

use alaz_model::{Attributes, Message, Outcome, Protocol};
use compact_str::{CompactString, format_compact};

use super::parse::{Answer, Question};
use super::{name, words};

/// A question on its way, as far as both transports know it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) opcode: u8,
    pub(super) question: Question,
    /// The message, without the length in front of it that TCP has.
    pub(super) bytes: u64,
    /// So many times it was asked again.
    pub(super) retries: u32,
}

/// OpenTelemetry semantic conventions for DNS and network attributes; under `alaz.` what those have
/// no word for.
fn attributes(asked: &Asked, transport: &'static str, answer: Option<&Answer>) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.push(("dns.question.name", name::shown(&asked.question.name)));
    attributes.push(("network.transport", CompactString::const_new(transport)));
    if let Some(answer) = answer {
        if !answer.addresses.is_empty() {
            attributes.push(("dns.answers", answer.addresses.clone()));
        }
        if answer.records > 0 {
            attributes.push(("alaz.answers", format_compact!("{}", answer.records)));
        }
        if answer.is_truncated {
            attributes.push(("alaz.truncated", CompactString::const_new("true")));
        }
    }
    if asked.retries > 0 {
        attributes.push(("alaz.retries", format_compact!("{}", asked.retries)));
    }
    attributes
}

/// The exchange's content. `answer` has its size beside it.
pub(super) fn message(
    asked: &Asked,
    transport: &'static str,
    answer: Option<(&Answer, u64)>,
    outcome: Outcome,
) -> Message {
    let status = answer.map(|(answer, _)| words::status(answer.rcode));
    let failed = answer.is_some_and(|(answer, _)| words::is_failure(answer.rcode));
    Message {
        protocol: Protocol::Dns,
        method: words::method(asked.opcode, asked.question.kind),
        target: name::shown(&asked.question.name),
        route: name::route(&asked.question.name),
        status: status.unwrap_or_default(),
        error: failed || outcome.is_error(),
        outcome,
        request_bytes: asked.bytes,
        response_bytes: answer.map_or(0, |(_, bytes)| bytes),
        attributes: attributes(asked, transport, answer.map(|(answer, _)| answer)),
    }
}
