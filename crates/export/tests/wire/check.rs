//! The shape of every request, written from the description of the wire alone.

use serde_json::{Map, Value};

/// What a request says.
pub struct Checked {
    /// Its idempotency key.
    pub key: String,
    /// Its rows; none in a health check.
    pub rows: Vec<Value>,
}

type Wrong = String;

/// What a place in a row may hold.
enum Field {
    Unsigned,
    Port,
    Address,
    /// Of these words one.
    Word(&'static [&'static str]),
    /// Any text that says something.
    Name,
    Text,
    Empty,
    Bool,
}
use Field::{Address, Bool, Empty, Name, Port, Text, Unsigned, Word};

const KINDS: Field = Word(&["pod", "service", "outbound"]);

const REQUEST: [Field; 16] = [
    Unsigned,
    Unsigned,
    Address,
    KINDS,
    Name,
    Port,
    Address,
    KINDS,
    Name,
    Port,
    Word(&["HTTP", "HTTPS", "gRPC", "POSTGRES", "AMQP", "REDIS", "MYSQL", "MONGO"]),
    Unsigned,
    Empty,
    Name,
    Text,
    Bool,
];

const CONNECTION: [Field; 9] = [Unsigned, Address, KINDS, Name, Port, Address, KINDS, Name, Port];

const KAFKA_EVENT: [Field; 16] = [
    Unsigned,
    Unsigned,
    Address,
    KINDS,
    Name,
    Port,
    Address,
    KINDS,
    Name,
    Port,
    Name,
    Unsigned,
    Text,
    Text,
    Word(&["PUBLISH", "CONSUME"]),
    Bool,
];

/// The methods of each protocol.
const METHODS: [(&str, &[&str]); 8] = [
    ("HTTP", HTTP),
    ("HTTPS", HTTP),
    ("gRPC", &["POST", "GET"]),
    ("POSTGRES", &["SIMPLE_QUERY", "EXTENDED_QUERY", "CLOSE_OR_TERMINATE", "Unknown"]),
    ("AMQP", &["PUBLISH", "DELIVER"]),
    ("REDIS", &["COMMAND", "PUSHED_EVENT", "PING"]),
    ("MYSQL", &["TEXT_QUERY", "PREPARE_STMT", "EXEC_STMT", "STMT_CLOSE", "Unknown"]),
    ("MONGO", &["Unknown"]),
];
const HTTP: &[&str] =
    &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "CONNECT", "OPTIONS", "TRACE", "Unknown"];

/// Checks one request, and gives what it says.
pub fn check(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &str,
) -> Result<Checked, Wrong> {
    check_headers(headers)?;
    let value: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let key = check_metadata(&value, body)?;
    let (expected, rows) = match path {
        "/requests/" => ("POST", check_rows(&value, "requests", &REQUEST)?),
        "/connections/" => ("POST", check_rows(&value, "connections", &CONNECTION)?),
        "/events/kafka/" => ("POST", check_rows(&value, "kafka_events", &KAFKA_EVENT)?),
        "/healthcheck/" => {
            check_health(&value)?;
            ("PUT", Vec::new())
        }
        _ => return Err("no such path".to_owned()),
    };
    ensure(method == expected, || format!("not {expected}"))?;
    if path == "/requests/" {
        rows.iter().try_for_each(check_request)?;
    }
    Ok(Checked { key, rows })
}

fn check_headers(headers: &[(String, String)]) -> Result<(), Wrong> {
    let get = |name: &str| {
        let mut found = headers.iter().filter(|(found, _)| found == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value.as_str()),
            _ => Err(format!("not one header {name}")),
        }
    };
    for name in ["content-type", "accept"] {
        ensure(get(name)? == "application/json", || format!("{name}: {:?}", get(name)))?;
    }
    get("host")?;
    get("user-agent")?;
    get("content-length")?.parse::<usize>().map_err(|error| error.to_string())?;
    for name in ["authorization", "content-encoding", "transfer-encoding", "cookie"] {
        ensure(get(name).is_err(), || format!("a header {name}"))?;
    }
    Ok(())
}

fn check_metadata(value: &Value, body: &str) -> Result<String, Wrong> {
    let metadata = object(
        value,
        "metadata",
        &["monitoring_id", "idempotency_key", "node_id", "alaz_version"],
    )?;
    let text = |name: &str| match &metadata[name] {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        other => Err(format!("{name} is {other}")),
    };
    let (id, key) = (text("monitoring_id")?, text("idempotency_key")?);
    let begin = format!(
        r#"{{"metadata":{{"monitoring_id":"{id}","idempotency_key":"{key}","node_id":"{}","alaz_version":"{}"}},"#,
        text("node_id")?,
        text("alaz_version")?
    );
    ensure(body.starts_with(&begin), || format!("it does not begin with {begin}"))?;
    ensure(!body.ends_with('\n'), || "a line ends it".to_owned())?;
    let bytes = key.as_bytes();
    let is_uuid = bytes.len() == 36
        && bytes[14] == b'4'
        && b"89ab".contains(&bytes[19])
        && key.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && key.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c));
    ensure(is_uuid, || format!("{key} is no UUID of version 4"))?;
    Ok(key)
}

fn check_rows(value: &Value, name: &str, fields: &[Field]) -> Result<Vec<Value>, Wrong> {
    has_keys(value, &["metadata", name])?;
    let rows = value[name].as_array().ok_or_else(|| format!("{name} is no array"))?;
    ensure(!rows.is_empty(), || "no rows".to_owned())?;
    for row in rows {
        let places = row.as_array().ok_or("a row is no array")?;
        ensure(places.len() == fields.len(), || format!("{} places in {row}", places.len()))?;
        for (at, (place, field)) in places.iter().zip(fields).enumerate() {
            ensure(field.holds(place), || format!("place {at} is {place} in {row}"))?;
        }
        // Unix milliseconds of this century.
        let start = row[0].as_u64().unwrap_or(0);
        ensure((946_684_800_000..4_102_444_800_000).contains(&start), || format!("time {start}"))?;
    }
    Ok(rows.clone())
}

fn check_request(row: &Value) -> Result<(), Wrong> {
    let protocol = row[10].as_str().unwrap_or_default();
    let methods = METHODS.iter().find(|(name, _)| *name == protocol).map_or(&[][..], |it| it.1);
    let method = row[13].as_str().unwrap_or_default();
    ensure(methods.contains(&method), || format!("{method} is no method of {protocol}"))?;
    let status = row[11].as_u64().unwrap_or(u64::MAX);
    let statuses = match protocol {
        "HTTP" | "HTTPS" => 0..=999,
        "gRPC" => 0..=16,
        "REDIS" => 1..=3,
        "AMQP" => 0..=0,
        _ => 0..=2,
    };
    ensure(statuses.contains(&status), || format!("{status} is no status of {protocol}"))?;
    ensure((protocol == "HTTPS") <= (row[15] == true), || "HTTPS without TLS".to_owned())
}

fn check_health(value: &Value) -> Result<(), Wrong> {
    has_keys(value, &["metadata", "alaz_info", "telemetry"])?;
    let info = object(value, "alaz_info", &["tracing", "metrics", "logs", "namespace_filter"])?;
    for name in ["tracing", "metrics", "logs"] {
        ensure(info[name].is_boolean(), || format!("{name} is {}", info[name]))?;
    }
    ensure(info["namespace_filter"].is_string(), || "namespace_filter".to_owned())?;
    let names = ["kernel_version", "k8s_version", "cloud_provider"];
    let telemetry = object(value, "telemetry", &names)?;
    let kernel = telemetry["kernel_version"].as_str().unwrap_or_default();
    ensure(kernel.starts_with(|c: char| c.is_ascii_digit()), || format!("kernel {kernel}"))?;
    ensure(telemetry["k8s_version"].is_string(), || "k8s_version".to_owned())?;
    let clouds = Word(&["AWS", "GCP", "Azure", "DigitalOcean", ""]);
    ensure(clouds.holds(&telemetry["cloud_provider"]), || "cloud_provider".to_owned())
}

impl Field {
    fn holds(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Unsigned => value.is_u64(),
            Port => value.as_u64().is_some_and(|port| port <= u64::from(u16::MAX)),
            Address => text.is_some_and(|it| it.parse::<std::net::IpAddr>().is_ok()),
            Word(words) => text.is_some_and(|it| words.contains(&it)),
            Name => text.is_some_and(|it| !it.is_empty()),
            Text => text.is_some(),
            Empty => text == Some(""),
            Bool => value.is_boolean(),
        }
    }
}

fn object<'a>(
    value: &'a Value,
    name: &str,
    keys: &[&str],
) -> Result<&'a Map<String, Value>, Wrong> {
    has_keys(&value[name], keys)?;
    value[name].as_object().ok_or_else(|| format!("{name} is no object"))
}

fn has_keys(value: &Value, keys: &[&str]) -> Result<(), Wrong> {
    let found = value.as_object().ok_or_else(|| format!("{value} is no object"))?;
    let is_same = found.len() == keys.len() && keys.iter().all(|key| found.contains_key(*key));
    ensure(is_same, || format!("keys {:?}, not {keys:?}", found.keys().collect::<Vec<_>>()))
}

fn ensure(holds: bool, wrong: impl FnOnce() -> Wrong) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(wrong()) }
}
