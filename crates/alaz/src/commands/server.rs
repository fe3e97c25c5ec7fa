//! `alaz server`: what many agents tell, as one map.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alaz_server::{Hosts, Ingest, Live, Pages, Server};
use anyhow::{Context, bail};

use super::run::browsable;
use crate::config::Config;
use crate::export;
use crate::output::streams::say;
use crate::source;

/// Between two looks at whether the user wants it to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Until the user stops it.
pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    let Some(token) = export::token(config)? else {
        bail!(
            "a server believes agents that have its token: set ALAZ_TOKEN to a secret text, the \
             same on all agents, such as one that `openssl rand -hex 16` prints"
        )
    };
    let (listen, otlp_listen) = (config.listen.value, config.otlp_listen.value);
    let listener = super::bind(listen, "--listen")?;
    let otlp_listener = super::bind(otlp_listen, "--otlp-listen")?;
    let stop = source::stop_signal()?;
    let live = Live::new(super::host_name());
    let hosts = Hosts::new(listen, &config.allowed_hosts.value);
    let address = listener.local_addr().unwrap_or(listen);
    let ingest = Ingest::start(otlp_listener, token, Arc::clone(&live))
        .context("cannot listen for agents")?;
    let server =
        Server::start(listener, Arc::clone(&live), hosts, Pages::All).context("cannot serve")?;
    live.set_ready(0);
    say(format_args!(
        "alaz: listening for agents on {otlp_listen}; the map is on http://{}",
        browsable(address)
    ));
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_AGAIN);
    }
    ingest.stop();
    server.stop();
    Ok(())
}
