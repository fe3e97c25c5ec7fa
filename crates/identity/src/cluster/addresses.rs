//! Who held an address, and when.

use std::net::IpAddr;

use compact_str::CompactString;
use hashbrown::HashMap;

/// Something that holds addresses, by its UID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Pod(CompactString),
    Service(CompactString),
    Node(CompactString),
}

/// An address that was held for some time.
struct Holding {
    holder: Holder,
    since_ns: u64,
    until_ns: Option<u64>,
}

/// Holdings by address, and the reverse.
pub(super) struct Addresses {
    limit: usize,
    by_address: HashMap<IpAddr, Vec<Holding>>,
    /// What each holds now.
    held: HashMap<Holder, Vec<IpAddr>>,
    /// UID of the service by port of every node.
    node_ports: HashMap<u16, CompactString>,
    /// Holdings, the past ones included.
    holdings: usize,
    /// Holdings that found no place.
    pub(super) refused: u64,
}

impl Addresses {
    pub(super) fn new(limit: usize) -> Addresses {
        Addresses {
            limit,
            by_address: HashMap::new(),
            held: HashMap::new(),
            node_ports: HashMap::new(),
            holdings: 0,
            refused: 0,
        }
    }

    /// `holder` has these addresses and no others: new ones since `since_ns`, old ones until
    /// `now_ns`.
    pub(super) fn hold(
        &mut self,
        holder: &Holder,
        addresses: impl Iterator<Item = IpAddr>,
        since_ns: u64,
        now_ns: u64,
    ) {
        let addresses: Vec<IpAddr> = addresses.map(|address| address.to_canonical()).collect();
        let before = self.held.remove(holder).unwrap_or_default();
        for address in before.iter().filter(|address| !addresses.contains(address)) {
            let holdings = self.by_address.get_mut(address).into_iter().flatten();
            for holding in holdings.filter(|holding| holding.holder == *holder) {
                holding.until_ns.get_or_insert(now_ns);
            }
        }
        for address in addresses.iter().filter(|address| !before.contains(address)) {
            if self.holdings >= self.limit {
                self.refused += 1;
                continue;
            }
            self.holdings += 1;
            let holding = Holding { holder: holder.clone(), since_ns, until_ns: None };
            self.by_address.entry(*address).or_default().push(holding);
        }
        if !addresses.is_empty() {
            self.held.insert(holder.clone(), addresses);
        }
    }

    /// These ports of every node lead to this service, and no others do.
    pub(super) fn hold_ports(&mut self, service: &CompactString, ports: &[u16]) {
        self.node_ports.retain(|_, uid| uid != service);
        self.node_ports.extend(ports.iter().map(|port| (*port, service.clone())));
    }

    /// All that may have held the address at this time.
    pub(super) fn at(&self, address: IpAddr, time_ns: u64) -> impl Iterator<Item = &Holder> {
        let holdings = self.by_address.get(&address.to_canonical()).into_iter().flatten();
        holdings
            .filter(move |holding| {
                holding.since_ns <= time_ns
                    && holding.until_ns.is_none_or(|until_ns| time_ns <= until_ns)
            })
            .map(|holding| &holding.holder)
    }

    pub(super) fn service_at_port(&self, port: u16) -> Option<&CompactString> {
        self.node_ports.get(&port)
    }

    /// Forgets what was given back before this time.
    pub(super) fn forget(&mut self, before_ns: u64) {
        let mut holdings = 0;
        self.by_address.retain(|_, held| {
            held.retain(|holding| holding.until_ns.is_none_or(|until_ns| until_ns > before_ns));
            holdings += held.len();
            !held.is_empty()
        });
        self.holdings = holdings;
    }
}
