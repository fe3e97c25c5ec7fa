//! A plain HTTP/1.1 client, and a server that says exactly what a test wants, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::PATIENCE;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head, status line included.
    pub head: String,
    /// Body, unchunked.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> Answer {
    try_get(address, target).unwrap_or_else(|| panic!("no answer from {address}{target}"))
}

/// The same; `None` when nobody answers.
#[must_use]
pub fn try_get(address: SocketAddr, target: &str) -> Option<Answer> {
    try_get_as(address, &address.to_string(), target, "")
}

/// The same under another `Host`, with further header lines, each ended by CRLF.
#[must_use]
pub fn try_get_as(address: SocketAddr, host: &str, target: &str, headers: &str) -> Option<Answer> {
    let mut connection = Connection::try_open(address)?;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n");
    connection.send(request.as_bytes());
    connection.try_answer()
}

/// A client's connection, kept open.
pub struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    #[must_use]
    pub fn open(address: SocketAddr) -> Connection {
        Connection::try_open(address).unwrap_or_else(|| panic!("{address} refuses"))
    }

    fn try_open(address: SocketAddr) -> Option<Connection> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        let reader = BufReader::new(stream.try_clone().ok()?);
        Some(Connection { stream, reader })
    }

    /// This end's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// Sends bytes as they are, in one call. A server that has gone is no failure.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a GET that keeps the connection open.
    pub fn send_get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes());
    }

    /// Reads one whole answer to a GET or POST.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// The same; `None` when the connection ends first.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
        let mut body = Vec::new();
        if let Some(length) = header(&head, "content-length") {
            body.resize(length.parse().ok()?, 0);
            self.reader.read_exact(&mut body).ok()?;
        } else if header(&head, "transfer-encoding").is_some() {
            self.read_chunks(&mut body)?;
        } else if status >= 200 && status != 204 && status != 304 {
            self.reader.read_to_end(&mut body).ok()?;
        }
        Some(Answer { status, head, body })
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            self.reader.read_exact(&mut chunk).ok()?;
            if length == 0 {
                return Some(());
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    /// Reads whatever comes until the other side closes.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.reader.read_to_end(&mut bytes);
        bytes
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Listens on a free port of this address and gives each connection to `script` on a thread of its
/// own. The threads live until the test program ends.
pub fn serve(
    ip: &str,
    script: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let script = script.clone();
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                script(&mut stream);
            });
        }
    });
    address
}

/// A script for [`serve`]: answers every request that has no body with this, until the client goes.
/// It waits for requests in a blocking read.
pub fn answer_all(answer: &'static [u8]) -> impl Fn(&mut TcpStream) + Send + Sync + Clone {
    move |stream| {
        let mut waiting = Vec::new();
        loop {
            while let Some(end) = waiting.windows(4).position(|window| window == b"\r\n\r\n") {
                waiting.drain(..end + 4);
                if stream.write_all(answer).is_err() {
                    return;
                }
            }
            if !read_more(stream, &mut waiting) {
                return;
            }
        }
    }
}

/// Reads once, blocking; false when nothing more comes.
pub fn read_more(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer) {
        Ok(0) | Err(_) => false,
        Ok(length) => {
            into.extend_from_slice(&buffer[..length]);
            true
        }
    }
}

/// A moment for bytes to arrive as a segment of their own.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}
