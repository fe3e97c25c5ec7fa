//! `alaz run`: capture, store, API and UI in one process.

use std::fs::DirBuilder;
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use alaz_capture::Options;
use alaz_flow::Limits;
use alaz_model::{ConnectionFacts, Exchange, Ledger};
use alaz_server::{Feed, Hosts, Live, Server};
use anyhow::Context;

use crate::cluster::ClusterWatch;
use crate::config::Config;
use crate::output::streams::say;
use crate::pipeline::Sink;
use crate::source::{self, Consumer};

/// Until the user stops it.
pub(crate) fn run(config: &Config, options: &Options) -> anyhow::Result<()> {
    let listen = config.listen.value;
    let listener = TcpListener::bind(listen).with_context(|| {
        format!("cannot listen on {listen}; choose another address with --listen")
    })?;
    let stop = source::stop_signal()?;
    let live = Live::new(host_name());
    let hosts = Hosts::new(listen, &config.allowed_hosts.value);
    let address = listener.local_addr().unwrap_or(listen);
    let server = Server::start(listener, Arc::clone(&live), hosts).context("cannot serve")?;
    // The pages answer before the capture runs; they say that it does not yet.
    let result = capture(&live, address, config, options, &stop);
    server.stop();
    result
}

fn capture(
    live: &Arc<Live>,
    address: SocketAddr,
    config: &Config,
    options: &Options,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let capture = super::start_capture(options)?;
    make_data_dir(&config.data_dir.value)?;
    let cluster = ClusterWatch::start(config.kubeconfig.value.as_deref(), live)?;
    live.set_ready(capture.map_bytes());
    say(format_args!("alaz: watching this machine; the map is on http://{}", browsable(address)));
    let pipeline = source::live_pipeline(config);
    let mut serving = Serving { feed: Feed::new(Arc::clone(live), Limits::default()) };
    source::capture(capture, pipeline, stop, None, Some(address), cluster, &mut serving)?;
    Ok(())
}

/// Hands over to the server what the pipeline gives.
struct Serving {
    feed: Feed,
}

impl Sink for Serving {
    fn exchange(&mut self, exchange: &Exchange) {
        self.feed.exchange(exchange);
    }

    fn connection(&mut self, facts: &ConnectionFacts) {
        self.feed.connection(facts);
    }
}

impl Consumer for Serving {
    fn pass(&mut self, ledger: &dyn Fn() -> Ledger) -> ControlFlow<()> {
        self.feed.pass(source::unix_now(), ledger);
        ControlFlow::Continue(())
    }
}

/// For its owner only: what will be kept there is nobody else's business.
fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    let wrong =
        || format!("cannot write to the folder {}; choose another with --data-dir", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(wrong)?;
    let probe = path.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).with_context(wrong)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where a browser on this host finds it.
fn browsable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}
