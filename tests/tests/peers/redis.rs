//! Redis: the server's own count of commands.

use std::collections::BTreeMap;
use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::free_port;
use alaz_tests::program::{Program, run};
use alaz_tests::turn_to_capture;

use crate::{client, count, told};

#[test]
fn every_command_of_every_client_is_reported_as_the_server_counted() {
    let Some(_turn) = turn_to_capture() else { return };
    for source in ["redis.py", "redis.js", "redis-benchmark -P 16"] {
        let port = free_port();
        let mut server = Command::new("redis-server");
        server.args(["--save", "", "--port", &port.to_string()]);
        let server = Program::serve(&mut server, port);
        let watch = Watch::start();
        match source.split_once(' ') {
            None => run(&mut client(source, port)),
            Some((program, options)) => {
                let mut bench = Command::new(program);
                bench.args(options.split(' ')).args(["-p", &port.to_string(), "-q", "-n", "5000"]);
                run(bench.args(["-c", "4", "-t", "set,get,incr,lpush"]))
            }
        };
        let seen = watch.finish();
        assert!(!seen.text.contains("hunter2"), "a value was shown");
        assert!(seen.ledger.lost_nothing(), "{:?}", seen.ledger);
        let port = port.to_string();
        let stats = run(Command::new("redis-cli").args(["-p", &port, "info", "commandstats"]));
        drop(server);

        let known: BTreeMap<_, _> = stats.lines().filter_map(counted).collect();
        let name = |method: &str| method.to_lowercase().replace(' ', "|");
        let mut reported = seen.at(port.parse().unwrap());
        // The server does not count what it does not know.
        reported.retain(|exchange| !exchange.error || known.contains_key(&name(&exchange.method)));
        let shown = count(reported.iter().map(|exchange| name(&exchange.method)));
        assert_eq!(shown, known, "{source}");
        told(source, known.values().sum(), reported.len());
    }
}

/// `cmdstat_client|setinfo:calls=2,…,rejected_calls=0,…`
fn counted(line: &str) -> Option<(String, usize)> {
    let (name, counters) = line.trim().strip_prefix("cmdstat_")?.split_once(':')?;
    let of = |name: &str| -> usize {
        let counter = counters.split(',').find_map(|counter| counter.strip_prefix(name));
        counter.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Some((name.to_owned(), of("calls=") + of("rejected_calls=")))
}
