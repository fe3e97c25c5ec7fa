//! What stands behind the question mark: checked, before anything is done.

use alaz_flow::EdgeKey;
use alaz_model::Protocol;
use axum::extract::Query;
use axum::http::Uri;

use super::ApiError;
use crate::filter::{ExchangeFilter, parse_duration};
use crate::store::Period;

/// The parameters of one request: each known, and given once. Empty ones count as not given.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Where a period starts when nobody says.
const DEFAULT_FROM_NS: u64 = 5 * 60 * 1_000_000_000;

impl Parameters {
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Parameters, ApiError> {
        let Query(mut given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_query(format!("the query cannot be read: {error}")))?;
        for (place, (name, _)) in given.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(ApiError::bad_query(format!(
                    "unknown parameter '{name}': there are {known}"
                )));
            }
            if given.iter().take(place).any(|(other, _)| other == name) {
                return Err(ApiError::bad_query(format!("'{name}' is given twice: give it once")));
            }
        }
        given.retain(|(_, value)| !value.is_empty());
        Ok(Parameters(given))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The words of `text`.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.get("text").unwrap_or("").split_whitespace()
    }

    /// The value as something else; `expected` says what it should be.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        parse(value)
            .map(Some)
            .ok_or_else(|| ApiError::bad_query(format!("{name}: '{value}' is not {expected}")))
    }

    pub(super) fn period(&self, now_ns: u64) -> Result<Period, ApiError> {
        let time = |name| {
            self.parsed(
                name,
                "a time: write RFC 3339, such as 2026-11-23T20:00:00Z, or how long ago, such as -5m",
                |text| parse_time(text, now_ns),
            )
        };
        let from_ns = time("from")?.unwrap_or(now_ns.saturating_sub(DEFAULT_FROM_NS));
        let to_ns = time("to")?.unwrap_or(now_ns);
        if from_ns >= to_ns {
            return Err(ApiError::bad_query(
                "the period is empty: 'from' must be before 'to'".to_owned(),
            ));
        }
        Ok(Period { from_ns, to_ns })
    }

    pub(super) fn protocols(&self) -> Result<Vec<Protocol>, ApiError> {
        let known: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
        let expected = format!("a list of protocols: Alaz knows {}", known.join(", "));
        let parse = |text: &str| text.split(',').map(Protocol::from_name).collect();
        Ok(self.parsed("protocol", &expected, parse)?.unwrap_or_default())
    }

    /// Protocols as the edges of the map have them: `tcp` too.
    pub(super) fn edge_protocols(&self) -> Result<Vec<Option<Protocol>>, ApiError> {
        let known: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
        let expected =
            format!("a list of protocols: Alaz knows {}, {}", known.join(", "), EdgeKey::TCP);
        let one = |name: &str| match name {
            EdgeKey::TCP => Some(None),
            _ => Protocol::from_name(name).map(Some),
        };
        let parse = |text: &str| text.split(',').map(one).collect();
        Ok(self.parsed("protocol", &expected, parse)?.unwrap_or_default())
    }

    pub(super) fn exchange_filter(&self) -> Result<ExchangeFilter, ApiError> {
        Ok(ExchangeFilter {
            protocols: self.protocols()?,
            pid: self.parsed("pid", "a process id", |text| text.parse().ok())?,
            port: self.parsed("port", "a port: 0 to 65535", |text| text.parse().ok())?,
            errors: self.flag("errors")?,
            slower_than: self.parsed(
                "slower_than",
                "a duration: write a number and us, ms, s, m or h, as 50ms",
                parse_duration,
            )?,
            words: self.words().map(str::to_owned).collect(),
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let flag = self.parsed(name, "true or false", |text| text.parse().ok())?;
        Ok(flag.unwrap_or(false))
    }

    /// A number from 1 to `most`.
    pub(super) fn count(&self, name: &str, most: usize) -> Result<Option<usize>, ApiError> {
        let expected = format!("a number from 1 to {most}");
        let fits = |count: &usize| (1..=most).contains(count);
        self.parsed(name, &expected, |text| text.parse().ok().filter(fits))
    }
}

/// RFC 3339, or a duration with a minus before it.
fn parse_time(text: &str, now_ns: u64) -> Option<u64> {
    if let Some(ago) = text.strip_prefix('-') {
        let ago_ns = u64::try_from(parse_duration(ago)?.as_nanos()).ok()?;
        return Some(now_ns.saturating_sub(ago_ns));
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: u64 = 1_795_464_000_000_000_000;

    fn period(query: &str) -> Result<Period, String> {
        let uri = format!("/map?{query}").parse().unwrap();
        let parameters = Parameters::of(&uri, &["from", "to"]).map_err(|error| error.message)?;
        parameters.period(NOW_NS).map_err(|error| error.message)
    }

    #[test]
    fn periods_are_absolute_or_relative() {
        let ago = |seconds: u64| NOW_NS - seconds * 1_000_000_000;
        for (query, from_ns, to_ns) in [
            ("", ago(300), NOW_NS),
            ("from=-90s&to=-1.5s", ago(90), NOW_NS - 1_500_000_000),
            ("from=&to=", ago(300), NOW_NS),
            (
                "from=2026-11-23T20:00:00.000000001Z&to=2026-11-23T21:30:00%2B01:00",
                NOW_NS + 1,
                NOW_NS + 1800 * 1_000_000_000,
            ),
        ] {
            assert_eq!(period(query), Ok(Period { from_ns, to_ns }), "{query}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (query, word) in [
            ("from=yesterday", "'yesterday'"),
            ("from=-5", "'-5'"),
            ("from=1960-01-01T00:00:00Z", "1960"),
            ("to=-10m", "before"),
            ("form=-5m", "'form'"),
            ("from=-5m&from=-6m", "twice"),
        ] {
            let message = period(query).unwrap_err();
            assert!(message.contains(word), "{query}: {message}");
        }
    }

    #[test]
    fn a_filter_survives_its_own_query() {
        let filter = ExchangeFilter {
            protocols: vec![Protocol::Http],
            pid: Some(7),
            port: Some(80),
            errors: true,
            slower_than: parse_duration("1.5ms"),
            words: vec!["web".to_owned(), ":80".to_owned()],
        };
        for filter in [filter, ExchangeFilter::default()] {
            let query: Vec<_> = filter
                .to_query()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
                .collect();
            let uri = format!("/exchanges?{}", query.join("&")).parse().unwrap();
            let known = ["protocol", "pid", "port", "errors", "slower_than", "text"];
            let read = Parameters::of(&uri, &known).unwrap().exchange_filter().unwrap();
            assert_eq!(read, filter);
        }
    }
}
