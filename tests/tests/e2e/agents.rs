//! Two hosts with an agent each, one without, and a server: its map has each exchange once, as nginx
//! logged it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use alaz_tests::alaz;
use alaz_tests::http;
use alaz_tests::lan::Lan;
use alaz_tests::nginx::Nginx;
use alaz_tests::program::Program;
use alaz_tests::{free_port, program, turn_to_capture, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// The hosts: of the client, of nginx, and one without an agent.
const CLIENT: usize = 0;
const SERVER: usize = 1;
const OUTSIDE: usize = 2;
const TOKEN: &str = "a-secret-of-this-test";

/// `alaz server` on this machine.
struct Server {
    program: Program,
    address: SocketAddr,
    agents: SocketAddr,
}

impl Server {
    fn start(address: SocketAddr, agents: SocketAddr) -> Server {
        let (listen, otlp) = (address.to_string(), agents.to_string());
        let mut command = alaz::command(&["server", "--listen", &listen, "--otlp-listen", &otlp]);
        let mut program = Program::start(command.env("ALAZ_TOKEN", TOKEN));
        wait_until("the server is ready", || {
            program.assert_running();
            http::try_get(address, "/readyz").is_some_and(|answer| answer.status == 200)
        });
        Server { program, address, agents }
    }

    fn json(&self, path: &str) -> Value {
        let answer = http::get(self.address, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn metric(&self, name: &str) -> u64 {
        metric(&http::get(self.address, "/metrics").text(), name)
    }

    /// Ends it, and gives where it was.
    fn stop(mut self) -> (SocketAddr, SocketAddr) {
        assert!(self.program.end(Signal::INT).success(), "{}", self.program.stderr());
        (self.address, self.agents)
    }

    /// `client → server` and by status how many, of the edges at this port that had requests.
    fn edges(&self, port: u16) -> BTreeMap<String, Value> {
        let map = self.json("/api/v1/map?from=-30m");
        let name = |id: &Value| {
            let mut nodes = map["nodes"].as_array().unwrap().iter();
            nodes.find(|node| node["id"] == *id).unwrap()["name"].as_str().unwrap().to_owned()
        };
        let edges = map["edges"].as_array().unwrap().iter();
        edges
            .filter(|edge| edge["port"] == port && edge["requests"] != 0)
            .map(|edge| {
                let names = format!("{} → {}", name(&edge["from"]), name(&edge["to"]));
                assert_eq!(edge["protocol"], "http", "{edge}");
                (names, edge["status"].clone())
            })
            .collect()
    }
}

fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
}

/// `alaz agent` on a host, blind to these processes.
struct Agent<'a> {
    program: Program,
    lan: &'a Lan,
    host: usize,
    listen: SocketAddr,
}

impl<'a> Agent<'a> {
    fn start(lan: &'a Lan, host: usize, server: &Server, blind_to: &str, token: &str) -> Agent<'a> {
        let url = format!("http://{}", server.agents);
        let listen = SocketAddr::new(lan.address(host), free_port());
        let mut command = alaz::command(&["agent", "--server", &url, "--listen"]);
        command.arg(listen.to_string()).args(["--exclude-processes", blind_to]);
        command.env("ALAZ_TOKEN", token).env("NODE_NAME", format!("host-{host}"));
        let program = Program::start(&mut lan.on(host, &command));
        let mut agent = Agent { program, lan, host, listen };
        wait_until("the agent is ready", || {
            agent.program.assert_running();
            agent.page("/readyz").is_some_and(|page| page == "ok\n")
        });
        agent
    }

    fn page(&self, path: &str) -> Option<String> {
        let mut command = Command::new("curl");
        command.args(["-sf", &format!("http://{}{path}", self.listen)]);
        let output = self.lan.on(self.host, &command).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn metric(&self, name: &str) -> u64 {
        metric(&self.page("/metrics").unwrap(), name)
    }

    /// Ends it, and says what became of what it told.
    fn stop(mut self) -> String {
        assert!(self.program.end(Signal::INT).success(), "{}", self.program.stderr());
        self.program.stderr()
    }
}

/// Requests by curl on the client's host.
fn ask(lan: &Lan, nginx: &Nginx) {
    let urls = ["/item/[1-40]", "/missing?n=[1-7]", "/fail?n=[1-3]"].map(|path| nginx.url(path));
    let mut curl = Command::new("curl");
    program::run(&mut lan.on(CLIENT, curl.args(["-sS", "-o", "/dev/null"]).args(urls)));
}

/// Requests by wget on the host without an agent.
fn ask_from_outside(lan: &Lan, nginx: &Nginx) {
    let urls = [1, 2, 3, 4, 5].map(|number| nginx.url(&format!("/outside/{number}")));
    let mut wget = Command::new("wget");
    program::run(&mut lan.on(OUTSIDE, wget.args(["-q", "-O", "/dev/null"]).args(urls)));
}

#[test]
fn each_exchange_counts_once_whoever_saw_it() {
    let Some(_turn) = turn_to_capture() else { return };
    let lan = Lan::new(3);
    let nginx = Nginx::start_on(&lan, SERVER);
    let port = nginx.address.port();
    let at = |port| SocketAddr::new(lan.gateway(), port);
    let server = Server::start(at(free_port()), at(free_port()));
    // They see the processes of all hosts, which are on one kernel: each is told to look away from
    // those of the others.
    let agents = [(CLIENT, "nginx,wget"), (SERVER, "curl,wget")]
        .map(|(host, blind_to)| Agent::start(&lan, host, &server, blind_to, TOKEN));
    // Whoever has another token is told so, and counts for nothing.
    let stranger = Agent::start(&lan, OUTSIDE, &server, "nginx", "another-secret");
    wait_until("the stranger is refused", || {
        stranger.program.stderr().contains("the token is not that of this server")
    });
    assert!(server.metric("alaz_agent_calls_refused_total") > 0);
    let said = stranger.stop();
    assert!(said.contains("ALAZ_TOKEN"), "{said}");

    ask(&lan, &nginx);
    ask_from_outside(&lan, &nginx);
    let inside = "curl → nginx".to_owned();
    let outside = format!("{} → nginx", lan.address(OUTSIDE));
    let expected = |times: u64| {
        let inside_status =
            serde_json::json!({"2xx": 40 * times, "4xx": 7 * times, "5xx": 3 * times});
        let outside_status = serde_json::json!({"2xx": 5 * times});
        BTreeMap::from([(inside.clone(), inside_status), (outside.clone(), outside_status)])
    };
    wait_until("the map has all requests", || server.edges(port) == expected(1));
    // It stays so when everything has been settled.
    let told_twice = "alaz_gathered_rows_total{fate=\"told_twice\"}";
    wait_until("both ends have told", || server.metric(told_twice) >= 50);
    assert_eq!(server.edges(port), expected(1));
    assert_has_both_views(&server, port);

    // While the server is away everything waits; a new one has all of it.
    let (address, for_agents) = server.stop();
    ask(&lan, &nginx);
    ask_from_outside(&lan, &nginx);
    wait_until("the server is missed", || {
        agents.iter().all(|agent| agent.metric("alaz_export_retries_total") > 0)
    });
    ask(&lan, &nginx);
    ask_from_outside(&lan, &nginx);
    let server = Server::start(address, for_agents);
    wait_until("the map has what was seen meanwhile", || server.edges(port) == expected(2));
    for agent in &agents {
        for reason in ["behind", "queue_full", "rejected"] {
            let name =
                format!("alaz_export_lost_rows_total{{exporter=\"server\",reason=\"{reason}\"}}");
            assert_eq!(agent.metric(&name), 0, "{name}");
        }
    }
    for agent in agents {
        let said = agent.stop();
        assert!(said.contains("; 0 were lost"), "{said}");
    }
    let counted = "alaz_gathered_rows_total{fate=\"counted\"}";
    assert!(server.metric(counted) >= 110);
    assert_eq!(server.edges(port), expected(2));
    server.stop();
    let log = nginx.stop();
    let asked = |path: &str| log.iter().filter(|line| line.target.starts_with(path)).count();
    assert_eq!((asked("/item/"), asked("/missing"), asked("/fail")), (120, 21, 9));
    assert_eq!(asked("/outside/"), 15);
}

/// The latency that nginx's end saw is on the edge too, and samples name both ends.
fn assert_has_both_views(server: &Server, port: u16) {
    let map = server.json("/api/v1/map?from=-30m");
    let mut edges = map["edges"].as_array().unwrap().iter();
    let edge = edges.find(|edge| edge["port"] == port && edge["requests"] == 50).unwrap();
    let detail = server.json(&format!("/api/v1/edges/{}?from=-30m", edge["id"].as_str().unwrap()));
    let [client, served] = ["p50_ns", "server_p50_ns"].map(|key| detail[key].as_u64().unwrap());
    assert!(0 < served && served <= client, "{served} ns at the server, {client} at the client");
    let exchanges = server.json(&format!("/api/v1/exchanges?port={port}&limit=500"));
    let exchanges = exchanges.as_array().unwrap();
    let by_curl: Vec<_> =
        exchanges.iter().filter(|it| it["client"]["workload"] == "curl").collect();
    assert!(!by_curl.is_empty());
    for exchange in by_curl {
        assert_eq!(exchange["server"]["workload"], "nginx", "{exchange}");
        assert_eq!(exchange["observed_by"], "client", "{exchange}");
    }
}

#[test]
fn half_a_setting_says_which_other_is_missing() {
    for (command, word) in [("agent", "ALAZ_SERVER"), ("server", "ALAZ_TOKEN")] {
        let output = alaz::command(&[command]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(word), "{said}");
    }
}
