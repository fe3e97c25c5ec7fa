//! Edges as metrics: one data point for each figure, the edge in its attributes.

mod read;
mod write;

pub use read::decode_metrics;
pub use write::encode_metrics;
