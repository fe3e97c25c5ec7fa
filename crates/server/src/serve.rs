//! Connections: how many, for how long, and their end.

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::api;
use crate::guard::Hosts;
use crate::live::Live;

const WORKERS: usize = 2;
/// The most connections at once; further ones are closed at once.
const CONNECTIONS: u32 = 256;
/// How long a request's head may take, and how long a connection may stand idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;
/// After an error of the listener: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers may go on when the server ends.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// Which pages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The UI and the whole API.
    All,
    /// What an agent has to say, which keeps no map.
    Agent,
}

/// A running server. It ends with [`Server::stop`], or at once when it is dropped.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    accepting: JoinHandle<()>,
    live: Arc<Live>,
}

impl Server {
    /// Serves `live` on threads of its own.
    ///
    /// # Errors
    /// When the system gives no threads, or the listener is none.
    pub fn start(
        listener: TcpListener,
        live: Arc<Live>,
        hosts: Hosts,
        pages: Pages,
    ) -> io::Result<Server> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("alaz-http")
            .enable_io()
            .enable_time()
            .build()?;
        listener.set_nonblocking(true)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let router = api::router(Arc::clone(&live), hosts, pages);
        let accepting = runtime.spawn(accept(listener, Arc::clone(&live), router));
        Ok(Server { runtime, accepting, live })
    }

    /// Takes no more requests, lets answers that are under way go out, and ends; within a second.
    pub fn stop(self) {
        self.live.end();
        // Whoever still reads after that is cut off.
        let _ = self
            .runtime
            .block_on(async { tokio::time::timeout(END_TIMEOUT, self.accepting).await });
        self.runtime.shutdown_background();
    }
}

async fn accept(listener: tokio::net::TcpListener, live: Arc<Live>, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS as usize));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = live.ended() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            live.connections_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (live, router) = (Arc::clone(&live), router.clone());
        tokio::spawn(async move {
            converse(stream, &live, router).await;
            drop(place);
        });
    }
    drop(listener);
    // All places are free when all connections are closed.
    let _ = places.acquire_many(CONNECTIONS).await;
}

/// One connection, to its end. Errors are the other side's: it went, or spoke no HTTP.
async fn converse(stream: TcpStream, live: &Live, router: Router) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = live.ended() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::SocketAddr;

    use super::*;

    fn started() -> (Server, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hosts = Hosts::new(address, &[]);
        (Server::start(listener, Live::new("here".to_owned()), hosts, Pages::All).unwrap(), address)
    }

    fn ask(address: SocketAddr, target: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Reads until the text is there, or the connection ends.
    fn read_until(stream: &mut std::net::TcpStream, end: &str) -> String {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains(end) {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => text += &String::from_utf8_lossy(&buffer[..length]),
            }
        }
        text
    }

    #[test]
    fn the_end_is_clean_for_all_who_read() {
        let (server, address) = started();
        let mut idle = ask(address, "/healthz");
        assert!(read_until(&mut idle, "ok\n").starts_with("HTTP/1.1 200"));
        let mut following = ask(address, "/api/v1/exchanges?follow=true");
        assert!(read_until(&mut following, "\r\n\r\n").starts_with("HTTP/1.1 200"));
        server.stop();
        assert_eq!(read_until(&mut idle, "never"), "");
        // The last chunk of RFC 9112 §7.1: the answer is whole.
        assert_eq!(read_until(&mut following, "never"), "0\r\n\r\n");
        assert!(TcpListener::bind(address).is_ok());
    }

    #[test]
    fn connections_beyond_the_limit_are_closed_and_counted() {
        let (server, address) = started();
        let held: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let mut stream = ask(address, "/healthz");
                assert!(read_until(&mut stream, "ok\n").ends_with("ok\n"));
                stream
            })
            .collect();
        assert_eq!(read_until(&mut ask(address, "/healthz"), "never"), "");
        assert_eq!(server.live.connections_refused.load(Ordering::Relaxed), 1);
        drop(held);
        server.stop();
    }

    #[test]
    fn what_is_no_http_ends_its_own_connection_only() {
        let (server, address) = started();
        for nonsense in [&b"\0\xff\x16\x03\x01 nonsense\r\n\r\n"[..], &[b'a'; 2 * HEAD_BYTES]] {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let _ = stream.write_all(nonsense);
            read_until(&mut stream, "never");
        }
        assert!(read_until(&mut ask(address, "/healthz"), "ok\n").ends_with("ok\n"));
        server.stop();
    }
}
