//! The exchange that becomes of one view, or of two.

use alaz_model::{Clock, Endpoint, Exchange, ObservedBy, Outcome, Role, View};

/// The client's times count; of what was said, the end that saw more of it.
pub(crate) fn join(client: View, server: &View, clock: &Clock) -> Exchange {
    let server_latency_ns = latency_ns(server);
    // Both saw the response to its last byte, whatever only one of them could make of it.
    let is_whole = server_latency_ns.is_some()
        && client.response_position.is_some()
        && client.response_ns.is_some_and(|first_ns| client.ended_ns >= first_ns)
        && client.message.response_bytes == server.message.response_bytes;
    let whole_ns = is_whole.then(|| client.ended_ns.saturating_sub(client.started_ns));
    let (server_address, server_pid) = (server.server, server.pid);
    let sees_more = |one: &View, other: &View| {
        let rank = |view: &View| match view.message.outcome {
            Outcome::Complete | Outcome::OneWay => 2,
            Outcome::Partial => 1,
            Outcome::NoResponse | Outcome::Reset | Outcome::Refused => 0,
        };
        rank(one) > rank(other)
            || rank(one) == rank(other) && one.message.status.len() > other.message.status.len()
    };
    let message = if sees_more(server, &client) { Some(server.message.clone()) } else { None };
    let mut exchange = alone(client, clock);
    exchange.observed_by = ObservedBy::Both;
    exchange.latency_ns = exchange.latency_ns.or(whole_ns);
    exchange.server_latency_ns = server_latency_ns;
    exchange.server = Endpoint { pid: server_pid, ..Endpoint::at(server_address) };
    if let Some(message) = message {
        exchange.message = message;
    }
    exchange
}

/// What one end alone knows.
pub(crate) fn alone(view: View, clock: &Clock) -> Exchange {
    let latency_ns = latency_ns(&view);
    let ttfb_ns = view.response_ns.map(|first_ns| first_ns.saturating_sub(view.started_ns));
    let at = |address, local| Endpoint {
        pid: if local { view.pid } else { 0 },
        ..Endpoint::at(address)
    };
    let is_server = view.role == Role::Server;
    Exchange {
        time: clock.unix(view.started_ns),
        tls: view.tls,
        client: at(view.client, !is_server),
        server: at(view.server, is_server),
        latency_ns,
        ttfb_ns,
        server_latency_ns: latency_ns.filter(|_| is_server),
        observed_by: if is_server { ObservedBy::Server } else { ObservedBy::Client },
        message: view.message,
    }
}

/// Only of an exchange that was seen whole.
fn latency_ns(view: &View) -> Option<u64> {
    let is_whole = view.message.outcome == Outcome::Complete && view.response_ns.is_some();
    is_whole.then(|| view.ended_ns.saturating_sub(view.started_ns))
}
