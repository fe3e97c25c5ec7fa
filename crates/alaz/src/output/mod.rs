//! What people and machines read on the terminal.

mod background;
pub(crate) mod exchange;
pub(crate) mod map;
pub(crate) mod plain;
pub(crate) mod printing;
pub(crate) mod streams;
pub(crate) mod units;
