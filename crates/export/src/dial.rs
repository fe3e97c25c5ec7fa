//! TCP to one backend, plain or under TLS, by connections that are known as Alaz's own.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::Backend;
use crate::own::{OwnClient, OwnClients};

/// How long one of a host's addresses may take before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections to one backend.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) backend: Backend,
    tls: Option<TlsConnector>,
    own: OwnClients,
}

/// An open connection.
pub(crate) struct Dialed {
    stream: Box<dyn Stream>,
    /// It is Alaz's own for as long as it is open.
    _own: OwnClient,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Dialer {
    /// Its connections are told to `own`. `protocol` is asked for under TLS (ALPN, RFC 7301).
    pub(crate) fn new(backend: Backend, own: OwnClients, protocol: &str) -> io::Result<Dialer> {
        let tls = if backend.is_tls() { Some(tls_connector(protocol)?) } else { None };
        Ok(Dialer { backend, tls, own })
    }

    pub(crate) async fn dial(&self) -> io::Result<Dialed> {
        let (stream, own) = self.connect().await?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let host = self.backend.host().to_owned();
                let name = ServerName::try_from(host).map_err(io::Error::other)?;
                Box::new(tls.connect(name, stream).await?)
            }
        };
        Ok(Dialed { stream, _own: own })
    }

    async fn connect(&self) -> io::Result<(TcpStream, OwnClient)> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host((self.backend.host(), self.backend.port())).await? {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.connect_to(address)).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failed)
    }

    /// The local address is chosen first, so that it is known before the first packet is seen.
    async fn connect_to(&self, address: SocketAddr) -> io::Result<(TcpStream, OwnClient)> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(SocketAddr::new(source_address(address)?, 0))?;
        let own = self.own.add(socket.local_addr()?);
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok((stream, own))
    }
}

/// The address of this host from which that one is reached. No packet is sent.
fn source_address(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Trusts what the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` say where that is), or what
/// Mozilla does where there is nothing.
fn tls_connector(protocol: &str) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
