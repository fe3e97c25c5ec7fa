//! Which exchanges somebody wants to see, and durations as people write them.

use std::time::Duration;

use alaz_model::{Endpoint, Exchange, Protocol};

/// Which exchanges to show; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeFilter {
    /// Only these protocols; empty: all.
    pub protocols: Vec<Protocol>,
    /// Only exchanges of this process, on either side.
    pub pid: Option<u32>,
    /// Only exchanges with this server port.
    pub port: Option<u16>,
    /// Only what the server failed.
    pub errors: bool,
    /// Only what took longer.
    pub slower_than: Option<Duration>,
    /// Only those in which each of these is found, whatever the case: in the names and addresses of
    /// both ends, protocol, method, target, status or outcome. A port, `:80`, must be the server's.
    pub words: Vec<String>,
}

impl ExchangeFilter {
    /// Whether the exchange is wanted.
    #[must_use]
    pub fn takes(&self, exchange: &Exchange) -> bool {
        let (client, server) = (&exchange.client, &exchange.server);
        let latency = exchange.latency_ns.map(Duration::from_nanos);
        (self.protocols.is_empty() || self.protocols.contains(&exchange.message.protocol))
            && self.pid.is_none_or(|pid| client.pid == pid || server.pid == pid)
            && self.port.is_none_or(|port| server.address.port() == port)
            && (!self.errors || exchange.message.error)
            && self.slower_than.is_none_or(|limit| latency.is_some_and(|took| took > limit))
            && (self.words.is_empty() || self.finds_words(exchange))
    }

    fn finds_words(&self, exchange: &Exchange) -> bool {
        let text = text_of(exchange);
        let port = format!(":{}", exchange.server.address.port());
        let is_port = |word: &str| {
            word.strip_prefix(':').is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        self.words.iter().all(|word| match is_port(word) {
            true => *word == port,
            false => text.contains(&word.to_lowercase()),
        })
    }

    /// The same as parameters of `GET /api/v1/exchanges`.
    #[must_use]
    pub fn to_query(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        if !self.protocols.is_empty() {
            let names: Vec<_> = self.protocols.iter().map(|protocol| protocol.as_str()).collect();
            query.push(("protocol", names.join(",")));
        }
        query.extend(self.pid.map(|pid| ("pid", pid.to_string())));
        query.extend(self.port.map(|port| ("port", port.to_string())));
        query.extend(self.errors.then(|| ("errors", "true".to_owned())));
        query.extend(
            self.slower_than.map(|limit| ("slower_than", format!("{}ns", limit.as_nanos()))),
        );
        query.extend((!self.words.is_empty()).then(|| ("text", self.words.join(" "))));
        query
    }
}

/// What words are looked for in, in lower case.
fn text_of(exchange: &Exchange) -> String {
    let (client, server, message) = (&exchange.client, &exchange.server, &exchange.message);
    let process = |end: &Endpoint| end.process.as_ref().map(|process| process.name.clone());
    let text = format!(
        "{} {} {} {} {} {} {} {} {} {} {}",
        client.workload(),
        process(client).unwrap_or_default(),
        client.address.ip(),
        server.workload(),
        process(server).unwrap_or_default(),
        server.address.ip(),
        message.protocol.as_str(),
        message.method,
        message.target,
        message.status,
        message.outcome.as_str(),
    );
    text.to_lowercase()
}

/// A number and a unit: `50ms`, `1.5s`, `10s`, `5m`, `1h`; `None` where it is none.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        for wrong in ["", "5", "s", "-1s", "1d", "1e400s", "nans", "infs", "ü", "1 s x"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn all_that_is_set_must_hold() {
        let mut failed = exchange(0);
        failed.message.error = true;
        failed.server.pid = 7;
        let mut unanswered = failed.clone();
        unanswered.latency_ns = None;
        let all = ExchangeFilter::default();
        let words = |text: &str| ExchangeFilter {
            words: text.split(' ').map(str::to_owned).collect(),
            ..ExchangeFilter::default()
        };
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        for (filter, takes) in [
            (all.clone(), true),
            (ExchangeFilter { protocols: vec![Protocol::Http], ..all.clone() }, true),
            (ExchangeFilter { pid: Some(7), port: Some(80), errors: true, ..all.clone() }, true),
            (ExchangeFilter { pid: Some(8), port: Some(80), ..all.clone() }, false),
            (ExchangeFilter { pid: Some(7), port: Some(81), ..all.clone() }, false),
            (ExchangeFilter { slower_than: Some(us(812)), ..all.clone() }, true),
            (ExchangeFilter { slower_than: Some(ms(1)), errors: true, ..all.clone() }, false),
            (words("10.0.0.9 USERS get http"), true),
            (words("10.0.0.9 postgres"), false),
            (words(":80"), true),
            (words(":8"), false),
            (words(":51514"), false),
        ] {
            assert_eq!(filter.takes(&failed), takes, "{filter:?}");
            assert_eq!(filter.takes(&unanswered), takes && filter.slower_than.is_none());
        }
        assert!(!ExchangeFilter { errors: true, ..all }.takes(&exchange(0)));
    }
}
