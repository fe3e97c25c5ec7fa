//! Walking down the headers of a packet of which perhaps not everything was captured.

/// Why a packet gives neither TCP nor UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Its link layer is not read.
    UnknownLink,
    /// It carries no IP.
    NotIp,
    /// The capture kept too little of it.
    CutHeaders,
    /// Its headers contradict themselves.
    Malformed,
    /// It is of neither TCP nor UDP.
    OtherTransport,
}

/// Bytes of a packet: how many there were on the wire, and those that were captured, from the
/// first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Never more than `length`.
    pub(super) captured: &'a [u8],
    pub(super) length: usize,
}

impl<'a> Part<'a> {
    pub(super) fn new(captured: &'a [u8], length: usize) -> Part<'a> {
        Part { captured: captured.get(..length).unwrap_or(captured), length }
    }

    /// The first bytes, a fixed header.
    pub(super) fn head<const N: usize>(self) -> Result<&'a [u8; N], Rejected> {
        if self.length < N {
            return Err(Rejected::Malformed);
        }
        self.captured.first_chunk().ok_or(Rejected::CutHeaders)
    }

    /// What follows the first `count` bytes.
    pub(super) fn after(self, count: usize) -> Result<Part<'a>, Rejected> {
        let length = self.length.checked_sub(count).ok_or(Rejected::Malformed)?;
        Ok(Part { captured: self.captured.get(count..).unwrap_or_default(), length })
    }

    /// The first `length` bytes; less where there are less.
    pub(super) fn limit(self, length: usize) -> Part<'a> {
        Part::new(self.captured, self.length.min(length))
    }
}
