//! The addresses under which a server of this process is reached.
//!
//! The kernel side leaves this process's own calls out, so what is said to its server is seen from
//! the client's end only, and must be told by the address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The most addresses that are looked at. Hosts have tens, each bridge of containers one.
const MOST: usize = 256;

/// All of them for a server that listens here: one, or where it listens everywhere, each address of
/// this network namespace. `proc` is `/proc` but in tests.
pub(crate) fn of(listen: SocketAddr, proc: &Path) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let read = |file: &str| std::fs::read_to_string(proc.join("net").join(file));
    let (v4, v6) = (read("fib_trie").unwrap_or_default(), read("if_inet6").unwrap_or_default());
    let mut addresses = vec![listen.ip()];
    addresses.extend(local_v4(&v4).map(IpAddr::V4));
    // Dual-stack servers are reached by IPv4 too, those of IPv4 not by IPv6.
    addresses.extend(local_v6(&v6).map(IpAddr::V6).filter(|_| listen.is_ipv6()));
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST);
    addresses.into_iter().map(|ip| SocketAddr::new(ip, listen.port())).collect()
}

/// The addresses of this host that others know it by: those of this network namespace, and of the one
/// that the machine started with where that may be read.
pub(crate) fn of_host() -> Vec<IpAddr> {
    let everywhere = SocketAddr::from(([0; 16], 0));
    let mut addresses: Vec<IpAddr> = ["/proc/self", "/proc/1"]
        .into_iter()
        .flat_map(|proc| of(everywhere, Path::new(proc)))
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The routes to this host itself (`/proc/net/fib_trie`, net/ipv4/fib_trie.c): an address, and below
/// it `/32 host LOCAL`.
fn local_v4(table: &str) -> impl Iterator<Item = Ipv4Addr> + use<'_> {
    let lines = table.lines().zip(table.lines().skip(1));
    lines
        .filter(|(_, below)| below.trim_start().starts_with("/32 host LOCAL"))
        .filter_map(|(line, _)| line.trim_start().strip_prefix("|-- ")?.parse().ok())
}

/// The first column (`/proc/net/if_inet6`, net/ipv6/addrconf.c).
fn local_v6(table: &str) -> impl Iterator<Item = Ipv6Addr> + use<'_> {
    let first = table.lines().filter_map(|line| line.split_ascii_whitespace().next());
    first.filter_map(|hex| u128::from_str_radix(hex, 16).ok()).map(Ipv6Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listen: &str) -> Vec<String> {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir(proc.path().join("net")).unwrap();
        let v4 = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                  Local:\n     +-- 10.0.0.0/24 2 0 2\n           |-- 10.0.0.7\n              /32 host LOCAL\n\
                  \u{20}       |-- 10.0.0.255\n           /32 link BROADCAST\n        |-- 127.0.0.0\n\
                  \u{20}          /8 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n\
                  Local:\n        |-- 127.0.0.1\n           /32 host LOCAL\n";
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
                  fd000000000000000000000000000002 04 40 00 82     eth0\n";
        std::fs::write(proc.path().join("net/fib_trie"), v4).unwrap();
        std::fs::write(proc.path().join("net/if_inet6"), v6).unwrap();
        let found = of(listen.parse().unwrap(), proc.path());
        found.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn a_server_that_listens_everywhere_has_every_address() {
        assert_eq!(found("10.0.0.7:8014"), ["10.0.0.7:8014"]);
        assert_eq!(found("0.0.0.0:8014"), ["0.0.0.0:8014", "10.0.0.7:8014", "127.0.0.1:8014"]);
        assert_eq!(
            found("[::]:1"),
            ["10.0.0.7:1", "127.0.0.1:1", "[::]:1", "[::1]:1", "[fd00::2]:1"]
        );
        // Of this very host at least loopback is known.
        let own = of("0.0.0.0:1".parse().unwrap(), Path::new("/proc"));
        assert!(own.contains(&"127.0.0.1:1".parse().unwrap()), "{own:?}");
    }
}
