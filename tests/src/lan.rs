//! Several hosts on one machine: network namespaces on a bridge, each with an address of its own.
//!
//! All of them share the kernel, so that an agent in one sees the processes of all; tests tell it which
//! to leave out.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use crate::program;

/// A bridge that this machine is on too, with some hosts. Gone when it goes out of scope.
pub struct Lan {
    name: String,
    hosts: usize,
}

impl Lan {
    /// With so many hosts. It needs root.
    #[must_use]
    pub fn new(hosts: usize) -> Lan {
        let lan = Lan { name: format!("alz{}", std::process::id() % 100_000), hosts };
        let bridge = &lan.name;
        ip(&["link", "add", bridge, "type", "bridge"]);
        ip(&["address", "add", &format!("{}/24", lan.gateway()), "dev", bridge]);
        ip(&["link", "set", bridge, "up"]);
        for host in 0..hosts {
            let (namespace, outer) = (lan.namespace(host), format!("{bridge}v{host}"));
            ip(&["netns", "add", &namespace]);
            ip(&[
                "link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &namespace,
            ]);
            ip(&["link", "set", &outer, "master", bridge, "up"]);
            let address = format!("{}/24", lan.address(host));
            ip(&["-n", &namespace, "address", "add", &address, "dev", "eth0"]);
            ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
            ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        }
        lan
    }

    fn namespace(&self, host: usize) -> String {
        format!("{}h{host}", self.name)
    }

    /// The address of this machine there.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        self.network(254)
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, host: usize) -> IpAddr {
        self.network(u8::try_from(host).unwrap() + 1)
    }

    /// TEST-NET-2 (RFC 5737), which nobody uses.
    fn network(&self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))
    }

    /// This command on a host.
    #[must_use]
    pub fn on(&self, host: usize, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/run/netns/{}", self.namespace(host)));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in 0..self.hosts {
            let _ = Command::new("ip").args(["netns", "delete", &self.namespace(host)]).status();
        }
        let _ = Command::new("ip").args(["link", "delete", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    program::run(Command::new("ip").args(arguments));
}
