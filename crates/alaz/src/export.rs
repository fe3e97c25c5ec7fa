//! Exporters, as the settings want them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alaz_export::anteon::{self, Settings, Timing};
use alaz_export::server::{Limits, ServerExporter};
use alaz_export::{Backend, OpenConnection, OwnClients};
use alaz_model::{Exchange, ExportLedger};
use anyhow::{Context, bail};

use crate::config::Config;
use crate::output::streams::say;
use crate::own_addresses;

/// Between two lists of the connections that are open, as often as the original sent one.
const LIST_AGAIN: Duration = Duration::from_secs(30);

/// The Anteon backend that exchanges are sent to.
pub(crate) struct Destination {
    backend: Backend,
    monitoring_id: String,
}

impl Destination {
    /// That of the settings, if there is one.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Destination>> {
        const BOTH: &str = "set both BACKEND_HOST (--backend-host) and MONITORING_ID \
                            (--monitoring-id), or none";
        let id = config.monitoring_id.value.clone().filter(|id| !id.is_empty());
        match (config.backend_host.value.clone(), id) {
            (_, Some(id)) if id.starts_with('<') => {
                bail!("{id} is a placeholder: replace it with the id of your account, or remove it")
            }
            (Some(backend), Some(monitoring_id)) => {
                Ok(Some(Destination { backend, monitoring_id }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => bail!("a backend is given, but no monitoring id: {BOTH}"),
            (None, Some(_)) => bail!("a monitoring id is given, but no backend: {BOTH}"),
        }
    }
}

/// A running exporter to an Anteon backend.
pub(crate) struct Anteon {
    anteon: anteon::Anteon,
    lists_connections: bool,
    listed: Instant,
}

impl Anteon {
    /// Starts it; its connections are told to `own`.
    pub(crate) fn start(
        destination: Destination,
        config: &Config,
        own: OwnClients,
    ) -> anyhow::Result<Anteon> {
        let Destination { backend, monitoring_id } = destination;
        say(format_args!("alaz: sending to the Anteon backend {backend}"));
        let anteon = anteon::Anteon::start(Settings {
            backend,
            monitoring_id,
            node: config.node_name.value.clone(),
            batch_rows: config.batch_size.value,
            queue_folder: Some(config.data_dir.value.join("anteon")),
            own,
            say: Arc::new(|line| say(format_args!("alaz: anteon: {line}"))),
            timing: Timing::default(),
        })
        .context("cannot send to the Anteon backend")?;
        let lists_connections = config.send_alive_tcp_connections.value;
        Ok(Anteon { anteon, lists_connections, listed: Instant::now() })
    }

    pub(crate) fn exchange(&mut self, exchange: &Exchange) {
        self.anteon.sink.exchange(exchange);
    }

    pub(crate) fn open_connection(&mut self, connection: OpenConnection) {
        self.anteon.sink.open_connection(connection);
    }

    pub(crate) fn pass(&mut self) {
        self.anteon.sink.pass();
    }

    /// Every 30 s, if at all.
    pub(crate) fn wants_open_connections(&mut self) -> bool {
        let is_time = self.lists_connections && self.listed.elapsed() >= LIST_AGAIN;
        if is_time {
            self.listed = Instant::now();
        }
        is_time
    }

    /// What tells what became of its rows.
    pub(crate) fn ledger(&self) -> impl Fn() -> ExportLedger + Send + Sync + use<> {
        self.anteon.ledger()
    }
}

/// Starts telling the server of the settings, if there is one; its connections are told to `own`.
pub(crate) fn start_telling(
    config: &Config,
    own: OwnClients,
) -> anyhow::Result<Option<ServerExporter>> {
    let Some(server) = config.server.value.clone() else { return Ok(None) };
    say(format_args!("alaz: telling the server {server}"));
    let token = token(config)?;
    if token.is_none() {
        say(format_args!("alaz: without a token, which `alaz server` wants: set ALAZ_TOKEN"));
    }
    let exporter = ServerExporter::start(alaz_export::server::Settings {
        server,
        token: token.map(str::to_owned),
        host: config.node_name.value.clone(),
        addresses: Box::new(own_addresses::of_host),
        own,
        say: Arc::new(|line| say(format_args!("alaz: server: {line}"))),
        limits: Limits::default(),
    });
    exporter.map(Some).context("cannot tell the server")
}

/// What agents show a server, if there is one.
pub(crate) fn token(config: &Config) -> anyhow::Result<Option<&str>> {
    let token = config.token.value.as_ref().map(|token| token.reveal());
    if let Some(token) = token.filter(|token| token.starts_with('<')) {
        bail!("the token {token} is a placeholder: replace it with a secret text");
    }
    Ok(token.filter(|token| !token.is_empty()))
}
