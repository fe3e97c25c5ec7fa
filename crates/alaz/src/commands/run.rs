//! `alaz run`: capture, store, API and UI in one process.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alaz_capture::Options;
use alaz_flow::Limits;
use alaz_server::{Feed, Hosts, Live, Pages, Server};
use anyhow::Context;

use super::handing::Handing;
use crate::cluster::ClusterWatch;
use crate::config::Config;
use crate::export::{Anteon, Destination};
use crate::guard::Guard;
use crate::output::streams::say;
use crate::source::{self, Duties};

/// Until the user stops it.
pub(crate) fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let destination = Destination::of(config)?;
    let listen = config.listen.value;
    let listener = super::bind(listen, "--listen")?;
    let stop = source::stop_signal()?;
    let live = Live::new(super::host_name());
    let hosts = Hosts::new(listen, &config.allowed_hosts.value);
    let address = listener.local_addr().unwrap_or(listen);
    let server =
        Server::start(listener, Arc::clone(&live), hosts, Pages::All).context("cannot serve")?;
    // The pages answer before the capture runs; they say that it does not yet.
    let result = capture(&live, address, config, destination, options, &stop);
    server.stop();
    result
}

fn capture(
    live: &Arc<Live>,
    address: SocketAddr,
    config: &Config,
    destination: Option<Destination>,
    options: &Options,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let capture = super::start_capture(options)?;
    make_data_dir(&config.data_dir.value)?;
    let duties = Duties {
        serving: Some(address),
        cluster: ClusterWatch::start(config.kubeconfig.value.as_deref(), live)?,
        guard: Some(Guard::new(config.guard_limits())),
        ..Duties::default()
    };
    let anteon = match destination {
        Some(destination) => Some(Anteon::start(destination, config, duties.own_clients.clone())?),
        None => None,
    };
    if let Some(anteon) = &anteon {
        live.add_export(anteon.ledger());
    }
    live.set_ready(capture.map_bytes());
    say(format_args!("alaz: watching this machine; the map is on http://{}", browsable(address)));
    let pipeline = source::live_pipeline(config);
    let feed = Feed::new(Arc::clone(live), Limits::default());
    let mut handing = Handing::new(live, feed, anteon);
    source::capture(capture, pipeline, stop, None, duties, &mut handing)?;
    Ok(())
}

/// For its owner only: what will be kept there is nobody else's business.
pub(super) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    let wrong =
        || format!("cannot write to the folder {}; choose another with --data-dir", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(wrong)?;
    let probe = path.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).with_context(wrong)
}

/// Where a browser on this host finds it.
pub(super) fn browsable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}
