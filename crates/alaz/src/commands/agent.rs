//! `alaz agent`: capture, and tell others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alaz_capture::Options;
use alaz_flow::Limits;
use alaz_model::ExportLedger;
use alaz_server::{Feed, Hosts, Live, Pages, Server, Tell};
use anyhow::{Context, bail};

use super::handing::Handing;
use super::run::make_data_dir;
use crate::cluster::ClusterWatch;
use crate::config::Config;
use crate::export::{self, Anteon, Destination};
use crate::guard::Guard;
use crate::output::streams::say;
use crate::source::{self, Duties};

/// Hosts outside are told apart by their addresses, since the server must know whose they are. Of each
/// edge two errors, a slow exchange and two others are told every second.
const LIMITS: Limits = Limits {
    nodes: 8192,
    outbound_hosts: 4096,
    edges: 8192,
    connection_edges: 8192,
    routes_per_edge: 256,
    routes: 16_384,
    samples: 2,
    keep_ns: 120 * 1_000_000_000,
};

/// Until the user stops it.
pub(crate) fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let destination = Destination::of(config)?;
    if destination.is_none() && config.server.value.is_none() {
        bail!(
            "an agent must tell somebody: set ALAZ_SERVER (--server) to the address of an `alaz \
             server`, or BACKEND_HOST and MONITORING_ID to those of an Anteon backend"
        );
    }
    let listen = config.listen.value;
    let listener = super::bind(listen, "--listen")?;
    let stop = source::stop_signal()?;
    let live = Live::new(config.node_name.value.clone());
    let hosts = Hosts::new(listen, &config.allowed_hosts.value);
    let address = listener.local_addr().unwrap_or(listen);
    let server =
        Server::start(listener, Arc::clone(&live), hosts, Pages::Agent).context("cannot serve")?;
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
    let duties = Duties {
        serving: Some(address),
        cluster: ClusterWatch::start(config.kubeconfig.value.as_deref(), live)?,
        guard: Some(Guard::new(config.guard_limits())),
        ..Duties::default()
    };
    let anteon = match destination {
        Some(destination) => {
            make_data_dir(&config.data_dir.value)?;
            Some(Anteon::start(destination, config, duties.own_clients.clone())?)
        }
        None => None,
    };
    if let Some(anteon) = &anteon {
        live.add_export(anteon.ledger());
    }
    let server = export::start_telling(config, duties.own_clients.clone())?;
    if let Some(server) = &server {
        live.add_export(server.ledger());
    }
    live.set_ready(capture.map_bytes());
    say(format_args!("alaz: watching this machine"));
    let ledgers: Vec<_> = server.iter().map(|server| server.ledger()).collect();
    let tell: Tell = Box::new(move |slice, start, end| {
        if let Some(server) = &server {
            server.tell(slice, start, end);
        }
    });
    let feed = Feed::telling(Arc::clone(live), LIMITS, tell);
    let mut handing = Handing::new(live, feed, anteon);
    let pipeline = source::live_pipeline(config);
    let ledger = source::capture(capture, pipeline, stop, None, duties, &mut handing)?;
    handing.feed.finish(source::unix_now(), || ledger);
    // What is left is sent meanwhile.
    drop(handing);
    for ledger in ledgers {
        say(format_args!("alaz: {}", sent(&ledger())));
    }
    Ok(())
}

/// What became of what was told, for people.
fn sent(ledger: &ExportLedger) -> String {
    let lost: u64 = ledger.lost.iter().sum();
    format!("the server was told of {} exchanges and connections; {lost} were lost", ledger.sent)
}
