//! What the capture writes and the pages read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use alaz_flow::{Limits, Recorder, Slice};
use alaz_model::{ConnectionFacts, Exchange, ExportLedger, GuardState, Ledger, UnixNanos};
use tokio::sync::watch;

use crate::filter::ExchangeFilter;
use crate::follow::{self, Follow};
use crate::gather::{GatherState, Settled};
use crate::recent::{Choice, Recent, newest};
use crate::store::Store;

const SECOND_NS: u64 = 1_000_000_000;
/// How long figures may wait for readers of the store before the capture waits for them instead.
const PATIENCE_NS: u64 = 5 * SECOND_NS;
/// The least time between figures when readers want them before the second is over.
const EARLY_NS: u64 = 100_000_000;
/// How long a reader waits for them: a few passes more than that.
const FRESH_TIMEOUT: Duration = Duration::from_millis(300);

/// Tells what became of an exporter's rows.
type Export = Box<dyn Fn() -> ExportLedger + Send + Sync>;

/// Everything that the server shows. The capture fills it through a [`Feed`].
pub struct Live {
    pub(crate) host: String,
    pub(crate) started: Instant,
    pub(crate) follow: Follow,
    /// Exchanges that readers of `follow` missed.
    pub(crate) follow_lost: AtomicU64,
    /// Connections that were turned away: there were too many.
    pub(crate) connections_refused: AtomicU64,
    ending: watch::Sender<bool>,
    /// Somebody waits for figures up to now.
    wanted: AtomicBool,
    /// Changes whenever figures were shown.
    shown: watch::Sender<()>,
    store: RwLock<Store>,
    recent: Mutex<Recent>,
    capture: Mutex<CaptureState>,
    exports: Mutex<Vec<Export>>,
    cluster: Mutex<Option<ClusterState>>,
    gather: Mutex<Option<GatherState>>,
}

/// How the watch of Kubernetes is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// Pods, services and nodes that are known.
    pub objects: u64,
    /// Objects that were not taken in because the table was full.
    pub refused: u64,
    /// Endpoints that were not named since two may have held their address.
    pub ambiguous: u64,
    /// Attempts to ask the API server that went wrong.
    pub failures: u64,
    /// Whether all that is watched was told at least once, and no watch is failing now.
    pub is_complete: bool,
}

/// What is known of the capture.
#[derive(Clone, Debug)]
pub(crate) struct CaptureState {
    pub(crate) ledger: Ledger,
    pub(crate) kernel_map_bytes: u64,
    /// `None` before the first look, and where nobody looks.
    pub(crate) guard: Option<GuardState>,
    /// Why it does not run; `None` when it does.
    pub(crate) not_ready: Option<&'static str>,
}

impl Live {
    /// Nothing known yet, on the host of this name.
    #[must_use]
    pub fn new(host: String) -> Arc<Live> {
        Arc::new(Live {
            host,
            started: Instant::now(),
            follow: Follow::default(),
            ending: watch::Sender::new(false),
            wanted: AtomicBool::new(false),
            shown: watch::Sender::new(()),
            follow_lost: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            store: RwLock::default(),
            recent: Mutex::default(),
            exports: Mutex::default(),
            capture: Mutex::new(CaptureState {
                ledger: Ledger::default(),
                kernel_map_bytes: 0,
                guard: None,
                not_ready: Some("the capture is starting: ask again in a moment"),
            }),
            cluster: Mutex::default(),
            gather: Mutex::default(),
        })
    }

    /// The capture runs; its maps take so many bytes of kernel memory.
    pub fn set_ready(&self, kernel_map_bytes: u64) {
        let mut capture = lock(&self.capture);
        capture.kernel_map_bytes = kernel_map_bytes;
        capture.not_ready = None;
    }

    /// An exporter runs; `ledger` tells what became of its rows.
    pub fn add_export(&self, ledger: impl Fn() -> ExportLedger + Send + Sync + 'static) {
        lock(&self.exports).push(Box::new(ledger));
    }

    pub(crate) fn exports(&self) -> Vec<ExportLedger> {
        lock(&self.exports).iter().map(|export| export()).collect()
    }

    /// Kubernetes is watched, and this is how that goes.
    pub fn set_cluster(&self, state: ClusterState) {
        *lock(&self.cluster) = Some(state);
    }

    pub(crate) fn cluster(&self) -> Option<ClusterState> {
        *lock(&self.cluster)
    }

    /// Shows a second that many agents told together.
    pub(crate) fn show_settled(&self, settled: Settled<'_>, now: UnixNanos) {
        let Settled { start, end, recorder, samples } = settled;
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        recorder.cut(now, |slice| store.apply(slice, start, end));
        drop(store);
        if self.follow.has_readers() && !samples.is_empty() {
            self.follow.send(samples.clone());
        }
        self.recent().add(samples.into_iter());
    }

    /// How the gathering of what agents tell is doing, which has shown what it could.
    pub(crate) fn set_gather(&self, state: GatherState) {
        *lock(&self.gather) = Some(state);
        if self.wanted.swap(false, Ordering::Relaxed) {
            self.shown.send_replace(());
        }
    }

    pub(crate) fn gather(&self) -> Option<GatherState> {
        lock(&self.gather).clone()
    }

    /// What Alaz takes of the machine, and what it leaves undone.
    pub fn set_guard(&self, state: GuardState) {
        lock(&self.capture).guard = Some(state);
    }

    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }

    /// The newest exchanges that are wanted, newest first: of all edges together, and of what each
    /// edge keeps for itself, so that a busy one does not push out the others.
    pub(crate) fn newest(&self, filter: &ExchangeFilter, limit: usize) -> Vec<Arc<Exchange>> {
        // Looked through once nobody waits for it: that takes longer than taking hold of them.
        let mut kept: Vec<_> = self.store().samples().cloned().collect();
        kept.extend(self.recent().iter().cloned());
        newest(kept, filter, limit)
    }

    pub(crate) fn capture(&self) -> CaptureState {
        lock(&self.capture).clone()
    }

    /// Waits until everything up to now is counted, as far as the capture runs and keeps up.
    pub(crate) async fn refresh(&self) {
        if self.capture().not_ready.is_some() {
            return;
        }
        // Subscribed before asking, so that no answer is missed.
        let mut shown = self.shown.subscribe();
        self.wanted.store(true, Ordering::Relaxed);
        // In time or not: what is there is shown, and covers what it says it covers.
        let _ = tokio::time::timeout(FRESH_TIMEOUT, shown.changed()).await;
    }

    /// Waits until the server ends, after which endless answers end too.
    pub(crate) async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        // An error means that nobody can end it any more, which is an end as well.
        let _ = ending.wait_for(|ending| *ending).await;
    }

    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    pub(crate) fn lose_followed(&self, exchanges: u64) {
        self.follow_lost.fetch_add(exchanges, Ordering::Relaxed);
    }
}

/// A panic elsewhere leaves figures behind that are still worth showing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Takes the figures of a period, which ends at the second time.
pub type Tell = Box<dyn FnMut(&Slice<'_>, UnixNanos, UnixNanos) + Send>;

/// The writing side, for the one thread that captures.
pub struct Feed {
    live: Arc<Live>,
    recorder: Recorder,
    /// Where figures go in place of the store.
    tell: Option<Tell>,
    /// Start of the present second, or the first pass, in whose second that lies; `None` before it.
    start_ns: Option<u64>,
    /// Up to when figures were shown.
    shown_ns: u64,
    good: Choice,
    failed: Choice,
    recent: Vec<Arc<Exchange>>,
    followed: bool,
    batch: Vec<Arc<Exchange>>,
    keeps_samples: bool,
    /// Exchanges that were not sent on to those who follow, who do not know it yet.
    skipped: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Feed {
    /// Writes to this.
    #[must_use]
    pub fn new(live: Arc<Live>, limits: Limits) -> Feed {
        Feed {
            live,
            recorder: Recorder::new(limits),
            tell: None,
            start_ns: None,
            shown_ns: 0,
            good: Choice::default(),
            failed: Choice::default(),
            recent: Vec::new(),
            followed: false,
            batch: Vec::new(),
            keeps_samples: true,
            skipped: 0,
        }
    }

    /// The same of an agent, which keeps no figures: they are told on, with the ends that they were
    /// seen from.
    #[must_use]
    pub fn telling(live: Arc<Live>, limits: Limits, tell: Tell) -> Feed {
        let recorder = Recorder::telling_sights(limits);
        Feed { recorder, tell: Some(tell), ..Feed::new(live, limits) }
    }

    /// Nothing more comes: figures up to now are shown or told.
    pub fn finish(&mut self, now: UnixNanos, ledger: impl FnOnce() -> Ledger) {
        let start_ns = *self.start_ns.get_or_insert(now.0);
        self.show(start_ns, now.0.max(start_ns), ledger);
    }

    /// Whether exchanges are kept one by one and sent on to those who follow, or only counted.
    pub fn keep_samples(&mut self, keeps: bool) {
        self.keeps_samples = keeps;
    }

    /// An exchange is complete.
    pub fn exchange(&mut self, exchange: &Exchange) {
        if !self.keeps_samples {
            self.recorder.record_uncopied(exchange);
            self.skipped += u64::from(self.followed);
            return;
        }
        let mut copy = self.recorder.record(exchange);
        let mut copy = || Arc::clone(copy.get_or_insert_with(|| Arc::new(exchange.clone())));
        let choice = if exchange.message.error { &mut self.failed } else { &mut self.good };
        if choice.takes_next() {
            self.recent.push(copy());
        }
        if self.followed {
            self.batch.push(copy());
            if self.batch.len() >= follow::BATCH {
                self.live.follow.send(std::mem::take(&mut self.batch));
            }
        }
    }

    /// Counts one connection, which is over or could not be opened.
    pub fn connection(&mut self, facts: &ConnectionFacts) {
        self.recorder.record_connection(facts);
    }

    /// Sends on what came since the last pass, and shows the figures once a second, or earlier
    /// when a reader waits for them. `now` is the wall time; `ledger` is asked when it is needed.
    /// Call it often: every few milliseconds.
    pub fn pass(&mut self, now: UnixNanos, ledger: impl FnOnce() -> Ledger) {
        if !self.batch.is_empty() {
            self.live.follow.send(std::mem::take(&mut self.batch));
        }
        self.followed = self.live.follow.has_readers();
        let second_ns = now.0 - now.0 % SECOND_NS;
        let start_ns = *self.start_ns.get_or_insert(now.0);
        if second_ns != start_ns - start_ns % SECOND_NS {
            if self.show(start_ns, second_ns, ledger) {
                self.start_ns = Some(second_ns);
                self.good.next_second();
                self.failed.next_second();
            }
        } else if self.tell.is_none()
            && self.live.wanted.load(Ordering::Relaxed)
            && now.0.saturating_sub(self.shown_ns) >= EARLY_NS
        {
            self.show(start_ns, now.0, ledger);
        }
    }

    /// Moves the figures to the store, as those of the second that starts at `start_ns`.
    fn show(&mut self, start_ns: u64, end_ns: u64, ledger: impl FnOnce() -> Ledger) -> bool {
        let live = Arc::clone(&self.live);
        let mut store = match live.store.try_write() {
            Ok(store) => store,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody reads: at the next pass, then.
            Err(TryLockError::WouldBlock) if end_ns.abs_diff(start_ns) < PATIENCE_NS => {
                return false;
            }
            Err(TryLockError::WouldBlock) => {
                live.store.write().unwrap_or_else(PoisonError::into_inner)
            }
        };
        live.wanted.store(false, Ordering::Relaxed);
        // In this order, whoever sees an exchange also sees it counted, and what is counted is in
        // the ledger.
        lock(&live.capture).ledger = ledger();
        let (start, end) = (UnixNanos(start_ns), UnixNanos(end_ns));
        self.recorder.cut(end, |slice| match &mut self.tell {
            Some(tell) => tell(slice, start, end),
            None => store.apply(slice, start, end),
        });
        drop(store);
        if self.skipped > 0 {
            live.follow.skip(std::mem::take(&mut self.skipped));
        }
        live.recent().add(self.recent.drain(..));
        self.shown_ns = end_ns;
        live.shown.send_replace(());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Map, MapFilter};
    use crate::store::Period;
    use crate::testing::{START_NS, exchange};

    fn requests(live: &Live) -> u64 {
        let period = Period { from_ns: 0, to_ns: u64::MAX };
        let map = Map::of(&live.store(), period, &MapFilter::default());
        map.edges.iter().map(|edge| edge.requests).sum()
    }

    fn reported(reported: u64) -> impl FnOnce() -> Ledger {
        move || {
            let mut ledger = Ledger::default();
            ledger.exchanges.reported = reported;
            ledger
        }
    }

    #[test]
    fn figures_show_when_their_second_is_over() {
        let live = Live::new("here".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        let at = |ms: u64| UnixNanos(START_NS + ms * 1_000_000);
        feed.pass(at(100), reported(0));
        feed.exchange(&exchange(START_NS));
        feed.pass(at(999), reported(1));
        let recent = || live.newest(&ExchangeFilter::default(), 10).len();
        assert_eq!(
            (requests(&live), live.capture().ledger.exchanges.reported, recent()),
            (0, 0, 0)
        );
        feed.pass(at(1001), reported(1));
        assert_eq!(
            (requests(&live), live.capture().ledger.exchanges.reported, recent()),
            (1, 1, 1)
        );
        // Not before the first pass, and the first second counts all the same.
        assert_eq!(live.store().since_ns(), Some(START_NS + 100_000_000));
        let since = Period { from_ns: START_NS + 100_000_000, to_ns: u64::MAX };
        assert_eq!(live.store().steps(since).count(), 1);
        assert_eq!(live.store().covered_seconds(since), 0.9);
    }

    #[tokio::test]
    async fn who_asks_gets_what_came_before() {
        let live = Live::new("here".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        feed.pass(UnixNanos(START_NS), reported(0));
        feed.exchange(&exchange(START_NS));
        // Nobody would ever answer; so nobody waits.
        live.refresh().await;
        live.set_ready(0);
        let asking = tokio::spawn({
            let live = Arc::clone(&live);
            async move {
                live.refresh().await;
                requests(&live)
            }
        });
        let mut now_ns = START_NS;
        while !asking.is_finished() {
            tokio::task::yield_now().await;
            now_ns = (now_ns + EARLY_NS / 3).min(START_NS + SECOND_NS - 1);
            feed.pass(UnixNanos(now_ns), reported(1));
        }
        assert_eq!(asking.await.unwrap(), 1);
        // The rest of the second counts to the same second.
        feed.exchange(&exchange(START_NS));
        feed.pass(UnixNanos(START_NS + SECOND_NS), reported(2));
        assert_eq!(requests(&live), 2);
        let second = Period { from_ns: START_NS, to_ns: START_NS + 1 };
        assert_eq!(live.store().steps(second).count(), 1);
    }

    #[test]
    fn a_reader_does_not_hold_up_the_capture_and_nothing_is_lost() {
        let live = Live::new("here".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        feed.pass(UnixNanos(START_NS), reported(0));
        feed.exchange(&exchange(START_NS));
        {
            let reading = live.store();
            feed.pass(UnixNanos(START_NS + SECOND_NS), reported(1));
            assert_eq!(reading.since_ns(), None);
        }
        feed.exchange(&exchange(START_NS));
        feed.pass(UnixNanos(START_NS + SECOND_NS + 1), reported(2));
        assert_eq!((requests(&live), live.capture().ledger.exchanges.reported), (2, 2));
    }

    #[tokio::test]
    async fn without_samples_all_is_counted_and_readers_are_told() {
        let live = Live::new("here".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        let mut reader = live.follow.reader().unwrap();
        feed.pass(UnixNanos(START_NS), reported(0));
        feed.keep_samples(false);
        (0..3).for_each(|_| feed.exchange(&exchange(START_NS)));
        feed.pass(UnixNanos(START_NS + SECOND_NS), reported(3));
        assert_eq!(requests(&live), 3);
        assert!(live.newest(&ExchangeFilter::default(), 10).is_empty());
        let received = reader.receive().await.unwrap();
        assert_eq!((received.lost, received.exchanges.len()), (3, 0));
        feed.keep_samples(true);
        feed.exchange(&exchange(START_NS));
        feed.pass(UnixNanos(START_NS + 2 * SECOND_NS), reported(4));
        let received = reader.receive().await.unwrap();
        assert_eq!((received.lost, received.exchanges.len()), (0, 1));
        assert_eq!(live.newest(&ExchangeFilter::default(), 10).len(), 1);
    }

    #[tokio::test]
    async fn readers_get_every_exchange_in_batches() {
        let live = Live::new("here".to_owned());
        let mut feed = Feed::new(Arc::clone(&live), Limits::default());
        let mut reader = live.follow.reader().unwrap();
        feed.pass(UnixNanos(START_NS), reported(0));
        let many = 2 * follow::BATCH + 1;
        (0..many).for_each(|_| feed.exchange(&exchange(START_NS)));
        feed.pass(UnixNanos(START_NS), reported(0));
        let mut seen = 0;
        while seen < many {
            let received = reader.receive().await.unwrap();
            assert_eq!(received.lost, 0);
            seen += received.exchanges.len();
        }
        assert_eq!(seen, many);
    }
}
