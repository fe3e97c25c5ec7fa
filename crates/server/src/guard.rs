//! Who may ask: only pages of ours, under names of ours.
//!
//! A page from elsewhere in the same browser can send requests here. It cannot read the answers
//! unless its own name leads to this address (DNS rebinding), and then the `Host` it sends gives it
//! away. Literal addresses cannot be rebound.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::ApiError;

/// The page's own files and nothing else; no frame around it, no form in it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
     form-action 'none'";

/// The names under which this server may be asked.
#[derive(Clone, Debug)]
pub struct Hosts {
    listen: IpAddr,
    allowed: Vec<String>,
}

impl Hosts {
    /// A server that listens here, and may also be reached under these host names.
    #[must_use]
    pub fn new(listen: SocketAddr, allowed: &[String]) -> Hosts {
        let allowed = allowed.iter().map(|name| name.to_ascii_lowercase()).collect();
        Hosts { listen: listen.ip().to_canonical(), allowed }
    }

    /// Whether a `Host` names this server. Ports may differ: they are forwarded.
    fn are(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        match literal.unwrap_or(&name).parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                address == self.listen || address.is_loopback() || self.listen.is_unspecified()
            }
            Err(_) => name == "localhost" || self.allowed.contains(&name),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The last colon of a bare IPv6 address is followed by digits too, but stands in brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Lets requests through that are ours, and puts the headers on every answer.
pub(crate) async fn check(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match refusal(&hosts, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::SERVER, concat!("Alaz/", env!("CARGO_PKG_VERSION"))),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refusal(hosts: &Hosts, request: &Request) -> Option<ApiError> {
    let headers = request.headers();
    let Some(host) = only(headers, header::HOST) else {
        return Some(ApiError::forbidden("one Host header is needed".to_owned()));
    };
    let also = request.uri().authority().map(|authority| authority.as_str());
    for name in [Some(host), also].into_iter().flatten() {
        if !hosts.are(name) {
            return Some(ApiError::forbidden(format!(
                "'{name}' is not a name of this server: use its address, or allow the name with \
                 --allowed-hosts"
            )));
        }
    }
    if !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let own = only(headers, header::ORIGIN).is_some_and(|origin| {
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        place.is_some_and(|place| place.eq_ignore_ascii_case(host))
    });
    (!own).then(|| ApiError::forbidden("pages from elsewhere may not ask here".to_owned()))
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let allowed = ["Alaz.example".to_owned()];
        let local = Hosts::new("127.0.0.1:8014".parse().unwrap(), &allowed);
        let lan = Hosts::new("192.168.1.5:8014".parse().unwrap(), &[]);
        let all = Hosts::new("0.0.0.0:8014".parse().unwrap(), &[]);
        let six = Hosts::new("[fd00::1]:8014".parse().unwrap(), &[]);
        for (host, expected) in [
            ("127.0.0.1:8014", [true; 4]),
            ("127.0.0.1", [true; 4]),
            ("LocalHost:9000", [true; 4]),
            ("[::1]:8014", [true; 4]),
            ("[::ffff:127.0.0.1]", [true; 4]),
            ("192.168.1.5:8014", [false, true, true, false]),
            ("[fd00::1]:8014", [false, false, true, true]),
            ("alaz.example:80", [true, false, false, false]),
            ("evil.example", [false; 4]),
            ("127.0.0.1.evil.example", [false; 4]),
            ("localhost.evil.example", [false; 4]),
            ("alaz.example.evil.example", [false; 4]),
            ("", [false; 4]),
            (":8014", [false; 4]),
            ("127.1", [false; 4]),
            ("user@127.0.0.1", [false; 4]),
        ] {
            let found = [&local, &lan, &all, &six].map(|hosts| hosts.are(host));
            assert_eq!(found, expected, "{host}");
        }
    }
}
