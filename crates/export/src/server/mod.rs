//! `alaz server`, or any other receiver of OTLP over gRPC: what an agent sees, once a second.
//!
//! In: slices of a recorder that tells from which end each edge was seen. Out: messages of metrics
//! and spans ([`alaz_otlp`]), in order, one at a time; one that may not have arrived is sent again
//! under the same number, so that it counts once.
//!
//! ```text
//! slice ─► report, samples ─► messages ─► queue ─► delivery ─► server
//! ```

mod delivery;
mod queue;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alaz_flow::{Overflow, Slice};
use alaz_model::{Exchange, ExportLedger, ExportLoss, UnixNanos};
use alaz_otlp::{Agent, Report};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::client::Backend;
use crate::counters::Counters;
use crate::own::OwnClients;
use delivery::{Delivery, Wire};

/// The name of this exporter in metrics.
const NAME: &str = "server";
/// Seconds that wait to be made messages of. They are made at once, so this is for a stalled machine.
const MOST_REPORTS: usize = 30;

/// Says a line to whoever runs Alaz.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// Where reports go, and as whose.
pub struct Settings {
    /// The server, such as `http://alaz-server:4317`.
    pub server: Backend,
    /// What it wants to see of its agents; none where it wants nothing.
    pub token: Option<String>,
    /// The name of this host there.
    pub host: String,
    /// The addresses of this host, looked at now and then.
    pub addresses: Box<dyn Fn() -> Vec<IpAddr> + Send>,
    /// Told of the connections to the server.
    pub own: OwnClients,
    /// Hears of outages and what else a person should know.
    pub say: Say,
    /// Bounds and times.
    pub limits: Limits,
}

/// How much waits, and how long things take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages that wait, together, in bytes. Beyond, the oldest are lost.
    pub queue_bytes: usize,
    /// How long a message may wait. A server takes what is a minute older.
    pub queue_age: Duration,
    /// How long a call may take.
    pub attempt_timeout: Duration,
    /// How long to wait after a failed call; twice as long after each further one.
    pub first_rest: Duration,
    /// The most that becomes. A server that has just started waits for twice as long for its agents.
    pub longest_rest: Duration,
    /// Between two looks at the addresses of this host.
    pub look_again: Duration,
    /// How long the last messages may take when Alaz ends.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queue_bytes: 32 << 20,
            queue_age: Duration::from_secs(300),
            attempt_timeout: Duration::from_secs(10),
            first_rest: Duration::from_millis(500),
            longest_rest: Duration::from_secs(4),
            look_again: Duration::from_secs(10),
            linger: Duration::from_secs(3),
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The token has characters that a header cannot hold.
    #[error("the token is no line of visible ASCII characters: choose another one")]
    Token,
    /// The system gives no thread, or TLS cannot be set up.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A running exporter.
pub struct ServerExporter {
    sender: Option<Sender<Told>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// What was seen in one second.
struct Told {
    report: Report,
    samples: Vec<Arc<Exchange>>,
}

impl ServerExporter {
    /// Starts one, on a thread of its own.
    ///
    /// # Errors
    /// When a setting cannot be used, or the system gives no thread.
    pub fn start(settings: Settings) -> Result<ServerExporter, StartError> {
        let counters = Arc::new(Counters::default());
        let (sender, receiver) = channel(MOST_REPORTS);
        let wire = Wire::new(settings.server, settings.token, settings.own, settings.limits)?;
        let agent = Agent {
            host: settings.host,
            instance: format!("{:016x}", crate::random()),
            addresses: (settings.addresses)(),
        };
        let messages =
            Messages { agent, addresses: settings.addresses, looked: Instant::now(), number: 0 };
        let limits = settings.limits;
        let delivery = Delivery::new(wire, limits, Arc::clone(&counters), settings.say);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("alaz-tell".to_owned()).spawn(move || {
            runtime.block_on(serve(receiver, messages, delivery, limits));
            // A name may be looked up still, which nobody waits for.
            runtime.shutdown_background();
        })?;
        Ok(ServerExporter { sender: Some(sender), counters, thread: Some(thread) })
    }

    /// Tells what was seen from `start` to `end` (wall time). Never waits.
    pub fn tell(&self, slice: &Slice<'_>, start: UnixNanos, end: UnixNanos) {
        let told =
            Told { report: Report::of(slice, start, end), samples: alaz_otlp::samples(slice) };
        let rows = told.report.rows();
        self.counters.queue(rows);
        let sent = self.sender.as_ref().is_some_and(|sender| sender.try_send(told).is_ok());
        if !sent {
            self.counters.lose_queued(ExportLoss::Behind, rows);
        }
    }

    /// What tells what became of its rows (exchanges and connections), also after it has ended.
    pub fn ledger(&self) -> impl Fn() -> ExportLedger + Send + Sync + use<> {
        let counters = Arc::clone(&self.counters);
        move || counters.read(NAME)
    }
}

impl Drop for ServerExporter {
    /// Sends what is left, for a moment.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // Where it broke, its panic has been told of.
            let _ = thread.join();
        }
    }
}

async fn serve(
    mut receiver: Receiver<Told>,
    mut messages: Messages,
    mut delivery: Delivery,
    limits: Limits,
) {
    let mut until = None;
    loop {
        tokio::select! {
            told = receiver.recv() => match told {
                Some(told) => {
                    until = Some(told.report.end);
                    messages.make(&told, false, &mut delivery);
                }
                None => break,
            },
            () = delivery.go_on() => {}
        }
    }
    if let Some(end) = until {
        // Nobody needs to wait for this agent any more.
        let none = Overflow::default();
        let report = Report { start: end, end, parts: Vec::new(), overflow: none };
        messages.make(&Told { report, samples: Vec::new() }, true, &mut delivery);
    }
    let _ = tokio::time::timeout(limits.linger, delivery.finish()).await;
    delivery.give_up();
}

/// Makes messages of what was seen.
struct Messages {
    agent: Agent,
    addresses: Box<dyn Fn() -> Vec<IpAddr> + Send>,
    looked: Instant,
    number: u64,
}

impl Messages {
    /// The samples go first, so that they are there when their second is complete.
    fn make(&mut self, told: &Told, ends: bool, delivery: &mut Delivery) {
        if self.looked.elapsed() >= delivery.limits().look_again {
            self.looked = Instant::now();
            self.agent.addresses = (self.addresses)();
        }
        let number = self.number + 1;
        for message in alaz_otlp::encode_spans(&self.agent, &told.samples, number) {
            self.number += 1;
            delivery.push_spans(self.number, &message);
        }
        let metrics = alaz_otlp::encode_metrics(&self.agent, &told.report);
        let last = metrics.len().saturating_sub(1);
        for (place, (message, rows)) in metrics.iter().enumerate() {
            self.number += 1;
            let period = match (place == last, ends) {
                (false, _) => "more",
                (true, false) => "last",
                (true, true) => "end",
            };
            delivery.push_metrics(self.number, period, message, *rows);
        }
    }
}
