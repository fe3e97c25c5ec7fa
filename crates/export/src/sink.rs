//! The way from the thread that captures to an exporter's own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use alaz_model::{Endpoint, Exchange, ExportLoss};

use crate::counters::Counters;

/// So many are handed over at once, at most.
const CHUNK: usize = 128;
/// So many chunks wait for the exporter; about 16 MiB when they are full.
const CHUNKS: usize = 128;
/// The longest between two looks of an exporter at the time.
const TICK: Duration = Duration::from_millis(100);

/// A TCP connection that is open, seen from its client's end.
#[derive(Clone, Debug)]
pub struct OpenConnection {
    /// Who opened it.
    pub client: Endpoint,
    /// Who was connected to, at the address that the client used.
    pub server: Endpoint,
}

/// Makes of exchanges what another system takes, and sees to it that it arrives. It runs on a thread
/// of its own and may take its time; what is too much for it is lost before it, and counted.
pub trait Exporter: Send + 'static {
    /// An exchange is complete.
    fn exchange(&mut self, exchange: &Exchange);

    /// A connection is open now.
    fn open_connection(&mut self, connection: &OpenConnection);

    /// Time has passed. Called every 100 ms at least.
    fn tick(&mut self);

    /// Nothing more will come: delivers or keeps what it can, within seconds.
    fn finish(&mut self);
}

#[expect(clippy::large_enum_variant, reason = "nearly all are exchanges, which go without a box")]
enum Told {
    Exchange(Exchange),
    OpenConnection(OpenConnection),
}

/// The end of the queue that the capture holds. Nothing here waits.
pub struct Sink {
    chunk: Vec<Told>,
    sender: Option<SyncSender<Vec<Told>>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts the exporter on a thread of this name.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        name: &str,
        exporter: impl Exporter,
        counters: Arc<Counters>,
    ) -> io::Result<Sink> {
        let (sender, receiver) = sync_channel(CHUNKS);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(exporter, &receiver))?;
        Ok(Sink { chunk: Vec::new(), sender: Some(sender), counters, thread: Some(thread) })
    }

    /// An exchange is complete.
    pub fn exchange(&mut self, exchange: &Exchange) {
        self.add(Told::Exchange(exchange.clone()));
    }

    /// A connection is open now.
    pub fn open_connection(&mut self, connection: OpenConnection) {
        self.add(Told::OpenConnection(connection));
    }

    /// Hands over what has come since the last pass. Call it often: every few milliseconds.
    pub fn pass(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let Some(sender) = &self.sender else { return };
        match sender.try_send(std::mem::take(&mut self.chunk)) {
            Ok(()) => {}
            Err(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) => {
                self.chunk = chunk;
            }
        }
    }

    fn add(&mut self, told: Told) {
        if self.chunk.len() >= CHUNK {
            self.pass();
        }
        if self.chunk.len() >= CHUNK {
            self.counters.lose(ExportLoss::Behind, 1);
            return;
        }
        self.chunk.push(told);
    }
}

impl Drop for Sink {
    /// Lets the exporter finish.
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take()
            && let Err(lost) = sender.send(std::mem::take(&mut self.chunk))
        {
            self.counters.lose(ExportLoss::Behind, lost.0.len() as u64);
        }
        if let Some(thread) = self.thread.take() {
            // Where it broke, its panic has been told of.
            let _ = thread.join();
        }
    }
}

fn serve(mut exporter: impl Exporter, receiver: &Receiver<Vec<Told>>) {
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(chunk) => {
                for told in chunk {
                    match told {
                        Told::Exchange(exchange) => exporter.exchange(&exchange),
                        Told::OpenConnection(connection) => exporter.open_connection(&connection),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        exporter.tick();
    }
    exporter.finish();
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::anteon::testing::exchange;

    /// Takes a step whenever it is told to.
    struct Slow {
        go: Receiver<()>,
        taken: Arc<Mutex<(u64, bool)>>,
    }

    impl Exporter for Slow {
        fn exchange(&mut self, _: &Exchange) {
            let _ = self.go.recv();
            self.taken.lock().unwrap().0 += 1;
        }

        fn open_connection(&mut self, _: &OpenConnection) {}

        fn tick(&mut self) {}

        fn finish(&mut self) {
            self.taken.lock().unwrap().1 = true;
        }
    }

    #[test]
    fn a_slow_exporter_holds_nobody_up_and_what_it_misses_is_counted() {
        let (go, wait) = channel();
        let taken = Arc::new(Mutex::new((0, false)));
        let counters = Arc::new(Counters::default());
        let slow = Slow { go: wait, taken: Arc::clone(&taken) };
        let mut sink = Sink::start("slow", slow, Arc::clone(&counters)).unwrap();
        let told = 2 * CHUNK * CHUNKS;
        let exchange = exchange();
        (0..told).for_each(|_| sink.exchange(&exchange));
        let lost = counters.read("slow").lost(ExportLoss::Behind);
        // What waits, and the chunks at both ends of the queue.
        let kept = told as u64 - lost;
        let most = (CHUNK * (CHUNKS + 2)) as u64;
        assert!(((CHUNK * CHUNKS) as u64..=most).contains(&kept), "{kept} kept of {told}");
        drop(go);
        drop(sink);
        assert_eq!(*taken.lock().unwrap(), (kept, true));
        assert_eq!(counters.read("slow").lost(ExportLoss::Behind), lost);
    }
}
