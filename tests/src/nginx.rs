//! nginx, whose access log is the oracle.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::lan::Lan;
use crate::program::{Program, run};
use crate::{free_port, wait_until};

/// A running nginx with one worker.
pub struct Nginx {
    program: Program,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

/// One line of the access log.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named like nginx's variables")]
pub struct LogLine {
    pub remote_port: u16,
    pub method: String,
    pub target: String,
    pub status: String,
    pub bytes_sent: u64,
    pub request_length: u64,
    pub request_time_ms: u64,
}

const LARGE_BYTES: usize = 256 << 10;
const LOG_FORMAT: &str = "$remote_port|$request_method|$request_uri|$status|$bytes_sent|\
                          $request_length|$request_time";

/// A key and a certificate of its own for localhost, in files of this folder.
#[must_use]
pub fn certificate(folder: &Path) -> (String, String) {
    let key = folder.join("key.pem").display().to_string();
    let certificate = folder.join("certificate.pem").display().to_string();
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout", &key, "-out", &certificate]));
    (key, certificate)
}

impl Nginx {
    /// Plain HTTP: `/empty` answers nothing, `/large` 256 KiB from a file, `/stall` closes the connection, `/fail` is 500,
    /// `/missing` 404, everything else is 200.
    pub fn start() -> Nginx {
        Nginx::with(|address| address.to_string(), |_| String::new())
    }

    /// The same on a host of a network of tests.
    pub fn start_on(lan: &Lan, host: usize) -> Nginx {
        let address = SocketAddr::new(lan.address(host), 8080);
        let listen = |address: SocketAddr| address.to_string();
        Nginx::at(address, |command| lan.on(host, command), listen, |_| String::new())
    }

    /// The same on every address by one socket of IPv6, to which clients of IPv4 have mapped addresses.
    pub fn start_on_both() -> Nginx {
        let listen = |address: SocketAddr| format!("[::]:{} ipv6only=off", address.port());
        Nginx::with(listen, |_| String::new())
    }

    /// HTTPS, also by HTTP/2, with a certificate made for this test.
    pub fn start_tls() -> Nginx {
        Nginx::with(
            |address| format!("{address} ssl http2"),
            |folder| {
                let (key, certificate) = certificate(folder);
                format!(
                    "ssl_certificate {certificate}; ssl_certificate_key {key};
                    ssl_protocols TLSv1.2 TLSv1.3;"
                )
            },
        )
    }

    fn with(
        listen: impl FnOnce(SocketAddr) -> String,
        settings: impl FnOnce(&PathBuf) -> String,
    ) -> Nginx {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let here = |command: &mut Command| std::mem::replace(command, Command::new("nginx"));
        Nginx::at(address, here, listen, settings)
    }

    fn at(
        address: SocketAddr,
        place: impl FnOnce(&mut Command) -> Command,
        listen: impl FnOnce(SocketAddr) -> String,
        settings: impl FnOnce(&PathBuf) -> String,
    ) -> Nginx {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let (listen, settings) = (listen(address), settings(&root));
        let mut paths = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = writeln!(paths, "{kind}_temp_path {}/{kind};", root.display());
        }
        // Workers that write what root owns need root.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let configuration = format!(
            "{user}
            daemon off;
            worker_processes 1;
            worker_shutdown_timeout 5s;
            pid {root}/pid;
            worker_rlimit_nofile 32768;
            events {{ worker_connections 16384; }}
            http {{
                {paths}
                log_format oracle '{LOG_FORMAT}';
                access_log {root}/access.log oracle buffer=64k;
                keepalive_requests 100000000;
                server {{
                    listen {listen} backlog=1024;
                    {settings}
                    location = /empty {{ return 200; }}
                    location = /large {{ alias {root}/large; sendfile on; }}
                    location = /stall {{ return 444; }}
                    location = /fail {{ return 500; }}
                    location = /missing {{ return 404; }}
                    location / {{ return 200 'hello\\n'; }}
                }}
            }}",
            root = root.display(),
        );
        std::fs::write(root.join("large"), vec![b'a'; LARGE_BYTES]).unwrap();
        let path = root.join("nginx.conf");
        std::fs::write(&path, configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&root).arg("-c").arg(&path).arg("-e").arg(root.join("error.log"));
        let program = Program::serve_at(&mut place(&mut command), address);
        Nginx { program, folder, address }
    }

    /// A URL on it.
    #[must_use]
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// The process that serves: the only worker.
    #[must_use]
    pub fn worker(&self) -> u32 {
        let master = self.program.pid();
        let path = format!("/proc/{master}/task/{master}/children");
        let mut children = String::new();
        // It takes connections before it has one.
        wait_until("nginx has a worker", || {
            children = std::fs::read_to_string(&path).unwrap();
            !children.is_empty()
        });
        children.trim().parse().unwrap_or_else(|_| panic!("one worker, but: {children}"))
    }

    /// Lets it finish what it does, and reads its log.
    #[must_use]
    pub fn stop(mut self) -> Vec<LogLine> {
        self.program.end(Signal::QUIT);
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        // A connection without a request (the harness's own knock) is no line of interest.
        log.lines().map(read_line).filter(|line| !line.method.is_empty()).collect()
    }
}

fn read_line(line: &str) -> LogLine {
    let fields: Vec<_> = line.split('|').collect();
    let [port, method, target, status, sent, length, time] = fields[..] else {
        panic!("a line of another form: {line}");
    };
    LogLine {
        remote_port: port.parse().unwrap(),
        method: method.to_owned(),
        target: target.to_owned(),
        status: status.to_owned(),
        bytes_sent: sent.parse().unwrap(),
        request_length: length.parse().unwrap(),
        // Seconds with three digits.
        request_time_ms: time.replace('.', "").parse().unwrap(),
    }
}
