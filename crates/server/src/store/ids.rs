//! Names for nodes and edges that outlive everything: made from what they name.

use alaz_flow::{EdgeKey, NodeKey};

/// A node's name in the API, `n` and twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u64);

/// An edge's name in the API, `e` and twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EdgeId(u64);

const BITS: u64 = (1 << 48) - 1;

impl NodeId {
    /// The id that this node has, unless another one has it already.
    pub(super) fn of(key: &NodeKey) -> NodeId {
        let mut hash = Fnv::new();
        hash.add(key.kind.as_str().as_bytes());
        hash.add(key.namespace.as_bytes());
        hash.add(key.name.as_bytes());
        NodeId(hash.0 & BITS)
    }

    /// The next one to try.
    pub(super) fn next(self) -> NodeId {
        NodeId(self.0.wrapping_add(1) & BITS)
    }

    /// The node of that name; `None` where no node can have it.
    pub(crate) fn parse(text: &str) -> Option<NodeId> {
        parse(text, 'n').map(NodeId)
    }
}

impl EdgeId {
    /// The id that this edge has, unless another one has it already.
    pub(super) fn of(key: &EdgeKey, from: NodeId, to: NodeId) -> EdgeId {
        let mut hash = Fnv::new();
        hash.add(&from.0.to_le_bytes());
        hash.add(&to.0.to_le_bytes());
        hash.add(&key.port.to_le_bytes());
        hash.add(key.protocol_name().as_bytes());
        EdgeId(hash.0 & BITS)
    }

    /// The next one to try.
    pub(super) fn next(self) -> EdgeId {
        EdgeId(self.0.wrapping_add(1) & BITS)
    }

    /// The edge of that name; `None` where no edge can have it.
    pub(crate) fn parse(text: &str) -> Option<EdgeId> {
        parse(text, 'e').map(EdgeId)
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{:012x}", self.0)
    }
}

impl std::fmt::Display for EdgeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "e{:012x}", self.0)
    }
}

fn parse(text: &str, letter: char) -> Option<u64> {
    let digits = text.strip_prefix(letter)?;
    let fits = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): the same on every machine and in every version.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a part and an end mark, which no UTF-8 text holds.
    fn add(&mut self, part: &[u8]) {
        for byte in part.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alaz_model::EndpointKind;

    #[test]
    fn ids_are_written_and_read() {
        let key = |namespace: &str, name: &str| NodeKey {
            kind: EndpointKind::Process,
            namespace: namespace.into(),
            name: name.into(),
        };
        let id = NodeId::of(&key("", "nginx"));
        assert_eq!(NodeId::parse(&id.to_string()), Some(id));
        assert_ne!(NodeId::of(&key("a", "b")), NodeId::of(&key("ab", "")));
        // Links that people keep hold this: it must not change between versions.
        assert_eq!(id.to_string(), "nefa8642fbbe9");
        for wrong in ["", "n", "n1", "eefa8642fbbe9", "nefa8642fbbe90", "n+fa8642fbbe9", "nüüüüüü"]
        {
            assert_eq!(NodeId::parse(wrong), None, "{wrong}");
        }
    }
}
