//! A backend that knows nothing but the wire: it checks the shape of all that it is sent, answers as
//! the test says, and keeps each batch once, by its key.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// What to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status, with further header lines, and a body.
    Status(u16, &'static str, &'static str),
    /// The batch is taken, but nobody hears of it.
    Silence,
}

impl Reply {
    pub const OK: Reply = Reply::Status(200, "", r#"{"msg":"ok","errors":[]}"#);

    pub fn status(status: u16) -> Reply {
        Reply::Status(status, "", "")
    }
}

/// A call, as far as it matters for what is answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// Of all calls to this path, from 1.
    pub number: usize,
    /// Without a prefix.
    pub path: String,
    /// How often this key came, this time included.
    pub attempt: usize,
}

type Answer = Box<dyn Fn(&Call) -> Reply + Send + Sync>;

/// A running backend.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

struct Shared {
    answer: Answer,
    state: Mutex<State>,
    connections: Mutex<Vec<TcpStream>>,
}

#[derive(Default)]
struct State {
    /// What was wrong with what came.
    wrong: Vec<String>,
    calls: HashMap<String, usize>,
    attempts: HashMap<String, usize>,
    bodies: HashMap<String, String>,
    /// Keys of batches that were taken.
    taken: HashSet<String>,
    /// Rows of batches that were taken, by path, each batch once.
    rows: HashMap<String, Vec<Value>>,
    /// The largest batch.
    most_rows: usize,
}

impl Backend {
    /// On a free port of the loopback device.
    pub fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Backend {
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            state: Mutex::default(),
            connections: Mutex::default(),
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut backend = Backend { address, shared, accepting: None };
        backend.listen();
        backend
    }

    /// Listens again, after [`Backend::go_away`].
    pub fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        let is_away = Arc::new(AtomicBool::new(false));
        let (shared, away) = (Arc::clone(&self.shared), Arc::clone(&is_away));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if away.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        self.accepting = Some((is_away, thread));
    }

    /// Nobody listens any more, and what is open is cut.
    pub fn go_away(&mut self) {
        let Some((is_away, thread)) = self.accepting.take() else { return };
        is_away.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap();
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Its address, as the settings want it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Rows that were taken, each once.
    pub fn rows(&self, path: &str) -> Vec<Value> {
        self.state().rows.get(path).cloned().unwrap_or_default()
    }

    /// How many rows were taken.
    pub fn row_count(&self, path: &str) -> usize {
        self.state().rows.get(path).map_or(0, Vec::len)
    }

    /// Calls to a path, whatever was answered.
    pub fn calls(&self, path: &str) -> usize {
        self.state().calls.get(path).copied().unwrap_or(0)
    }

    /// Rows of the largest batch that came.
    pub fn most_rows(&self) -> usize {
        self.state().most_rows
    }

    /// How often each key came.
    pub fn attempts(&self) -> Vec<usize> {
        self.state().attempts.values().copied().collect()
    }

    /// # Panics
    /// When anything came that is not as the wire wants it.
    pub fn assert_all_was_right(&self) {
        let wrong = &self.state().wrong;
        assert!(wrong.is_empty(), "{} wrong, the first: {}", wrong.len(), wrong[0]);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.go_away();
    }
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let path = ["/api-alaz", "/api"]
            .iter()
            .find_map(|prefix| request.path.strip_prefix(prefix))
            .unwrap_or(&request.path)
            .to_owned();
        let reply = take(&path, &request, shared);
        let Reply::Status(status, headers, body) = reply else {
            // Until the other side has had enough.
            let _ = reader.read(&mut [0]);
            return;
        };
        let text =
            format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
        if (&mut &*stream).write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let start = line()?;
    let mut words = start.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body: String::from_utf8(body).ok()? })
}

/// Checks a request, decides what to answer, and keeps its rows if they are taken.
fn take(path: &str, request: &Request, shared: &Shared) -> Reply {
    let checked = super::check::check(&request.method, path, &request.headers, &request.body);
    let mut state = shared.state.lock().unwrap();
    let checked = match checked {
        Ok(checked) => checked,
        Err(wrong) => {
            state.wrong.push(format!("{} {path}: {wrong}: {}", request.method, request.body));
            return Reply::status(400);
        }
    };
    let count = |counts: &mut HashMap<String, usize>, key: &str| {
        let count = counts.entry(key.to_owned()).or_default();
        *count += 1;
        *count
    };
    let number = count(&mut state.calls, path);
    let attempt = count(&mut state.attempts, &checked.key);
    state.most_rows = state.most_rows.max(checked.rows.len());
    let key = &checked.key;
    if let Some(before) = state.bodies.insert(key.clone(), request.body.clone())
        && before != request.body
    {
        state.wrong.push(format!("another body under the same key: {key}"));
    }
    let reply = (shared.answer)(&Call { number, path: path.to_owned(), attempt });
    let is_taken = matches!(reply, Reply::Status(200, ..) | Reply::Silence);
    if is_taken && state.taken.insert(checked.key) {
        state.rows.entry(path.to_owned()).or_default().extend(checked.rows);
    }
    reply
}

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);
