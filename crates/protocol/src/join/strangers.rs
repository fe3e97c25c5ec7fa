//! Views that may have another half on this host, though no address says so.
//!
//! Where both ends are older than Alaz and addresses are translated between them, only what is said
//! shows that they are one connection: request and response begin at the same two sequence numbers,
//! 64 bits that begin at random; they are as long, in the same protocol, at the same time; and a
//! translation leaves the client's address or its port. One such view makes the connections known as
//! the two ends of one.

use alaz_model::{Outcome, Protocol, Role, View};
use hashbrown::HashMap;

/// What both halves have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Likeness {
    protocol: Protocol,
    request: u32,
    response: u32,
    request_bytes: u64,
    response_bytes: u64,
}

/// Views by what their other halves would have in common with them.
#[derive(Default)]
pub(super) struct Strangers {
    waiting: HashMap<Likeness, View, foldhash::fast::RandomState>,
}

/// What became of a view.
pub(super) enum Met {
    /// It waits.
    Nobody,
    /// It, and its other half.
    Other(View, View),
    /// It says too little, or somebody is as like it who cannot be its other half.
    Nothing(View, Option<View>),
}

impl Strangers {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn view(&mut self, view: View, apart_ns: u64) -> Met {
        let Some(likeness) = likeness(&view) else { return Met::Nothing(view, None) };
        match self.waiting.remove(&likeness) {
            None => {
                self.waiting.insert(likeness, view);
                Met::Nobody
            }
            Some(other) if are_halves(&view, &other, apart_ns) => Met::Other(view, other),
            Some(other) => Met::Nothing(view, Some(other)),
        }
    }

    /// Takes out those for whom `is_due`.
    pub(super) fn take(&mut self, is_due: impl Fn(&View) -> bool) -> Vec<View> {
        self.waiting.extract_if(|_, view| is_due(view)).map(|(_, view)| view).collect()
    }

    /// When the first of them ended.
    pub(super) fn first_ended_ns(&self) -> Option<u64> {
        self.waiting.values().map(|view| view.ended_ns).min()
    }
}

fn likeness(view: &View) -> Option<Likeness> {
    let message = &view.message;
    let is_telling = message.outcome == Outcome::Complete
        && view.role != Role::Unknown
        && message.request_bytes > 0
        && message.response_bytes > 0;
    let response = view.response_position.filter(|_| is_telling)?;
    Some(Likeness {
        protocol: message.protocol,
        request: view.request_position.sequence(),
        response: response.sequence(),
        request_bytes: message.request_bytes,
        response_bytes: message.response_bytes,
    })
}

fn are_halves(one: &View, other: &View, apart_ns: u64) -> bool {
    let is_kept = one.client.ip() == other.client.ip() || one.client.port() == other.client.port();
    one.role == other.role.opposite()
        && one.key.socket != other.key.socket
        && is_kept
        && one.started_ns.abs_diff(other.started_ns) <= apart_ns
        && one.ended_ns.abs_diff(other.ended_ns) <= apart_ns
}
