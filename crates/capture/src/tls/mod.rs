//! Probes in TLS libraries: what is said on a connection, before it is encrypted and after it is
//! decrypted.
//!
//! Processes come, load libraries and go; a thread of its own follows them, since probing a file and
//! letting it go take the kernel milliseconds. Each file is probed once, whoever uses it.

mod libraries;
mod maps;
mod probes;
mod report;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alaz_model::Event;
use libbpf_rs::Object;

use crate::attachment::Refused;
use crate::facts::Facts;
use libraries::Libraries;
use probes::Probes;
pub use report::{LibraryReport, TlsReport};

/// When a process is looked at after a program has started in it: libraries are mapped a little later.
const LOOKS: [Duration; 5] = [
    Duration::from_millis(3),
    Duration::from_millis(12),
    Duration::from_millis(50),
    Duration::from_millis(300),
    Duration::from_millis(2_000),
];
/// News of processes that wait; more are passed over, and processes then found by what they say.
const NEWS_MAX: usize = 4096;
/// Looks that are still to come.
const LOOKS_MAX: usize = 16_384;
/// A process that speaks TLS and uses no library that is known is not looked at again so soon, as far
/// as so many are remembered.
const SPEAKS_AGAIN: Duration = Duration::from_secs(10);
const SPEAKERS_MAX: usize = 256;
/// Between two looks at what nobody uses any more.
const TIDY: Duration = Duration::from_secs(10);

/// What happened to a process.
#[derive(Clone, Copy, Debug)]
enum News {
    Started(u32),
    /// Speaks TLS, and may have loaded a library lately.
    Speaks(u32),
    Forked {
        pid: u32,
        parent: u32,
    },
    Ended(u32),
}

/// Follows processes and probes their TLS libraries. Everything is taken off when it is dropped.
pub(crate) struct Tls {
    news: Option<SyncSender<News>>,
    thread: Option<JoinHandle<()>>,
    libraries: Arc<Mutex<Libraries<Probes>>>,
}

impl Tls {
    /// Probes the libraries of all processes that there are, writing to the ring of `traffic`.
    ///
    /// # Errors
    /// When the kernel refuses the programs.
    pub(crate) fn start(
        traffic: &Object,
        btf: Option<&Path>,
        facts: Facts,
    ) -> Result<Tls, Refused> {
        let mut libraries = Libraries::new(Probes::load(traffic, btf, facts)?, Path::new("/"));
        libraries.look_at_all();
        let libraries = Arc::new(Mutex::new(libraries));
        let follower = Follower {
            libraries: Arc::clone(&libraries),
            looks: Vec::new(),
            speakers: VecDeque::new(),
            tidied: Instant::now(),
        };
        let (news, inbox) = mpsc::sync_channel(NEWS_MAX);
        let thread = std::thread::Builder::new()
            .name("tls".to_owned())
            .spawn(move || follower.follow(&inbox))
            .map_err(|error| Refused::other(error.to_string()))?;
        Ok(Tls { news: Some(news), thread: Some(thread), libraries })
    }

    /// Takes note of what an event says of processes.
    pub(crate) fn hear(&self, event: &Event<'_>) {
        let news = match event {
            Event::Exec(exec) => News::Started(exec.pid),
            Event::Fork(fork) => News::Forked { pid: fork.pid, parent: fork.parent },
            Event::Exit(exit) => News::Ended(exit.pid),
            _ => return,
        };
        self.tell(news);
    }

    /// This process speaks TLS.
    pub(crate) fn speaks(&self, pid: u32) {
        self.tell(News::Speaks(pid));
    }

    pub(crate) fn report(&self) -> TlsReport {
        let Ok(libraries) = self.libraries.lock() else { return TlsReport::default() };
        let (libraries, turned_away) = (libraries.reports(), libraries.turned_away());
        TlsReport { refused: None, libraries, turned_away }
    }

    fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            let _ = sender.try_send(news);
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.news = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
struct Follower {
    libraries: Arc<Mutex<Libraries<Probes>>>,
    /// When to look at which process, and how many looks came before.
    looks: Vec<(Instant, u32, usize)>,
    /// Processes that speak TLS, and when they were looked at.
    speakers: VecDeque<(Instant, u32)>,
    tidied: Instant,
}

impl Follower {
    /// Until nobody sends news any more.
    fn follow(mut self, inbox: &Receiver<News>) {
        loop {
            let tidy = self.tidied + TIDY;
            let next =
                self.looks.iter().map(|(due, ..)| *due).min().map_or(tidy, |it| it.min(tidy));
            let news = match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(news) => Some(news),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let libraries = Arc::clone(&self.libraries);
            let Ok(mut libraries) = libraries.lock() else { return };
            if let Some(news) = news {
                self.take(news, &mut libraries);
            }
            let now = Instant::now();
            self.look(now, &mut libraries);
            if now >= tidy {
                self.tidied = now;
                libraries.tidy(now);
            }
        }
    }

    fn take(&mut self, news: News, libraries: &mut Libraries<Probes>) {
        let now = Instant::now();
        match news {
            News::Started(pid) => {
                libraries.gone(pid, now);
                self.looks.retain(|(_, looked_at, _)| *looked_at != pid);
                if self.looks.len() < LOOKS_MAX {
                    self.looks.push((now + LOOKS[0], pid, 0));
                }
            }
            News::Speaks(pid) => self.listen(now, pid, libraries),
            News::Forked { pid, parent } => libraries.forked(pid, parent),
            News::Ended(pid) => {
                self.looks.retain(|(_, looked_at, _)| *looked_at != pid);
                libraries.gone(pid, now);
            }
        }
    }

    fn listen(&mut self, now: Instant, pid: u32, libraries: &mut Libraries<Probes>) {
        while self.speakers.len() >= SPEAKERS_MAX
            || self.speakers.front().is_some_and(|(at, _)| now.duration_since(*at) > SPEAKS_AGAIN)
        {
            self.speakers.pop_front();
        }
        if !libraries.is_known(pid) && self.speakers.iter().all(|(_, known)| *known != pid) {
            self.speakers.push_back((now, pid));
            libraries.look_at(pid);
        }
    }

    /// Libraries are mapped one after the other, so one that was found is no reason to stop looking.
    fn look(&mut self, now: Instant, libraries: &mut Libraries<Probes>) {
        for (due, pid, looked) in std::mem::take(&mut self.looks) {
            if due > now {
                self.looks.push((due, pid, looked));
                continue;
            }
            libraries.look_at(pid);
            if let Some(wait) = LOOKS.get(looked + 1) {
                self.looks.push((now + *wait, pid, looked + 1));
            }
        }
    }
}
