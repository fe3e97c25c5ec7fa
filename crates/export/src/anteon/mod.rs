//! Anteon and Ddosify backends, Cloud and Self-Hosted, spoken to as Alaz 0.11 did.
//!
//! In: exchanges and open connections. Out: rows of JSON in batches to `/requests/`, `/connections/`
//! and `/events/kafka/`, and a health check, which may stop and resume all of that. What each row
//! means, and where it is truer than the original's, stands in docs/anteon.md.
//!
//! ```text
//! exchange ─► row (request, kafka, connection) ─► batch ─► queue ─► delivery ─► backend
//! ```

mod batch;
mod connection;
mod delivery;
mod ends;
mod health;
mod kafka;
mod place;
mod queue;
mod request;
mod spool;
#[cfg(test)]
pub(crate) mod testing;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alaz_model::{Exchange, ExportLedger, ExportLoss, Protocol, UnixNanos};
use serde::Serialize;

use crate::client::{Backend, Client};
use crate::counters::Counters;
use crate::own::OwnClients;
use crate::sink::{Exporter, OpenConnection, Sink};
use batch::{Batch, Pile, Sender, Stream};
use delivery::{Delivery, Way};
use queue::{Limits, Queue};
use spool::Spool;

/// The name of this exporter in metrics.
const NAME: &str = "anteon";
/// Bodies that wait in memory, together.
const MOST_BYTES: usize = 32 << 20;
/// Bodies that wait on disk, together: ten minutes of 2000 requests a second, and more.
const MOST_DISK_BYTES: u64 = 512 << 20;

/// Says a line to whoever runs Alaz.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// Where rows go, and as whose.
pub struct Settings {
    /// The backend.
    pub backend: Backend,
    /// The cluster's id at the backend.
    pub monitoring_id: String,
    /// The name of this node.
    pub node: String,
    /// The most rows in a batch of requests; of others half as many.
    pub batch_rows: u64,
    /// The folder for what does not fit in memory, and for what is left at the end.
    pub queue_folder: Option<PathBuf>,
    /// Told of the connections to the backend.
    pub own: OwnClients,
    /// Hears of outages and what else a person should know.
    pub say: Say,
    /// How long things take.
    pub timing: Timing,
}

/// Times of the exporter; those of the original where it has them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a row waits for others.
    pub flush_every: Duration,
    /// How long a call may take.
    pub attempt_timeout: Duration,
    /// How long to wait after a failed call; twice as long after each further one.
    pub first_rest: Duration,
    /// The most that becomes.
    pub longest_rest: Duration,
    /// Between two health checks, and before the first.
    pub health_every: Duration,
    /// How long the last rows may take when Alaz ends.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            flush_every: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            first_rest: Duration::from_secs(1),
            longest_rest: Duration::from_secs(30),
            health_every: Duration::from_secs(10),
            linger: Duration::from_secs(3),
        }
    }
}

/// A running exporter.
pub struct Anteon {
    /// What takes exchanges.
    pub sink: Sink,
    counters: Arc<Counters>,
}

impl Anteon {
    /// Starts one.
    ///
    /// # Errors
    /// When the system gives no threads, or TLS cannot be set up.
    pub fn start(settings: Settings) -> io::Result<Anteon> {
        let spool = open_spool(&settings);
        let Settings { backend, monitoring_id, node, batch_rows, own, say, timing, .. } = settings;
        let counters = Arc::new(Counters::default());
        let limits = Limits {
            bytes: MOST_BYTES,
            first_rest: timing.first_rest,
            longest_rest: timing.longest_rest,
        };
        let (spool, foreign) = spool.unzip();
        counters.lose(ExportLoss::Unreadable, foreign.unwrap_or(0));
        let queue = Queue::new(limits, Arc::clone(&counters), spool);
        let sender = Sender { monitoring_id, node };
        let client = Client::new(backend, own)?;
        let way = Way { client, sender: sender.clone(), timing, say };
        let rows = Rows {
            piles: Stream::ALL.map(|stream| {
                let is_main = stream == Stream::Requests;
                Pile::new(stream, if is_main { batch_rows } else { batch_rows / 2 })
            }),
            sender,
            flush_every: timing.flush_every,
            counters: Arc::clone(&counters),
            delivery: Some(Delivery::start(queue, way)?),
        };
        let sink = Sink::start("alaz-anteon", rows, Arc::clone(&counters))?;
        Ok(Anteon { sink, counters })
    }

    /// What tells what became of its rows, also after it has ended.
    pub fn ledger(&self) -> impl Fn() -> ExportLedger + Send + Sync + use<> {
        let counters = Arc::clone(&self.counters);
        move || counters.read(NAME)
    }
}

/// The queue on disk, and how many rows of another backend were in its place. Without one it goes on
/// as well.
fn open_spool(settings: &Settings) -> Option<(Spool, u64)> {
    let folder = settings.queue_folder.as_ref()?;
    let target = format!("{}\n{}\n", settings.backend, settings.monitoring_id);
    match Spool::open(folder, &target, MOST_DISK_BYTES) {
        Ok(opened) => Some(opened),
        Err(error) => {
            (settings.say)(&format!("no queue on disk, in {}: {error}", folder.display()));
            None
        }
    }
}

/// Makes rows of what comes, and batches of rows.
struct Rows {
    piles: [Pile; Stream::ALL.len()],
    sender: Sender,
    flush_every: Duration,
    counters: Arc<Counters>,
    delivery: Option<Delivery>,
}

impl Rows {
    fn add(&mut self, stream: Stream, row: &impl Serialize) {
        self.counters.queue(1);
        let batch = self.piles[stream as usize].add(row, &self.sender);
        self.push(batch);
    }

    fn push(&self, batch: Option<Batch>) {
        if let (Some(batch), Some(delivery)) = (batch, &self.delivery) {
            delivery.push(batch);
        }
    }

    fn add_records(&mut self, exchange: &Exchange) {
        match kafka::Row::of(exchange, &self.sender.node) {
            Ok((row, records)) => {
                let rows = records.min(kafka::MOST_RECORDS);
                self.counters.lose(ExportLoss::TooMany, records - rows);
                (0..rows).for_each(|_| self.add(Stream::KafkaEvents, &row));
            }
            Err(reason) => self.counters.leave_out(reason),
        }
    }
}

impl Exporter for Rows {
    fn exchange(&mut self, exchange: &Exchange) {
        if exchange.message.protocol == Protocol::Kafka {
            return self.add_records(exchange);
        }
        match request::Row::of(exchange, &self.sender.node) {
            Ok(row) => self.add(Stream::Requests, &row),
            Err(reason) => self.counters.leave_out(reason),
        }
    }

    fn open_connection(&mut self, connection: &OpenConnection) {
        let row = connection::Row::of(connection, unix_now(), &self.sender.node);
        self.add(Stream::Connections, &row);
    }

    fn tick(&mut self) {
        for stream in Stream::ALL {
            let pile = &mut self.piles[stream as usize];
            if pile.begun().is_some_and(|begun| begun.elapsed() >= self.flush_every) {
                let batch = pile.take();
                self.push(batch);
            }
        }
    }

    fn finish(&mut self) {
        for stream in Stream::ALL {
            let batch = self.piles[stream as usize].take();
            self.push(batch);
        }
        if let Some(delivery) = self.delivery.take() {
            delivery.finish();
        }
    }
}

fn unix_now() -> UnixNanos {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX))
}
