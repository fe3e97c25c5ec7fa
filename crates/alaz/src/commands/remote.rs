//! A running Alaz to read from, over its API.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use alaz_server::{ExchangeFilter, Map};
use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::FromArgs;
use crate::output::plain::plain;
use crate::output::streams::say;

/// How long a running Alaz may take to say that it is there. It is on this host.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than any answer: the tables behind them are bounded.
const MOST_BYTES: u64 = 256 << 20;

/// An Alaz that answers.
pub(crate) struct Remote {
    agent: ureq::Agent,
    url: String,
}

impl Remote {
    /// The one to read from: that which is named, or one that runs here; `None` where this command
    /// captures itself. Says so.
    pub(crate) fn find(from: &FromArgs, listen: SocketAddr) -> anyhow::Result<Option<Remote>> {
        if from.capture {
            return Ok(None);
        }
        let remote = match &from.server {
            Some(url) if url.starts_with("https:") => {
                bail!("--server {url}: only http:// can be read");
            }
            Some(url) => {
                let remote = Remote::at(url);
                remote.get("/healthz").context("check --server")?;
                remote
            }
            None => match Remote::probe(listen) {
                Some(remote) => remote,
                None => return Ok(None),
            },
        };
        say(format_args!("alaz: reading from {}", remote.url));
        Ok(Some(remote))
    }

    fn at(url: &str) -> Remote {
        let url = url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Remote { agent: config.new_agent(), url }
    }

    /// An Alaz at the address that the settings give it, if one answers.
    fn probe(listen: SocketAddr) -> Option<Remote> {
        let mut address = listen;
        match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let remote = Remote::at(&address.to_string());
        let request = remote.agent.get(format!("{}/healthz", remote.url));
        let response = request.config().timeout_global(Some(PROBE_TIMEOUT)).build().call().ok()?;
        let server = response.headers().get("server")?.to_str().ok()?;
        (response.status() == 200 && server.starts_with("Alaz/")).then_some(remote)
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Exchanges as they complete, one JSON object a line, until it ends.
    pub(crate) fn follow(&self, filter: &ExchangeFilter) -> anyhow::Result<impl BufRead + use<>> {
        let query = filter.to_query().into_iter();
        let query = query.map(|(name, value)| format!("&{name}={value}")).collect::<String>();
        let response = self.get(&format!("/api/v1/exchanges?follow=true{query}"))?;
        Ok(BufReader::new(response.into_body().into_reader()))
    }

    /// The map of the time up to now.
    pub(crate) fn map(&self, duration: Duration) -> anyhow::Result<Map> {
        self.json(&format!("/api/v1/map?from=-{}ms", duration.as_millis()))
    }

    /// What was seen and lost.
    pub(crate) fn ledger(&self) -> anyhow::Result<Value> {
        self.json("/api/v1/ledger")
    }

    fn json<T: serde::de::DeserializeOwned>(&self, page: &str) -> anyhow::Result<T> {
        let mut response = self.get(page)?;
        let reader = response.body_mut().with_config().limit(MOST_BYTES).reader();
        serde_json::from_reader(BufReader::new(reader))
            .with_context(|| format!("the answer of {} is not that of this Alaz", self.url))
    }

    fn get(&self, page: &str) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let mut response = self
            .agent
            .get(format!("{}{page}", self.url))
            .call()
            .with_context(|| format!("no Alaz answers at {}", self.url))?;
        if response.status() != 200 {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            let said = serde_json::from_str::<Value>(&text).ok();
            let said = said.as_ref().and_then(|body| body["error"].as_str());
            let status = response.status();
            bail!("{} refuses: {}", self.url, plain(said.unwrap_or(status.as_str())));
        }
        Ok(response)
    }
}
