//! Batches on their way to the backend, and its health check: a thread of its own, with a few calls
//! under way at once.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::batch::{Batch, Sender};
use super::health::{self, Telemetry};
use super::queue::{Queue, Take, Verdict, Waiting};
use super::{Say, Timing};
use crate::client::{Answer, Client, Connection};

/// Calls under way at once, so that a far backend does not slow down a busy node.
const CALLS: usize = 4;
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two words on rows that are lost.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// The queue, and the thread that empties it.
pub(super) struct Delivery {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What the delivering thread needs.
pub(super) struct Way {
    pub(super) client: Client,
    pub(super) sender: Sender,
    pub(super) timing: Timing,
    pub(super) say: Say,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Changes with the queue.
    changed: watch::Sender<()>,
    ending: watch::Sender<bool>,
    way: Way,
    /// When lost rows were last spoken of.
    said: Mutex<Option<Instant>>,
}

impl Delivery {
    pub(super) fn start(queue: Queue, way: Way) -> io::Result<Delivery> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            changed: watch::Sender::new(()),
            ending: watch::Sender::new(false),
            way,
            said: Mutex::new(None),
        });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let delivered = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("alaz-deliver".to_owned()).spawn(move || {
                runtime.block_on(deliver(delivered));
                // A name may be looked up still, which nobody waits for.
                runtime.shutdown_background();
            })?;
        Ok(Delivery { shared, thread })
    }

    /// Queues a batch.
    pub(super) fn push(&self, batch: Batch) {
        let mut queue = self.shared.queue();
        queue.push(batch);
        let failure = queue.take_disk_failure();
        drop(queue);
        if let Some(error) = failure {
            self.shared
                .say_lost(&format!("the queue on disk takes no rows, which are lost: {error}"));
        }
        self.shared.changed.send_replace(());
    }

    /// Sends what is left while the backend takes it, for a moment.
    pub(super) fn finish(self) {
        self.shared.queue().end();
        self.shared.ending.send_replace(true);
        self.shared.changed.send_replace(());
        // Where it broke, its panic has been told of.
        let _ = self.thread.join();
        let left = self.shared.queue().give_up();
        if left > 0 {
            (self.shared.way.say)(&format!(
                "{left} rows could not be sent to the backend any more"
            ));
        }
    }
}

async fn deliver(shared: Arc<Shared>) {
    let health = tokio::spawn(check_health(Arc::clone(&shared)));
    let mut calls: JoinSet<_> = (0..CALLS).map(|_| send(Arc::clone(&shared))).collect();
    let mut ending = shared.ending.subscribe();
    let patience = async {
        let _ = ending.wait_for(|ending| *ending).await;
        tokio::time::sleep(shared.way.timing.linger).await;
    };
    tokio::select! {
        () = async { while calls.join_next().await.is_some() {} } => {}
        () = patience => {}
    }
    health.abort();
}

/// Sends one batch after the other until there will be no more.
async fn send(shared: Arc<Shared>) {
    let mut connection = None;
    // From before the queue is looked at, so that no change is missed.
    let mut changes = shared.changed.subscribe();
    loop {
        changes.mark_unchanged();
        let take = shared.queue().take(Instant::now());
        match take {
            Take::Batch(waiting) => {
                let (path, body) = (waiting.batch.stream.path(), waiting.batch.body.clone());
                let timeout = shared.way.timing.attempt_timeout;
                let answer = shared.call(&mut connection, Method::POST, path, body, timeout).await;
                shared.settle(waiting, answer);
            }
            Take::Wait(None) => {
                let _ = changes.changed().await;
            }
            Take::Wait(Some(until)) => {
                let _ = tokio::time::timeout_at(until.into(), changes.changed()).await;
            }
            Take::Ended => return,
        }
    }
}

/// Tells the backend that this agent is there, and hears whether it is wanted.
async fn check_health(shared: Arc<Shared>) {
    let telemetry = Telemetry::read();
    let mut connection = None;
    loop {
        tokio::time::sleep(shared.way.timing.health_every).await;
        let body = health::body(&shared.way.sender, &telemetry).into();
        let call = shared.call(&mut connection, Method::PUT, health::PATH, body, HEALTH_TIMEOUT);
        match call.await.map(|answer| answer.status) {
            Ok(402) => shared.stop(),
            Ok(200) => shared.resume(),
            Ok(_) | Err(_) => {}
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        connection: &mut Option<Connection>,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> io::Result<Answer> {
        let call = self.way.client.call(connection, method, path, body);
        match tokio::time::timeout(timeout, call).await {
            Ok(answer) => answer,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        }
    }

    fn settle(&self, waiting: Waiting, answer: io::Result<Answer>) {
        let (verdict, said) = match answer {
            Ok(answer) => (verdict(&answer), format!("status {}", answer.status)),
            Err(error) => (Verdict::Unavailable { rest: None }, error.to_string()),
        };
        let mut queue = self.queue();
        let (was_failing, was_stopped) = (queue.is_failing(), queue.is_stopped());
        queue.settle(waiting, verdict, Instant::now());
        let (is_failing, is_stopped) = (queue.is_failing(), queue.is_stopped());
        drop(queue);
        self.changed.send_replace(());
        let say = &self.way.say;
        match verdict {
            Verdict::Rejected => {
                self.say_lost(&format!("the backend rejects rows, which are lost: {said}"));
            }
            Verdict::Stop if is_stopped && !was_stopped => say(STOPPED),
            _ if is_failing && !was_failing => {
                say(&format!("the backend takes no rows, they wait: {said}"));
            }
            _ if was_failing && !is_failing => say("the backend takes rows again"),
            _ => {}
        }
    }

    fn say_lost(&self, said: &str) {
        let mut last = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= SAY_AGAIN) {
            *last = Some(Instant::now());
            (self.way.say)(said);
        }
    }

    fn stop(&self) {
        let mut queue = self.queue();
        if !queue.is_stopped() {
            queue.stop();
            drop(queue);
            (self.way.say)(STOPPED);
        }
    }

    fn resume(&self) {
        let mut queue = self.queue();
        if queue.is_stopped() {
            queue.resume();
            drop(queue);
            self.changed.send_replace(());
            (self.way.say)("the backend wants rows again");
        }
    }
}

const STOPPED: &str = "the backend wants payment (status 402): nothing is sent until it agrees";

/// Only 200 is success.
fn verdict(answer: &Answer) -> Verdict {
    match answer.status {
        200 => Verdict::Arrived { refused: refused(&answer.body) },
        400 => Verdict::Doubtful,
        402 => Verdict::Stop,
        429 | 500.. => Verdict::Unavailable { rest: answer.retry_after },
        _ => Verdict::Rejected,
    }
}

/// How many rows of a batch that arrived are wrong. Answers that say nothing of it are fine.
fn refused(body: &[u8]) -> u64 {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["errors"].as_array().map_or(0, |errors| errors.len() as u64)
}
