//! What people and machines read on the terminal.

pub(crate) mod exchange;
pub(crate) mod map;
pub(crate) mod units;
