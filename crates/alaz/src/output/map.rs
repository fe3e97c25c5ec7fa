//! The map as a table, or in the languages of tools that draw.

use std::io::{self, Write};

use alaz_flow::EdgeKey;
use alaz_server::{Map, MapConnections, MapEdge, MapNode};

use crate::cli::MapOutput;
use crate::output::plain::plain;
use crate::output::units;

/// Writes the whole map.
pub(crate) fn write(out: &mut impl Write, map: &Map, format: MapOutput) -> io::Result<()> {
    match format {
        MapOutput::Text => text(out, map),
        MapOutput::Json => {
            serde_json::to_writer(&mut *out, map)?;
            writeln!(out)
        }
        MapOutput::Dot => dot(out, map),
        MapOutput::Mermaid => mermaid(out, map),
    }
}

/// One edge a line, the busiest first.
fn text(out: &mut impl Write, map: &Map) -> io::Result<()> {
    if map.edges.is_empty() {
        writeln!(out, "no requests in {:.0} s", map.seconds)?;
    } else {
        table(out, map)?;
    }
    let idle: Vec<_> =
        map.nodes.iter().filter(|node| node.zombie).map(|node| plain(&node.name)).collect();
    if !idle.is_empty() {
        writeln!(out, "\nno requests, but known: {}", idle.join(", "))?;
    }
    if map.overflow.requests > 0 {
        let overflow = &map.overflow;
        writeln!(out, "\n{} requests on {} further edges", overflow.requests, overflow.edges)?;
    }
    Ok(())
}

const COLUMNS: [&str; 10] =
    ["CLIENT", "SERVER", "PROTOCOL", "RATE", "REQUESTS", "ERRORS", "P50", "P95", "P99", "STATUS"];
/// Columns that hold text; numbers stand at the right.
const TEXT_COLUMNS: [usize; 4] = [0, 1, 2, 9];

fn table(out: &mut impl Write, map: &Map) -> io::Result<()> {
    let mut edges: Vec<_> = map.edges.iter().collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.requests));
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(edges.into_iter().map(|edge| row(map, edge)));
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if TEXT_COLUMNS.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(map: &Map, edge: &MapEdge) -> [String; COLUMNS.len()] {
    let latency = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), units::duration);
    let is_known = edge.protocol != EdgeKey::TCP;
    let status: Vec<_> = match &edge.tcp {
        Some(tcp) if !is_known => connections(tcp),
        _ => edge.status.iter().map(|(status, count)| format!("{status}: {count}")).collect(),
    };
    let requests = |text: String| if is_known { text } else { "-".to_owned() };
    [
        name(map, &edge.from).to_owned(),
        format!("{}:{}", name(map, &edge.to), edge.port),
        edge.protocol.clone(),
        requests(units::rate(edge.rate)),
        requests(edge.requests.to_string()),
        requests(edge.errors.to_string()),
        latency(edge.p50_ns),
        latency(edge.p95_ns),
        latency(edge.p99_ns),
        status.join(", "),
    ]
    .map(|cell| plain(&cell).into_owned())
}

/// How many were over, how many could not be opened, and how many did not end well.
fn connections(tcp: &MapConnections) -> Vec<String> {
    let mut parts = vec![format!("closed: {}", tcp.closed)];
    parts.extend(tcp.failures.iter().map(|(reason, count)| format!("{reason}: {count}")));
    let resets = tcp.client_resets + tcp.server_resets + tcp.broken;
    if resets > 0 {
        parts.push(format!("reset: {resets}"));
    }
    parts
}

fn name<'a>(map: &'a Map, id: &'a str) -> &'a str {
    map.nodes.iter().find(|node| node.id == id).map_or(id, |node| node.name.as_str())
}

/// <https://graphviz.org/doc/info/lang.html>
fn dot(out: &mut impl Write, map: &Map) -> io::Result<()> {
    writeln!(out, "digraph alaz {{\n  rankdir=LR;\n  node [shape=box];")?;
    for node in &map.nodes {
        let style = if node.zombie { ", style=dashed" } else { "" };
        writeln!(out, "  {} [label={}{style}];", dot_text(&node.id), dot_text(&label(node)))?;
    }
    for edge in &map.edges {
        let (from, to) = (dot_text(&edge.from), dot_text(&edge.to));
        let colour = if edge.errors > 0 { ", color=red" } else { "" };
        writeln!(out, "  {from} -> {to} [label={}{colour}];", dot_text(&edge_label(edge)))?;
    }
    writeln!(out, "}}")
}

fn dot_text(text: &str) -> String {
    format!("\"{}\"", plain(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// <https://mermaid.js.org/syntax/flowchart.html>
fn mermaid(out: &mut impl Write, map: &Map) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    for node in &map.nodes {
        writeln!(out, "  {}[{}]", node.id, mermaid_text(&label(node)))?;
    }
    for edge in &map.edges {
        let label = mermaid_text(&edge_label(edge));
        writeln!(out, "  {} -->|{label}| {}", edge.from, edge.to)?;
    }
    Ok(())
}

/// In quotes, with everything that means something there as an entity.
fn mermaid_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in plain(text).chars() {
        match letter {
            '"' | '#' | '&' | '<' | '>' | '`' | ';' | '|' => {
                quoted += &format!("#{};", u32::from(letter));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn label(node: &MapNode) -> String {
    if node.namespace.is_empty() {
        node.name.clone()
    } else {
        format!("{}/{}", node.namespace, node.name)
    }
}

fn edge_label(edge: &MapEdge) -> String {
    let mut label = format!("{} :{}", edge.protocol, edge.port);
    match &edge.tcp {
        Some(tcp) if edge.protocol == EdgeKey::TCP => {
            label += &format!(", {}", connections(tcp).join(", "));
        }
        _ => label += &format!(", {}", units::rate(edge.rate)),
    }
    if let Some(p95_ns) = edge.p95_ns {
        label += &format!(", p95 {}", units::duration(p95_ns));
    }
    if edge.errors > 0 {
        label += &format!(", {} errors", edge.errors);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> Map {
        let node = |id: &str, name: &str, zombie: bool| {
            serde_json::json!({
                "id": id, "kind": "process", "name": name, "namespace": "", "zombie": zombie,
                "container": "", "executable": "", "pids": [], "layer": 0, "row": 0,
                "requests_in": 0, "errors_in": 0, "requests_out": 0, "errors_out": 0,
            })
        };
        let edge = |id: &str, port: u16, requests: u64, errors: u64| {
            serde_json::json!({
                "id": id, "from": "n1", "to": "n2", "port": port, "protocol": "http",
                "requests": requests, "errors": errors, "rate": requests as f64 / 10.0,
                "p50_ns": 812_000, "p95_ns": 2_100_000, "p99_ns": null,
                "request_bytes": 0, "response_bytes": 0, "status": {"2xx": requests - errors}, "slow": false,
            })
        };
        let map = serde_json::json!({
            "from": "2026-11-23T20:00:00Z", "to": "2026-11-23T20:00:10Z", "seconds": 10.0,
            "nodes": [node("n1", "cu\"rl", false), node("n2", "nginx", false), node("n3", "old", true)],
            "edges": [edge("e1", 80, 20, 0), edge("e2", 8080, 1200, 3)],
            "overflow": {"edges": 2, "requests": 7},
        });
        serde_json::from_value(map).unwrap()
    }

    fn written(map: &Map, format: MapOutput) -> String {
        let mut out = Vec::new();
        write(&mut out, map, format).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_with_the_busiest_first() {
        let expected = "\
CLIENT  SERVER      PROTOCOL     RATE  REQUESTS  ERRORS     P50      P95  P99  STATUS
cu\"rl   nginx:8080  http      120.0/s      1200       3  812 µs  2.10 ms    -  2xx: 1197
cu\"rl   nginx:80    http        2.0/s        20       0  812 µs  2.10 ms    -  2xx: 20

no requests, but known: old

7 requests on 2 further edges
";
        assert_eq!(written(&map(), MapOutput::Text), expected);
        let empty =
            Map { edges: Vec::new(), nodes: Vec::new(), overflow: Default::default(), ..map() };
        assert_eq!(written(&empty, MapOutput::Text), "no requests in 10 s\n");
    }

    #[test]
    fn connections_that_are_not_understood_are_told_as_such() {
        let mut map = map();
        let edge = &mut map.edges[0];
        edge.protocol = EdgeKey::TCP.to_owned();
        (edge.requests, edge.rate) = (0, 0.0);
        (edge.p50_ns, edge.p95_ns) = (None, None);
        edge.tcp = Some(MapConnections {
            closed: 4,
            failures: [("refused".to_owned(), 2)].into(),
            server_resets: 1,
            ..MapConnections::default()
        });
        let text = written(&map, MapOutput::Text);
        let line: Vec<_> = text.lines().nth(2).unwrap().split_whitespace().collect();
        let expected = "cu\"rl nginx:80 tcp - - - - - - closed: 4, refused: 2, reset: 1";
        assert_eq!(line.join(" "), expected);
        let dot = written(&map, MapOutput::Dot);
        assert!(dot.contains("tcp :80, closed: 4, refused: 2, reset: 1"), "{dot}");
    }

    #[test]
    fn graphviz_and_mermaid_quote_names() {
        let dot = written(&map(), MapOutput::Dot);
        assert!(dot.starts_with("digraph alaz {\n") && dot.ends_with("}\n"), "{dot}");
        assert!(dot.contains(r#"  "n1" [label="cu\"rl"];"#), "{dot}");
        assert!(dot.contains(r#"  "n3" [label="old", style=dashed];"#), "{dot}");
        assert!(
            dot.contains(
                r#"  "n1" -> "n2" [label="http :8080, 120.0/s, p95 2.10 ms, 3 errors", color=red];"#
            ),
            "{dot}"
        );
        let mermaid = written(&map(), MapOutput::Mermaid);
        assert!(mermaid.starts_with("flowchart LR\n  n1[\"cu#34;rl\"]\n"), "{mermaid}");
        assert!(mermaid.contains("  n1 -->|\"http :80, 2.0/s, p95 2.10 ms\"| n2\n"), "{mermaid}");
    }

    #[test]
    fn nothing_printed_moves_a_cursor_but_json_is_exact() {
        let mut map = map();
        for node in &mut map.nodes {
            node.name = "a\u{9b}2J\u{202e}b\n".to_owned();
        }
        for format in [MapOutput::Text, MapOutput::Dot, MapOutput::Mermaid] {
            let text = written(&map, format);
            let unsafe_letter = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(unsafe_letter), "{text:?}");
            assert!(text.contains("u{9b}2J") && text.contains("b\\"), "{text:?}");
        }
        let read: Map = serde_json::from_str(&written(&map, MapOutput::Json)).unwrap();
        assert_eq!(read, map);
    }

    #[test]
    fn json_is_that_of_the_api() {
        let map = map();
        let read: Map = serde_json::from_str(&written(&map, MapOutput::Json)).unwrap();
        assert_eq!(read, map);
    }
}
