//! `alaz config`: the effective settings and where each came from.

use std::fmt::Display;
use std::io::Write;

use crate::config::{Config, Origin};

/// Prints YAML that could be a settings file, with the origins as comments.
pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut line = |key: &str, value: &dyn Display, origin: &Origin| {
        writeln!(out, "{:<40}  # {origin}", format!("{key}: {value}"))
    };
    line("listen", &config.listen.value, &config.listen.origin)?;
    line("data_dir", &config.data_dir.value.display(), &config.data_dir.origin)?;
    let hosts = format!("[{}]", config.allowed_hosts.value.join(", "));
    line("allowed_hosts", &hosts, &config.allowed_hosts.origin)?;
    Ok(())
}
