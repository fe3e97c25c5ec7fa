//! `/metrics`: Prometheus text format 0.0.4.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;

use alaz_flow::{ConnectionStats, Histogram, NodeKey};
use alaz_model::{
    Balance, ExportLedger, ExportLoss, GuardState, GuardStep, Ledger, LeftOut, LossReason, Tally,
    UnpairedReason,
};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::map::status_classes;
use crate::gather::GatherState;
use crate::live::{CaptureState, ClusterState, Live};
use crate::process::OwnProcess;
use crate::store::{Edge, Store};

/// Upper bounds of the latency buckets, as powers of two of nanoseconds: 131 µs to 17 s, each twice
/// the one before. The histograms are exact there.
const LATENCY_EXPONENTS: std::ops::RangeInclusive<u32> = 17..=34;

/// The same for times within TCP, 16 µs to 17 s; every other one is used, each four times the one before.
const TCP_EXPONENTS: std::ops::RangeInclusive<u32> = 14..=34;

pub(super) async fn metrics(State(live): Shared) -> Response {
    let mut page = Page::default();
    write_program(&mut page, &live);
    match live.gather() {
        Some(gather) => write_gather(&mut page, &gather),
        None => write_capture(&mut page, &live.capture()),
    }
    if let Some(cluster) = live.cluster() {
        write_cluster(&mut page, cluster);
    }
    write_exports(&mut page, &live.exports());
    write_edges(&mut page, &live.store());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.text)
        .into_response()
}

fn write_program(page: &mut Page, live: &Live) {
    page.family("alaz_build_info", "gauge", "Which Alaz this is; always 1.");
    page.sample("alaz_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    // The names that Prometheus' own client libraries use for these.
    let own = OwnProcess::read();
    page.family("process_cpu_seconds_total", "counter", "CPU time of Alaz itself.");
    page.sample("process_cpu_seconds_total", &[], own.cpu_seconds);
    page.family("process_resident_memory_bytes", "gauge", "Memory of Alaz itself.");
    page.sample("process_resident_memory_bytes", &[], own.resident_bytes);
    page.single(
        "alaz_uptime_seconds",
        "gauge",
        "Since this server started.",
        live.started.elapsed().as_secs_f64(),
    );
    page.single(
        "alaz_follow_lost_exchanges_total",
        "counter",
        "Exchanges that readers of follow=true were too slow for.",
        live.follow_lost.load(Ordering::Relaxed),
    );
    page.single(
        "alaz_http_connections_refused_total",
        "counter",
        "Connections to this server that were turned away because there were too many.",
        live.connections_refused.load(Ordering::Relaxed),
    );
}

fn write_capture(page: &mut Page, capture: &CaptureState) {
    let up = u8::from(capture.not_ready.is_none());
    page.single("alaz_capture_up", "gauge", "Whether the capture runs: 1 or 0.", up);
    page.single(
        "alaz_kernel_map_bytes",
        "gauge",
        "Kernel memory of the maps of the kernel side.",
        capture.kernel_map_bytes,
    );
    if let Some(guard) = &capture.guard {
        write_guard(page, guard);
    }
    write_ledger(page, &capture.ledger);
}

/// What agents tell, in place of a capture.
fn write_gather(page: &mut Page, gather: &GatherState) {
    let name = "alaz_agent_up";
    page.family(name, "gauge", "Whether the agent of this host was heard of in the last 10 s.");
    for agent in &gather.agents {
        page.sample(name, &[("host", &agent.host)], u8::from(agent.is_up));
    }
    let name = "alaz_agent_rows_total";
    page.family(name, "counter", "Exchanges and connections that this agent told of.");
    for agent in &gather.agents {
        page.sample(name, &[("host", &agent.host)], agent.rows);
    }
    let name = "alaz_gathered_rows_total";
    page.family(
        name,
        "counter",
        "Exchanges and connections that agents told of, by what became of them.",
    );
    let counters = gather.counters;
    for (fate, rows) in [
        ("counted", counters.counted),
        ("told_twice", counters.told_twice),
        ("repeated", counters.repeated),
        ("late", counters.late),
        ("ahead", counters.ahead),
        ("full", counters.full),
    ] {
        page.sample(name, &[("fate", fate)], rows);
    }
    page.single(
        "alaz_unjoined_exchanges_total",
        "counter",
        "Exchanges told twice whose latency at the server is on no edge.",
        counters.unjoined,
    );
    page.single("alaz_waiting_parts", "gauge", "Edges of seconds that wait.", gather.held);
    page.single(
        "alaz_agent_calls_refused_total",
        "counter",
        "Calls of agents without the right token.",
        gather.calls_refused,
    );
}

/// What became of what other systems are sent.
fn write_exports(page: &mut Page, exports: &[ExportLedger]) {
    if exports.is_empty() {
        return;
    }
    type Amount = fn(&ExportLedger) -> u64;
    let amounts: [(&str, &str, &str, Amount); 4] = [
        ("alaz_export_sent_rows_total", "counter", "Rows that arrived.", |it| it.sent),
        ("alaz_export_queued_rows", "gauge", "Rows that wait, or are on their way.", |it| {
            it.queued
        }),
        ("alaz_export_retries_total", "counter", "Batches that were sent again.", |it| it.retried),
        (
            "alaz_export_stopped",
            "gauge",
            "Whether the other system wants nothing sent at present: 1 or 0.",
            |it| u64::from(it.is_stopped),
        ),
    ];
    for (name, kind, help, amount) in amounts {
        page.family(name, kind, help);
        for export in exports {
            page.sample(name, &[("exporter", export.exporter)], amount(export));
        }
    }
    let name = "alaz_export_lost_rows_total";
    page.family(name, "counter", "Rows that never arrived, and why.");
    for export in exports {
        for reason in ExportLoss::ALL {
            let labels = [("exporter", export.exporter), ("reason", reason.as_str())];
            page.sample(name, &labels, export.lost(reason));
        }
    }
    let name = "alaz_export_left_out_exchanges_total";
    page.family(name, "counter", "Exchanges that the other system has no word for, and why.");
    for export in exports {
        for reason in LeftOut::ALL {
            let labels = [("exporter", export.exporter), ("reason", reason.as_str())];
            page.sample(name, &labels, export.left_out(reason));
        }
    }
}

fn write_cluster(page: &mut Page, cluster: ClusterState) {
    page.single(
        "alaz_kubernetes_complete",
        "gauge",
        "Whether all that is watched of Kubernetes is known: 1 or 0.",
        u8::from(cluster.is_complete),
    );
    page.single(
        "alaz_kubernetes_objects",
        "gauge",
        "Pods, services and nodes that are known.",
        cluster.objects,
    );
    page.single(
        "alaz_kubernetes_objects_refused_total",
        "counter",
        "Kubernetes objects that were not taken in because the table was full.",
        cluster.refused,
    );
    page.single(
        "alaz_kubernetes_ambiguous_total",
        "counter",
        "Endpoints that were not named since two may have held their address at that time.",
        cluster.ambiguous,
    );
    page.single(
        "alaz_kubernetes_failures_total",
        "counter",
        "Attempts to ask the Kubernetes API that went wrong.",
        cluster.failures,
    );
}

fn write_guard(page: &mut Page, guard: &GuardState) {
    let name = "alaz_guard_step";
    page.family(
        name,
        "gauge",
        "What Alaz leaves undone to stay within its limits: 1 for that step.",
    );
    for step in GuardStep::ALL {
        page.sample(name, &[("step", step.as_str())], u8::from(step == guard.step));
    }
    page.single("alaz_guard_changes_total", "counter", "How often that changed.", guard.changes);
    page.single(
        "alaz_guard_cpu_cores",
        "gauge",
        "CPU time that Alaz took in the last seconds, in seconds a second.",
        guard.cpu_cores,
    );
    page.single(
        "alaz_guard_cpu_limit_cores",
        "gauge",
        "The most that it may take.",
        guard.cpu_limit_cores,
    );
    page.single(
        "alaz_guard_memory_limit_bytes",
        "gauge",
        "The most memory that may be resident.",
        guard.memory_limit_bytes,
    );
}

fn write_ledger(page: &mut Page, ledger: &Ledger) {
    type Pick = fn(&Balance) -> &Tally;
    let quantities: [(&str, Pick); 2] =
        [("segments", |balance| &balance.segments), ("bytes", |balance| &balance.bytes)];
    let sources =
        [("socket", &ledger.socket), ("tls", &ledger.tls), ("datagram", &ledger.datagram)];
    for (quantity, pick) in quantities {
        type Amount = fn(&Tally) -> u64;
        let fates: [(&str, &str, Amount); 4] = [
            ("seen", "that were seen: parsed, counted and lost together", Tally::seen),
            ("parsed", "that went through a parser", |tally| tally.parsed),
            ("counted", "that were known not to be needed", |tally| tally.counted),
            ("opted_out", "counted of processes that are opted out", |tally| tally.opted_out),
        ];
        for (fate, meaning, value) in fates {
            let name = format!("alaz_{fate}_{quantity}_total");
            let help = format!("{} of traffic {meaning}.", capitalised(quantity));
            page.family(&name, "counter", &help);
            for (source, balance) in sources {
                page.sample(&name, &[("source", source)], value(pick(balance)));
            }
        }
        let name = format!("alaz_lost_{quantity}_total");
        let help = format!("{} of traffic that could not be used, and why.", capitalised(quantity));
        page.family(&name, "counter", &help);
        for (source, balance) in sources {
            for reason in LossReason::ALL {
                let labels = [("source", source), ("reason", reason.as_str())];
                page.sample(&name, &labels, pick(balance).lost(reason));
            }
        }
    }
    if let Some(kernel) = ledger.kernel {
        for (quantity, count) in [("segments", kernel.segments), ("bytes", kernel.bytes)] {
            page.single(
                &format!("alaz_kernel_seen_{quantity}_total"),
                "counter",
                &format!(
                    "{} that the kernel side counted itself; those of source socket follow it.",
                    capitalised(quantity)
                ),
                count,
            );
        }
    }
    page.single(
        "alaz_exchanges_reported_total",
        "counter",
        "Exchanges reported, each once.",
        ledger.exchanges.reported,
    );
    let name = "alaz_exchanges_unpaired_total";
    page.family(name, "counter", "Requests or responses without their other half, and why.");
    for reason in UnpairedReason::ALL {
        let count = ledger.exchanges.unpaired(reason);
        page.sample(name, &[("reason", reason.as_str())], count);
    }
    page.single(
        "alaz_routes_unlearned_total",
        "counter",
        "Exchanges whose route was not learned from: there was no room for more.",
        ledger.exchanges.routes_unlearned,
    );
    let views = ledger.exchanges.views;
    page.single(
        "alaz_views_seen_total",
        "counter",
        "Views of exchanges: where both ends are on this host, there are two of each.",
        views.seen,
    );
    page.single(
        "alaz_views_joined_total",
        "counter",
        "Second views, reported as one exchange with the first.",
        views.joined,
    );
    let name = "alaz_views_dropped_total";
    page.family(name, "counter", "Views that are not part of what was reported, and why.");
    let dropped = [("late", views.late), ("contradicted", views.contradicted), ("own", views.own)];
    for (reason, count) in dropped {
        page.sample(name, &[("reason", reason)], count);
    }
    page.single(
        "alaz_views_waiting",
        "gauge",
        "Views that wait for the one of the other end.",
        views.waiting,
    );
    let name = "alaz_untold_connections_total";
    page.family(name, "counter", "Connections of which nothing was told in the end, and why.");
    for (reason, count) in ledger.connections.untold.by_reason() {
        page.sample(name, &[("reason", reason)], count);
    }
    let name = "alaz_connections";
    page.family(name, "gauge", "Open connections by what they turned out to speak.");
    for (verdict, count) in ledger.connections.by_verdict() {
        page.sample(name, &[("verdict", verdict)], count);
    }
}

fn write_edges(page: &mut Page, store: &Store) {
    page.single(
        "alaz_history_bytes",
        "gauge",
        "Memory that the figures of the last hour take.",
        store.history_bytes(),
    );
    let name = "alaz_limited_exchanges_total";
    page.family(name, "counter", "Exchanges that met a limit of what is told apart.");
    let met = store.counters();
    for (limit, count) in [
        ("nodes", met.nodes),
        ("edges", met.edges),
        ("routes", met.routes),
        ("outbound_hosts", met.outbound_hosts),
    ] {
        page.sample(name, &[("limit", limit)], count);
    }

    page.single(
        "alaz_limited_connections_total",
        "counter",
        "Connections that are on no edge: there are too many.",
        met.connections,
    );

    let (edges, connections): (Vec<_>, Vec<_>) = store
        .edges()
        .into_iter()
        .map(|(_, edge)| (labels(edge), edge))
        .partition(|(_, edge)| edge.key.protocol.is_some());
    write_connections(page, &connections);
    type Value = fn(&Edge) -> u64;
    let counters: [(&str, &str, Value); 4] = [
        ("alaz_edge_requests_total", "Exchanges.", |edge| edge.total.requests),
        ("alaz_edge_errors_total", "Exchanges that the server failed.", |edge| edge.total.errors),
        ("alaz_edge_request_bytes_total", "Bytes of requests.", |edge| edge.total.request_bytes),
        ("alaz_edge_response_bytes_total", "Bytes of responses.", |edge| edge.total.response_bytes),
    ];
    for (name, help, value) in counters {
        page.family(name, "counter", help);
        for (labels, edge) in &edges {
            page.labelled(name, labels, "", value(edge));
        }
    }
    let name = "alaz_edge_responses_total";
    page.family(name, "counter", "Exchanges by class of status.");
    for (labels, edge) in &edges {
        for (class, count) in status_classes(&edge.total.status) {
            page.labelled(name, labels, &format!(",status=\"{}\"", escaped(&class)), count);
        }
    }
    let name = "alaz_edge_latency_seconds";
    page.family(
        name,
        "histogram",
        "From the first byte of the request to the last of the response.",
    );
    for (labels, edge) in &edges {
        page.histogram(name, labels, &edge.total.latency, LATENCY_EXPONENTS);
    }
}

/// Of all connections between two nodes, counted when they are over.
fn write_connections(page: &mut Page, edges: &[(String, &Edge)]) {
    type Value = fn(&ConnectionStats) -> u64;
    let counters: [(&str, &str, Value); 6] = [
        (
            "alaz_tcp_connects_total",
            "Connections whose opening was seen, counted when they are over.",
            |stats| stats.connects,
        ),
        ("alaz_tcp_closed_total", "Connections that were over.", |stats| stats.closed),
        (
            "alaz_tcp_broken_total",
            "Connections on which the other end stopped answering, or another error came.",
            |stats| stats.broken,
        ),
        ("alaz_tcp_retransmits_total", "Segments that were sent again.", |stats| stats.retransmits),
        ("alaz_tcp_sent_bytes_total", "Bytes that the client sent.", |stats| stats.sent_bytes),
        ("alaz_tcp_received_bytes_total", "Bytes that the server sent.", |stats| {
            stats.received_bytes
        }),
    ];
    for (name, help, value) in counters {
        page.family(name, "counter", help);
        for (labels, edge) in edges {
            page.labelled(name, labels, "", value(&edge.total.connections));
        }
    }
    let name = "alaz_tcp_connect_failures_total";
    page.family(name, "counter", "Connections that could not be opened, and why.");
    for (labels, edge) in edges {
        let failures = edge.total.connections.failures().filter(|(_, count)| *count > 0);
        for (reason, count) in failures {
            page.labelled(name, labels, &format!(",reason=\"{}\"", reason.as_str()), count);
        }
    }
    let name = "alaz_tcp_resets_total";
    page.family(name, "counter", "Connections that one side reset.");
    for (labels, edge) in edges {
        let stats = &edge.total.connections;
        page.labelled(name, labels, ",by=\"client\"", stats.client_resets);
        page.labelled(name, labels, ",by=\"server\"", stats.server_resets);
    }
    let name = "alaz_tls_connections_total";
    page.family(
        name,
        "counter",
        "Connections that carried TLS, by version; unknown where its beginning was not seen.",
    );
    for (labels, edge) in edges {
        let Some(tls) = &edge.total.connections.tls else { continue };
        let known: u64 = tls.versions.iter().map(|(_, count)| count).sum();
        let unknown = ("unknown", tls.connections.saturating_sub(known));
        for (version, count) in tls.versions.iter().chain([unknown]).filter(|(_, count)| *count > 0)
        {
            page.labelled(name, labels, &format!(",version=\"{}\"", escaped(version)), count);
        }
    }
    let name = "alaz_tls_failures_total";
    page.family(name, "counter", "TLS that one side gave up openly, and why.");
    for (labels, edge) in edges {
        let Some(tls) = &edge.total.connections.tls else { continue };
        for (failure, count) in tls.failures.iter() {
            page.labelled(name, labels, &format!(",reason=\"{}\"", escaped(failure)), count);
        }
    }
    let name = "alaz_tcp_handshake_seconds";
    page.family(name, "histogram", "From the client's SYN to the open connection.");
    for (labels, edge) in edges {
        page.histogram(name, labels, &edge.total.connections.handshake, TCP_EXPONENTS.step_by(2));
    }
    let name = "alaz_tcp_round_trip_seconds";
    page.family(name, "histogram", "Smoothed round-trip time at the end of connections.");
    for (labels, edge) in edges {
        page.histogram(name, labels, &edge.total.connections.round_trip, TCP_EXPONENTS.step_by(2));
    }
}

/// What tells the edge from all others.
fn labels(edge: &Edge) -> String {
    let key = &edge.key;
    let end = |side: &str, node: &NodeKey| {
        let (name, kind) = (escaped(&node.name), node.kind.as_str());
        let mut text = format!("{side}=\"{name}\",{side}_kind=\"{kind}\",");
        // An empty label is no label.
        if !node.namespace.is_empty() {
            text += &format!("{side}_namespace=\"{}\",", escaped(&node.namespace));
        }
        text
    };
    let (client, server) = (end("client", &key.client), end("server", &key.server));
    let port = format!("{client}{server}port=\"{}\"", key.port);
    match key.protocol {
        Some(protocol) => format!("{port},protocol=\"{}\"", protocol.as_str()),
        None => port,
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[derive(Default)]
struct Page {
    text: String,
}

// Writing to a string cannot fail.
impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    /// Of durations, with bounds at these powers of two of nanoseconds.
    fn histogram(
        &mut self,
        name: &str,
        labels: &str,
        histogram: &Histogram,
        exponents: impl Iterator<Item = u32>,
    ) {
        let (bucket, count) = (format!("{name}_bucket"), histogram.count());
        for exponent in exponents {
            let bound = f64::from(exponent).exp2() / 1e9;
            let below = histogram.count_at_most_power_of_two(exponent);
            self.labelled(&bucket, labels, &format!(",le=\"{bound}\""), below);
        }
        self.labelled(&bucket, labels, ",le=\"+Inf\"", count);
        self.labelled(&format!("{name}_sum"), labels, "", histogram.sum() as f64 / 1e9);
        self.labelled(&format!("{name}_count"), labels, "", count);
    }

    /// With labels that are written already, and further ones.
    fn labelled(&mut self, name: &str, labels: &str, further: &str, value: impl Display) {
        let _ = writeln!(self.text, "{name}{{{labels}{further}}} {value}");
    }
}
