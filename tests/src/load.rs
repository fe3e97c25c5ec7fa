//! Clients that ask a lot: at a fixed rate, or as much as they can.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::http::Connection;
use crate::program::run;

/// What a client at a fixed rate did.
#[derive(Debug, Default)]
pub struct Sent {
    /// Requests that were answered with 200.
    pub answered: u64,
    /// Requests that were not.
    pub failed: u64,
    /// Time it took.
    pub seconds: f64,
}

const CONNECTIONS: u32 = 8;
const TICK: Duration = Duration::from_millis(2);

/// Asks `GET target` this many times a second over eight connections, each one request at a time.
/// Where the machine is too slow the rate is lower, and `seconds` longer.
pub fn at_rate(address: SocketAddr, target: &str, rate: u32, duration: Duration) -> Sent {
    let started = Instant::now();
    let ticks = (duration.as_micros() / TICK.as_micros()) as u32;
    let total = u64::from(rate) * duration.as_millis() as u64 / 1000;
    let worker = |share: u64| {
        let mut connection = Connection::open(address);
        let mut sent = Sent::default();
        for tick in 1..=ticks {
            let due = share * u64::from(tick) / u64::from(ticks);
            while sent.answered + sent.failed < due {
                connection.send_get(target);
                match connection.try_answer() {
                    Some(answer) if answer.status == 200 => sent.answered += 1,
                    _ => {
                        sent.failed += 1;
                        connection = Connection::open(address);
                    }
                }
            }
            std::thread::sleep((started + TICK * tick).saturating_duration_since(Instant::now()));
        }
        sent
    };
    let mut all = Sent::default();
    std::thread::scope(|scope| {
        let share = total / u64::from(CONNECTIONS);
        let workers: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(move || worker(share))).collect();
        for worker in workers {
            let sent = worker.join().unwrap();
            all.answered += sent.answered;
            all.failed += sent.failed;
        }
    });
    all.seconds = started.elapsed().as_secs_f64();
    all
}

/// Runs wrk against a URL and returns the requests whose answers it has read.
pub fn wrk(url: &str, connections: u32, duration: Duration, headers: &[&str]) -> u64 {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", duration.as_secs())]);
    for header in headers {
        command.args(["-H", header]);
    }
    let report = run(command.arg(url));
    let line = report.lines().find(|line| line.contains(" requests in "));
    let count = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    count.unwrap_or_else(|| panic!("wrk says: {report}"))
}
