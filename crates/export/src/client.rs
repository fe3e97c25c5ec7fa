//! HTTP/1.1 to one backend.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;

use crate::dial::Dialer;
use crate::own::OwnClients;

/// Of an answer no more is read.
const MOST_ANSWER_BYTES: usize = 1 << 20;
const AGENT: &str = concat!("alaz/", env!("CARGO_PKG_VERSION"));

/// A backend's address: scheme, host, perhaps a port, perhaps a path in front of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    is_tls: bool,
    host: String,
    port: u16,
    /// Host and port as they were written.
    authority: String,
    prefix: String,
}

impl Backend {
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A backend's address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address of a backend: write it as https://backend.example:443")]
pub struct BackendError(String);

impl std::str::FromStr for Backend {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Backend, BackendError> {
        let wrong = || BackendError(text.to_owned());
        let uri: Uri = text.trim().parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host();
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| wrong())?,
            None if authority.as_str() != host => return Err(wrong()),
            None if is_tls => 443,
            None => 80,
        };
        let is_user = authority.as_str().contains('@');
        if host.is_empty() || uri.query().is_some() || is_user {
            return Err(wrong());
        }
        Ok(Backend {
            is_tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

/// What a backend answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long it wants to be left alone, where it says so in seconds.
    pub(crate) retry_after: Option<Duration>,
    /// As far as it was read.
    pub(crate) body: Vec<u8>,
}

/// Makes connections to one backend.
pub(crate) struct Client {
    dialer: Dialer,
}

/// An open connection, for one call at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Its connections are told to `own`.
    pub(crate) fn new(backend: Backend, own: OwnClients) -> io::Result<Client> {
        Ok(Client { dialer: Dialer::new(backend, own, "http/1.1")? })
    }

    /// Asks over this connection, or a new one where it is gone; it stays if it can be used again.
    pub(crate) async fn call(
        &self,
        connection: &mut Option<Connection>,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> io::Result<Answer> {
        // One that was kept may have been closed by the backend meanwhile, which shows when it is
        // used.
        if let Some(kept) = connection.take().filter(|kept| kept.sender.is_ready())
            && let Ok(answer) = self.ask(kept, connection, &method, path, &body).await
        {
            return Ok(answer);
        }
        let opened = self.connect().await?;
        self.ask(opened, connection, &method, path, &body).await
    }

    async fn ask(
        &self,
        mut connection: Connection,
        kept: &mut Option<Connection>,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> io::Result<Answer> {
        let json = HeaderValue::from_static("application/json");
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.dialer.backend.prefix))
            .header(HOST, &self.dialer.backend.authority)
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, &json)
            .header(ACCEPT, &json)
            .body(Full::new(body.clone()))
            .map_err(io::Error::other)?;
        let response = connection.sender.send_request(request).await.map_err(io::Error::other)?;
        let (answer, is_read) = read(response).await?;
        if is_read {
            *kept = Some(connection);
        }
        Ok(answer)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let dialed = self.dialer.dial().await?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(dialed)).await.map_err(io::Error::other)?;
        // Its error comes to whoever asks over it.
        tokio::spawn(connection);
        Ok(Connection { sender })
    }
}

/// The answer, and whether it was read to its end.
async fn read(response: Response<Incoming>) -> io::Result<(Answer, bool)> {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs));
    let mut answer = Answer { status, retry_after, body: Vec::new() };
    let mut incoming = response.into_body();
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame else {
            // What the backend decided stands, whatever became of its words.
            return Ok((answer, false));
        };
        let Some(data) = frame.data_ref() else { continue };
        if answer.body.len() + data.len() > MOST_ANSWER_BYTES {
            return Ok((answer, false));
        }
        answer.body.extend_from_slice(data);
    }
    Ok((answer, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_written_as_the_original_wants_them() {
        for (text, is_tls, host, port, prefix) in [
            ("https://api-alaz.getanteon.com:443", true, "api-alaz.getanteon.com", 443, ""),
            ("http://10.0.0.1:8014/api-alaz/", false, "10.0.0.1", 8014, "/api-alaz"),
            ("http://backend", false, "backend", 80, ""),
            ("https://[::1]", true, "::1", 443, ""),
        ] {
            let backend: Backend = text.parse().unwrap();
            let found = (backend.is_tls, &*backend.host, backend.port, &*backend.prefix);
            assert_eq!(found, (is_tls, host, port, prefix), "{text}");
            assert_eq!(backend.to_string(), text.trim_end_matches('/'));
        }
        for text in
            ["", "backend:443", "ftp://a", "https://", "http://a:b", "http://u@a", "http://a/?q=1"]
        {
            let error = text.parse::<Backend>().unwrap_err().to_string();
            assert!(error.contains("https://backend.example:443"), "{text}: {error}");
        }
    }
}
