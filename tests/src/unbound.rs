//! Unbound with names of its own, whose log of replies is the oracle.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::program::Program;
use crate::wait_until;

/// A running server.
pub struct Unbound {
    program: Program,
    _folder: tempfile::TempDir,
    /// Where it listens: the port is that of DNS, since only that is captured.
    pub address: IpAddr,
}

const NAMES: &str = r#"
  local-zone: "." static
  local-zone: "shop.test." static
  local-data: "www.shop.test. 60 IN A 10.1.2.3"
  local-data: "www.shop.test. 60 IN A 10.1.2.4"
  local-data: "www.shop.test. 60 IN AAAA fd00::7"
  local-data: "shop.test. 60 IN MX 10 mail.shop.test."
  local-zone: "private.test." refuse
"#;

impl Unbound {
    /// Starts it on an address of the loopback device. It knows `www.shop.test` (two IPv4 addresses,
    /// one IPv6), `shop.test` (MX) and `large.shop.test` (TXT, too large for a plain datagram), refuses
    /// `private.test`, and says of all else that it does not exist.
    pub fn start(address: &str) -> Unbound {
        let address: IpAddr = address.parse().unwrap();
        wait_until(&format!("port 53 of {address} is free"), || {
            UdpSocket::bind(SocketAddr::new(address, 53)).is_ok()
        });
        let folder = tempfile::tempdir().unwrap();
        let texts = (0..10).map(|number| {
            let text = "x".repeat(200);
            format!("  local-data: 'large.shop.test. 60 IN TXT \"{number} {text}\"'\n")
        });
        let file = folder.path().join("unbound.conf");
        let settings = format!(
            "server:\n  interface: {address}\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  \
             directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  \
             log-replies: yes\n  log-tag-queryreply: yes\n  module-config: \"iterator\"\n  \
             num-threads: 1\n  access-control: 127.0.0.0/8 allow\n  access-control: ::1 allow\n\
             {NAMES}{}remote-control:\n  control-enable: no\n",
            folder.path().display(),
            texts.collect::<String>(),
        );
        std::fs::write(&file, settings).unwrap();
        let mut program = Program::start(Command::new("unbound").arg("-d").arg("-c").arg(&file));
        wait_until("unbound has started", || {
            program.assert_running();
            program.stderr().contains("start of service")
        });
        Unbound { program, _folder: folder, address }
    }

    /// `dig` with this server and these arguments; each question once, for two seconds.
    #[must_use]
    pub fn dig(&self, arguments: &str) -> Command {
        let mut command = Command::new("dig");
        command.args(["+tries=1", "+timeout=2"]).arg(format!("@{}", self.address));
        command.args(arguments.split(' '));
        command
    }

    /// Ends it; what it answered, as `TYPE name RCODE`, in order.
    #[must_use]
    pub fn stop(mut self) -> Vec<String> {
        self.program.end(Signal::TERM);
        let log = self.program.stderr();
        let replies = log.lines().filter_map(|line| line.split_once(" reply: "));
        replies.map(|(_, reply)| line_of(reply)).collect()
    }
}

/// `CLIENT NAME. TYPE CLASS RCODE …`
fn line_of(reply: &str) -> String {
    let words: Vec<&str> = reply.split(' ').collect();
    let [_, name, kind, _, rcode, ..] = words[..] else { panic!("{reply}") };
    format!("{kind} {} {rcode}", name.trim_end_matches('.').to_lowercase())
}

/// A command in a mount namespace of its own, in which `resolv.conf` has these lines and names are
/// looked up by DNS alone.
#[must_use]
pub fn with_resolver(folder: &Path, lines: &str, command: &str) -> Command {
    std::fs::write(folder.join("resolv.conf"), lines).unwrap();
    std::fs::write(folder.join("nsswitch.conf"), "hosts: dns\n").unwrap();
    let script = format!(
        "mount --bind {0}/resolv.conf \"$(readlink -f /etc/resolv.conf)\" && \
         mount --bind {0}/nsswitch.conf /etc/nsswitch.conf && exec {command}",
        folder.display(),
    );
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", &script]);
    shell
}
