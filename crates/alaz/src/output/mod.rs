//! What people and machines read on the terminal.

pub(crate) mod exchange;
pub(crate) mod map;
pub(crate) mod printing;
pub(crate) mod units;
