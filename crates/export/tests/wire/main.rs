//! The exporter against a backend that knows nothing but the wire, with everything that a backend
//! can do to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure")]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is for others")]

mod backend;
mod check;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alaz_export::anteon::{Anteon, Settings, Timing};
use alaz_export::{OpenConnection, OwnClients};
use alaz_model::{
    Endpoint, Exchange, ExportLedger, ExportLoss, Message, ObservedBy, Outcome, Protocol, UnixNanos,
};
use backend::{Backend, PATIENCE, Reply};

/// Times that a test can wait for.
const TIMING: Timing = Timing {
    flush_every: Duration::from_millis(50),
    attempt_timeout: Duration::from_millis(500),
    first_rest: Duration::from_millis(50),
    longest_rest: Duration::from_millis(400),
    health_every: Duration::from_millis(100),
    linger: Duration::from_secs(20),
};

/// An exporter that sends to a backend, and what it said.
struct Agent {
    anteon: Anteon,
    ledger: Box<dyn Fn() -> ExportLedger>,
    own: OwnClients,
    said: Arc<Mutex<Vec<String>>>,
    told: u64,
}

impl Agent {
    fn start(backend: &str, timing: Timing) -> Agent {
        Agent::with(backend, timing, None)
    }

    fn with(backend: &str, timing: Timing, queue_folder: Option<&Path>) -> Agent {
        let (own, said) = (OwnClients::default(), Arc::new(Mutex::new(Vec::new())));
        let hears = Arc::clone(&said);
        let anteon = Anteon::start(Settings {
            backend: backend.parse().unwrap(),
            monitoring_id: "0ce2ef05-ef64-459d-90d9-7f2cbd65fff8".to_owned(),
            node: "ip-10-0-1-7".to_owned(),
            batch_rows: 1000,
            queue_folder: queue_folder.map(Path::to_owned),
            own: own.clone(),
            say: Arc::new(move |line| hears.lock().unwrap().push(line.to_owned())),
            timing,
        })
        .unwrap();
        Agent { ledger: Box::new(anteon.ledger()), anteon, own, said, told: 0 }
    }

    /// Tells of requests, each with a path of its own.
    fn tell(&mut self, count: u64) {
        for _ in 0..count {
            self.anteon.sink.exchange(&exchange(self.told));
            self.told += 1;
        }
        self.anteon.sink.pass();
    }

    /// The same, as fast as the exporter takes it.
    fn tell_all(&mut self, count: u64) {
        for _ in 0..count / 1000 {
            self.tell(1000);
            wait_until("the exporter has them", || {
                let ledger = (self.ledger)();
                ledger.sent + ledger.queued >= self.told
            });
        }
    }

    /// Ends it.
    fn finish(self) -> ExportLedger {
        drop(self.anteon);
        (self.ledger)()
    }

    fn has_said(&self, words: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

fn exchange(number: u64) -> Exchange {
    Exchange {
        time: UnixNanos(1_726_300_000_123_000_000 + number),
        tls: false,
        client: Endpoint::at(([10, 42, 0, 15], 51_514).into()),
        server: Endpoint::at(([10, 43, 12, 8], 8080).into()),
        message: Message {
            protocol: Protocol::Http,
            method: "GET".into(),
            target: format!("/item/{number}").into(),
            route: "/item/{id}".into(),
            status: "200".into(),
            error: false,
            outcome: Outcome::Complete,
            request_bytes: 78,
            response_bytes: 612,
            attributes: Default::default(),
        },
        latency_ns: Some(4_210_345),
        ttfb_ns: Some(4_000_000),
        server_latency_ns: None,
        observed_by: ObservedBy::Client,
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that was told of arrived, each once, and nothing was lost.
#[track_caller]
fn assert_arrived(backend: &Backend, ledger: &ExportLedger, told: u64) {
    backend.assert_all_was_right();
    let rows = backend.rows("/requests/");
    let paths: HashSet<_> = rows.iter().map(|row| row[14].as_str().unwrap().to_owned()).collect();
    assert_eq!((rows.len() as u64, paths.len() as u64), (told, told), "{ledger:?}");
    assert_eq!((ledger.sent, ledger.queued), (told, 0));
    assert_eq!(ledger.lost.iter().sum::<u64>(), 0, "{ledger:?}");
}

#[test]
fn rows_of_every_kind_arrive_in_the_form_of_the_wire() {
    for prefix in ["", "/api", "/api-alaz/"] {
        let backend = Backend::start(|_| Reply::OK);
        let mut agent = Agent::start(&(backend.url() + prefix), TIMING);
        agent.tell(10);
        let mut kafka = exchange(0);
        kafka.message.protocol = Protocol::Kafka;
        kafka.message.method = "Produce".into();
        kafka.message.target = "orders".into();
        kafka.message.attributes.push(("messaging.batch.message_count", "3".into()));
        agent.anteon.sink.exchange(&kafka);
        let (client, server) = (exchange(0).client, Endpoint::at("[::1]:5432".parse().unwrap()));
        agent.anteon.sink.open_connection(OpenConnection { client, server });
        wait_until("a health check came", || backend.calls("/healthcheck/") > 0);
        let ledger = agent.finish();
        backend.assert_all_was_right();
        let counts =
            ["/requests/", "/events/kafka/", "/connections/"].map(|it| backend.row_count(it));
        assert_eq!((counts, ledger.sent), ([10, 3, 1], 14));
        assert_eq!(backend.rows("/connections/")[0][5], "::1");
    }
}

#[test]
fn a_hundred_thousand_rows_arrive_in_few_batches() {
    let backend = Backend::start(|_| Reply::OK);
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell_all(100_000);
    let ledger = agent.finish();
    assert_arrived(&backend, &ledger, 100_000);
    assert_eq!((backend.most_rows(), ledger.retried), (1000, 0));
    assert!(backend.calls("/requests/") <= 200, "{}", backend.calls("/requests/"));
}

#[test]
fn what_is_answered_with_a_passing_fault_is_sent_again_under_the_same_key() {
    for fault in [
        Reply::status(400),
        Reply::status(429),
        Reply::status(500),
        Reply::status(503),
        Reply::Silence,
    ] {
        let answer = fault.clone();
        let backend = Backend::start(move |call| match (&*call.path, call.attempt) {
            ("/requests/", 1) => answer.clone(),
            _ => Reply::OK,
        });
        let mut agent = Agent::start(&backend.url(), TIMING);
        agent.tell(2500);
        let ledger = agent_is_done(agent, 2500);
        assert_arrived(&backend, &ledger, 2500);
        assert!(ledger.retried >= 1, "{fault:?}");
        assert!(backend.attempts().contains(&2), "{fault:?}");
    }
}

/// Waits until the agent has sent all it was told of, and ends it.
fn agent_is_done(agent: Agent, rows: u64) -> ExportLedger {
    wait_until("all is sent", || (agent.ledger)().sent >= rows);
    agent.finish()
}

#[test]
fn retry_after_is_waited_for() {
    let answered = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&answered);
    let backend = Backend::start(move |call| {
        if call.path != "/requests/" {
            return Reply::OK;
        }
        times.lock().unwrap().push(Instant::now());
        match call.number {
            1 => Reply::Status(429, "Retry-After: 2\r\n", ""),
            _ => Reply::OK,
        }
    });
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell(1);
    let ledger = agent_is_done(agent, 1);
    assert_arrived(&backend, &ledger, 1);
    let times = answered.lock().unwrap();
    assert!(times[1] - times[0] >= Duration::from_secs(2), "{:?}", times[1] - times[0]);
}

#[test]
fn what_will_never_be_taken_is_lost_and_counted() {
    for (status, reason, attempts) in [
        (204, ExportLoss::Rejected, 1),
        (301, ExportLoss::Rejected, 1),
        (404, ExportLoss::Rejected, 1),
        (400, ExportLoss::GivenUp, 3),
    ] {
        let backend = Backend::start(move |call| match &*call.path {
            "/requests/" => Reply::status(status),
            _ => Reply::OK,
        });
        let mut agent = Agent::start(&backend.url(), TIMING);
        agent.tell(7);
        wait_until("it is lost", || (agent.ledger)().lost(reason) > 0);
        assert_eq!(agent.has_said("rejects rows"), status != 400);
        let ledger = agent.finish();
        backend.assert_all_was_right();
        assert_eq!((ledger.lost(reason), ledger.sent, ledger.queued), (7, 0, 0), "{status}");
        assert_eq!(backend.calls("/requests/"), attempts, "{status}");
    }
}

#[test]
fn rows_that_are_answered_with_errors_are_lost_and_counted() {
    let answer = r#"{"msg":"","errors":[{"request_num":0,"request":[],"errors":"bad"}]}"#;
    let backend = Backend::start(move |_| Reply::Status(200, "", answer));
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell(5);
    let ledger = agent_is_done(agent, 4);
    assert_eq!((ledger.sent, ledger.lost(ExportLoss::Refused), ledger.queued), (4, 1, 0));
}

#[test]
fn a_backend_that_wants_payment_gets_nothing_until_it_agrees() {
    let health = Arc::new(AtomicU16::new(200));
    let status = Arc::clone(&health);
    let backend = Backend::start(move |call| match &*call.path {
        "/healthcheck/" => Reply::status(status.load(Ordering::SeqCst)),
        _ => Reply::OK,
    });
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell(10);
    wait_until("all is sent", || (agent.ledger)().sent == 10);
    health.store(402, Ordering::SeqCst);
    wait_until("it is stopped", || (agent.ledger)().is_stopped);
    assert!(agent.has_said("payment"));
    let calls = (backend.calls("/requests/"), backend.calls("/healthcheck/"));
    agent.tell(20);
    wait_until("they are lost", || (agent.ledger)().lost(ExportLoss::Stopped) == 20);
    // Other answers change nothing.
    health.store(500, Ordering::SeqCst);
    wait_until("health is checked on", || backend.calls("/healthcheck/") > calls.1 + 3);
    assert!((agent.ledger)().is_stopped);
    assert_eq!(backend.calls("/requests/"), calls.0);
    health.store(200, Ordering::SeqCst);
    wait_until("it goes on", || !(agent.ledger)().is_stopped);
    agent.tell(30);
    let ledger = agent_is_done(agent, 40);
    backend.assert_all_was_right();
    assert_eq!((ledger.sent, ledger.queued, backend.row_count("/requests/")), (40, 0, 40));
}

#[test]
fn rows_that_are_answered_with_402_wait_for_the_health_check() {
    let backend = Backend::start(|call| match (&*call.path, call.number) {
        ("/requests/", 1) => Reply::status(402),
        _ => Reply::OK,
    });
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell(10);
    let ledger = agent_is_done(agent, 10);
    assert_arrived(&backend, &ledger, 10);
}

#[test]
fn an_outage_at_2000_requests_a_second_loses_nothing() {
    let mut backend = Backend::start(|_| Reply::OK);
    let mut agent = Agent::start(&backend.url(), TIMING);
    let tell_for = |agent: &mut Agent, seconds: u32| {
        for _ in 0..seconds * 50 {
            agent.tell(40);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    tell_for(&mut agent, 1);
    wait_until("something is sent", || (agent.ledger)().sent > 0);
    backend.go_away();
    tell_for(&mut agent, 5);
    assert!(agent.has_said("takes no rows"));
    assert!((agent.ledger)().queued > 8000);
    backend.listen();
    tell_for(&mut agent, 1);
    let told = agent.told;
    wait_until("all is sent", || (agent.ledger)().queued == 0);
    assert!(agent.has_said("takes rows again"));
    let ledger = agent.finish();
    assert_eq!(told, 14_000);
    assert_arrived(&backend, &ledger, told);
}

#[test]
fn what_an_outage_leaves_at_the_end_is_counted() {
    let backend = Backend::start(|_| Reply::status(500));
    let mut agent = Agent::start(&backend.url(), TIMING);
    agent.tell(10);
    wait_until("it fails", || agent.has_said("takes no rows, they wait: status 500"));
    agent.tell(5);
    let ledger = agent.finish();
    assert_eq!((ledger.lost(ExportLoss::Ended), ledger.queued, ledger.sent), (15, 0, 0));
}

#[test]
fn what_an_outage_leaves_on_disk_is_sent_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut backend = Backend::start(|_| Reply::OK);
    let url = backend.url();
    backend.go_away();
    let mut agent = Agent::with(&url, TIMING, Some(folder.path()));
    agent.tell(2500);
    wait_until("it fails", || agent.has_said("takes no rows"));
    let ledger = agent.finish();
    assert_eq!((ledger.queued, ledger.lost.iter().sum::<u64>()), (2500, 0));
    backend.listen();
    let agent = Agent::with(&url, TIMING, Some(folder.path()));
    let ledger = agent_is_done(agent, 2500);
    assert_arrived(&backend, &ledger, 2500);
}

#[test]
fn what_was_left_for_another_backend_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::with("http://127.0.0.1:1", TIMING, Some(folder.path()));
    agent.tell(10);
    wait_until("it fails", || agent.has_said("takes no rows"));
    drop(agent);
    let backend = Backend::start(|_| Reply::OK);
    let agent = Agent::with(&backend.url(), TIMING, Some(folder.path()));
    let ledger = agent.finish();
    assert_eq!((ledger.lost(ExportLoss::Unreadable), ledger.queued, ledger.sent), (10, 0, 0));
    assert_eq!(backend.calls("/requests/"), 0);
}

#[test]
fn connections_to_the_backend_are_known_as_own() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let own = OwnClients::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let agent = Agent::start(&format!("http://{}", listener.local_addr().unwrap()), TIMING);
    let (_stream, peer) = listener.accept().unwrap();
    seen.lock().unwrap().push(peer);
    assert!(agent.own.contains(peer) && !own.contains(peer));
}
