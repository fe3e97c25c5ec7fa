//! Views of what is said inside TLS that wait for their other half.
//!
//! Where both ends saw all that was said before, the plaintext's positions are the same at both ends,
//! and tell. Where one did not (the connection is older than the probes in its library, or something
//! was missed) the addresses tell the connection, and the halves are those that say the same at the
//! same time: on one connection that can only be mistaken for another where a protocol says the very
//! same several times at once.

use std::collections::VecDeque;

use alaz_model::{Role, View};
use hashbrown::HashMap;

use super::ends::Addresses;

/// By the addresses of their connection.
#[derive(Default)]
pub(super) struct Inside {
    waiting: HashMap<Addresses, Halves, foldhash::fast::RandomState>,
    number: usize,
}

/// Of one connection, in the order in which they came.
#[derive(Default)]
struct Halves {
    clients: VecDeque<View>,
    servers: VecDeque<View>,
}

impl Halves {
    fn of(&mut self, role: Role) -> &mut VecDeque<View> {
        match role {
            Role::Server => &mut self.servers,
            Role::Client | Role::Unknown => &mut self.clients,
        }
    }

    fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.servers.is_empty()
    }
}

impl Inside {
    pub(super) fn len(&self) -> usize {
        self.number
    }

    /// Takes out the other half of this view, if it waits.
    pub(super) fn take_half(&mut self, at: &Addresses, view: &View) -> Option<View> {
        let halves = self.waiting.get_mut(at)?;
        let others = halves.of(view.role.opposite());
        let found = others.iter().position(|other| are_halves(view, other))?;
        let other = others.remove(found)?;
        self.number -= 1;
        if halves.is_empty() {
            self.waiting.remove(at);
        }
        Some(other)
    }

    pub(super) fn wait(&mut self, at: Addresses, view: View) {
        self.waiting.entry(at).or_default().of(view.role).push_back(view);
        self.number += 1;
    }

    /// Takes out those for whom `is_due`.
    pub(super) fn take(&mut self, is_due: impl Fn(&View) -> bool) -> Vec<(Addresses, View)> {
        let mut due = Vec::new();
        self.waiting.retain(|at, halves| {
            for views in [&mut halves.clients, &mut halves.servers] {
                for view in std::mem::take(views) {
                    if is_due(&view) {
                        due.push((*at, view));
                    } else {
                        views.push_back(view);
                    }
                }
            }
            !halves.is_empty()
        });
        self.number -= due.len();
        due
    }

    /// When the first of them ended.
    pub(super) fn first_ended_ns(&self) -> Option<u64> {
        let all = self.waiting.values().flat_map(|it| it.clients.iter().chain(&it.servers));
        all.map(|view| view.ended_ns).min()
    }
}

fn are_halves(one: &View, other: &View) -> bool {
    if one.key == other.key || one.role != other.role.opposite() {
        return false;
    }
    if one.request_position.is_anchored() && other.request_position.is_anchored() {
        return one.request_position == other.request_position;
    }
    let (a, b) = (&one.message, &other.message);
    let says_the_same = (a.protocol, &a.method, &a.target, &a.status)
        == (b.protocol, &b.method, &b.target, &b.status)
        && (a.request_bytes, a.response_bytes) == (b.request_bytes, b.response_bytes);
    let (client, server) = if one.role == Role::Client { (one, other) } else { (other, one) };
    // The server gets the request later, but while the client waits.
    says_the_same && client.started_ns <= server.started_ns && server.started_ns <= client.ended_ns
}
