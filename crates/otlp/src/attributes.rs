//! Attributes, written and read.

use std::net::IpAddr;

use alaz_model::EndpointKind;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::names::{SCOPE, SERVICE, resource};
use crate::{Agent, DecodeError};

/// The longest text that is taken; longer ones are none of an agent's.
const MOST_TEXT: usize = 64 << 10;
/// The most addresses of one host that are taken.
const MOST_ADDRESSES: usize = 1024;

/// A list of attributes in the making. What is empty is not told.
#[derive(Clone, Default)]
pub(crate) struct Attributes(pub(crate) Vec<KeyValue>);

impl Attributes {
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.push(key, Value::StringValue(text.to_owned()));
        }
    }

    pub(crate) fn number(&mut self, key: &str, number: u64) {
        self.push(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)));
    }

    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.push(key, Value::BoolValue(flag));
    }

    pub(crate) fn list(&mut self, key: &str, values: impl Iterator<Item = Value>) {
        let values: Vec<_> = values.map(any).collect();
        if !values.is_empty() {
            self.push(key, Value::ArrayValue(ArrayValue { values }));
        }
    }

    fn push(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(any(value)),
            ..KeyValue::default()
        });
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// Attributes that came.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a>(pub(crate) &'a [KeyValue]);

impl<'a> Given<'a> {
    pub(crate) fn value(self, key: &str) -> Option<&'a Value> {
        self.0.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
    }

    /// Empty where it was not told.
    pub(crate) fn text(self, key: &str) -> Result<&'a str, DecodeError> {
        match self.value(key) {
            None => Ok(""),
            Some(Value::StringValue(text)) if text.len() <= MOST_TEXT => Ok(text),
            Some(_) => Err(DecodeError(format!("{key} is no text, or too long a one"))),
        }
    }

    pub(crate) fn number(self, key: &str) -> Result<Option<u64>, DecodeError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::IntValue(number)) => u64::try_from(*number)
                .map(Some)
                .map_err(|_| DecodeError(format!("{key} is negative"))),
            Some(_) => Err(DecodeError(format!("{key} is no number"))),
        }
    }

    pub(crate) fn flag(self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::BoolValue(true)))
    }

    pub(crate) fn list(self, key: &str) -> impl Iterator<Item = &'a Value> {
        let list = match self.value(key) {
            Some(Value::ArrayValue(list)) => list.values.as_slice(),
            _ => &[],
        };
        list.iter().filter_map(|item| item.value.as_ref())
    }

    pub(crate) fn address(self, key: &str) -> Result<Option<IpAddr>, DecodeError> {
        match self.text(key)? {
            "" => Ok(None),
            text => {
                let wrong = |_| DecodeError(format!("{key} is '{text}', which is no address"));
                text.parse().map(Some).map_err(wrong)
            }
        }
    }

    pub(crate) fn port(self, key: &str) -> Result<u16, DecodeError> {
        let port = self.number(key)?.unwrap_or(0);
        u16::try_from(port).map_err(|_| DecodeError(format!("{key} is {port}")))
    }

    pub(crate) fn kind(self, key: &str) -> Result<EndpointKind, DecodeError> {
        let text = self.text(key)?;
        kind(text).ok_or_else(|| DecodeError(format!("{key} is '{text}'")))
    }
}

fn kind(name: &str) -> Option<EndpointKind> {
    let kinds = [
        EndpointKind::Process,
        EndpointKind::Container,
        EndpointKind::Pod,
        EndpointKind::Service,
        EndpointKind::Node,
        EndpointKind::Outbound,
    ];
    kinds.into_iter().find(|kind| kind.as_str() == name)
}

pub(crate) fn write_agent(agent: &Agent) -> Resource {
    let mut attributes = Attributes::default();
    attributes.text(resource::SERVICE_NAME, SERVICE);
    attributes.text(resource::SERVICE_VERSION, env!("CARGO_PKG_VERSION"));
    attributes.text(resource::INSTANCE, &agent.instance);
    attributes.text(resource::HOST_NAME, &agent.host);
    let addresses = agent.addresses.iter().map(|ip| Value::StringValue(ip.to_string()));
    attributes.list(resource::HOST_IP, addresses);
    Resource { attributes: attributes.0, ..Resource::default() }
}

pub(crate) fn read_agent(resource: Option<&Resource>) -> Result<Agent, DecodeError> {
    let given = Given(resource.map_or(&[], |resource| &resource.attributes));
    if given.text(resource::SERVICE_NAME)? != SERVICE {
        return Err(DecodeError(format!("service.name is not {SERVICE}")));
    }
    let instance = given.text(resource::INSTANCE)?;
    if instance.len() != 16 || !instance.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(DecodeError("service.instance.id is not 16 hexadecimal digits".to_owned()));
    }
    let mut addresses = Vec::new();
    for address in given.list(resource::HOST_IP).take(MOST_ADDRESSES) {
        if let Value::StringValue(text) = address
            && let Ok(address) = text.parse()
        {
            addresses.push(address);
        }
    }
    let host = given.text(resource::HOST_NAME)?.to_owned();
    Ok(Agent { host, instance: instance.to_owned(), addresses })
}

pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
