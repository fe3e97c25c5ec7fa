//! What was asked for, and how that went: routes, statements, topics.

use alaz_model::{Exchange, Message, Protocol};
use compact_str::CompactString;

use crate::{Histogram, StatusMix};

/// What was asked for, with its variable parts taken out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteName {
    /// HTTP: the method.
    pub method: CompactString,
    /// HTTP: the path with variable parts replaced.
    pub route: CompactString,
    /// The database that an SQL statement was for; empty where it is not known, and elsewhere.
    pub database: CompactString,
}

impl RouteName {
    /// What this message asks for.
    #[must_use]
    pub fn of(message: &Message) -> RouteName {
        RouteName {
            method: message.method.clone(),
            route: message.route.clone(),
            database: database(message).into(),
        }
    }

    #[inline]
    pub(crate) fn key(&self) -> (&str, &str, &str) {
        (&self.method, &self.route, &self.database)
    }
}

/// The same as [`RouteName::key`], without making a name.
#[inline]
pub(crate) fn key(message: &Message) -> (&str, &str, &str) {
    (&message.method, &message.route, database(message))
}

#[inline]
fn database(message: &Message) -> &str {
    match message.protocol {
        Protocol::Postgresql | Protocol::Mysql => attribute(message, "db.namespace"),
        _ => None,
    }
    .unwrap_or_default()
}

/// Messages that this exchange moved to or from a broker, as far as they were counted.
#[inline]
fn moved(message: &Message) -> u64 {
    match message.protocol {
        Protocol::Kafka => attribute(message, "messaging.batch.message_count")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0),
        Protocol::Amqp => u64::from(attribute(message, "messaging.message.body.size").is_some()),
        _ => 0,
    }
}

fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.attributes.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value.as_str())
}

/// How requests for one route went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteStats {
    /// Exchanges.
    pub requests: u64,
    /// Those of them that the server failed.
    pub errors: u64,
    /// What they failed with.
    pub errors_by_code: StatusMix,
    /// Messages moved to or from a broker, as far as they were counted; 0 elsewhere.
    pub messages: u64,
    /// Latency of those that were answered.
    pub latency: Histogram,
}

impl RouteStats {
    /// Adds one exchange.
    #[inline]
    pub fn record(&mut self, exchange: &Exchange) {
        self.requests += 1;
        self.messages += moved(&exchange.message);
        if exchange.message.error {
            self.errors += 1;
            self.errors_by_code.record_error(&exchange.message);
        }
        if let Some(latency_ns) = exchange.latency_ns {
            self.latency.record(latency_ns);
        }
    }

    /// Adds everything of another period.
    pub fn merge(&mut self, other: &RouteStats) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.errors_by_code.merge(&other.errors_by_code);
        self.messages += other.messages;
        self.latency.merge(&other.latency);
    }

    /// Sets all figures to zero and keeps the memory.
    pub fn clear(&mut self) {
        self.requests = 0;
        self.errors = 0;
        self.errors_by_code.clear();
        self.messages = 0;
        self.latency.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use alaz_model::Outcome;

    #[test]
    fn errors_are_told_apart_by_code_up_to_the_limit() {
        let mut stats = RouteStats::default();
        stats.record(&exchange(0));
        for code in 0..StatusMix::LIMIT + 5 {
            let mut failed = exchange(0);
            failed.message.error = true;
            failed.message.status = format!("{code:05}").into();
            stats.record(&failed);
        }
        // A good status that a reset came after is no reason.
        let mut reset = exchange(0);
        reset.message.error = true;
        reset.message.outcome = Outcome::Reset;
        stats.record(&reset);
        let codes: Vec<_> = stats.errors_by_code.iter().collect();
        assert_eq!(codes.len(), StatusMix::LIMIT + 1);
        assert_eq!(codes.first(), Some(&("00000", 1)));
        assert_eq!(codes.last(), Some(&(StatusMix::OTHER, 6)));
        assert_eq!(codes.iter().map(|(_, count)| count).sum::<u64>(), stats.errors);
    }

    #[test]
    fn only_statements_have_a_database() {
        let mut message = exchange(0).message;
        message.attributes.push(("db.namespace", "orders".into()));
        assert_eq!(RouteName::of(&message).database, "");
        message.protocol = Protocol::Mysql;
        assert_eq!(RouteName::of(&message).database, "orders");
        assert_eq!(key(&message), RouteName::of(&message).key());
    }
}
