//! HTTP/1: nginx's log, by IPv6 and by IPv4 on a socket of IPv6.

use std::process::Command;

use alaz_tests::alaz::Watch;
use alaz_tests::nginx::Nginx;
use alaz_tests::program::Program;
use alaz_tests::turn_to_capture;

use crate::{count, program, told};

#[test]
fn every_request_of_every_client_is_reported_as_logged() {
    let Some(_turn) = turn_to_capture() else { return };
    for source in ["curl", "wget", "http.py", "http.js", "Http.java", "http.go"] {
        for host in ["127.0.0.1", "[::1]"] {
            let nginx = Nginx::start_on_both();
            let port = nginx.address.port();
            let urls = (1..=20)
                .map(|number| format!("/item/{number}?token=secret"))
                .chain(["/missing", "/fail", "/empty"].map(str::to_owned))
                .map(|target| format!("http://{host}:{port}{target}"));
            let mut command = match source {
                "curl" => Command::new("curl"),
                "wget" => Command::new("wget"),
                source => program(source),
            };
            match source {
                "curl" => command.args(["-sS", "-g"]),
                "wget" => command.args(["-q", "-O", "/dev/null"]),
                _ => &mut command,
            };
            let watch = Watch::start();
            let mut client = Program::start(command.args(urls));
            // 8: wget was told of an error by the server.
            let status = client.wait();
            let is_well = status.success() || (source == "wget" && status.code() == Some(8));
            assert!(is_well, "{source}: {status}: {}", client.stderr());
            let seen = watch.finish();
            assert!(!seen.text.contains("secret"), "a value was shown");

            let log = nginx.stop();
            let known = count(log.iter().map(|line| {
                let target = line.target.replace("=secret", "=?");
                format!("{} {target} {}", line.method, line.status)
            }));
            let reported = seen.at(port);
            for exchange in &reported {
                assert_eq!((&*exchange.outcome, &*exchange.observed_by), ("complete", "both"));
                assert!(host.contains(&*exchange.server.ip), "{exchange:?}");
            }
            assert_eq!(count(reported.iter().map(|exchange| exchange.line())), known, "{source}");
            assert!(log.len() >= 23, "{source}: {}", log.len());
            told(&format!("{source} to {host}"), log.len(), reported.len());
        }
    }
}
