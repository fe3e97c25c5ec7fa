//! `alaz config`: the effective settings and where each came from.

use std::borrow::Cow;
use std::fmt::Display;

use crate::config::{Config, Origin};
use crate::output::streams::print;

/// Prints YAML that could be a settings file, with the origins as comments.
pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    print(yaml(config).as_bytes())
}

fn yaml(config: &Config) -> String {
    let line = |key: &str, value: &dyn Display, origin: &Origin| {
        format!("{:<40}  # {origin}\n", format!("{key}: {value}"))
    };
    let listen = config.listen.value.to_string();
    let data_dir = config.data_dir.value.to_string_lossy();
    let kubeconfig = config.kubeconfig.value.as_ref();
    let kubeconfig = kubeconfig.map(|path| path.to_string_lossy());
    let kubeconfig = kubeconfig.as_deref().map_or("null".into(), scalar);
    let list = |items: &[String]| {
        let items: Vec<_> = items.iter().map(|item| scalar(item)).collect();
        format!("[{}]", items.join(", "))
    };
    let (hosts, processes) = (&config.allowed_hosts, &config.exclude_processes);
    let text =
        |value: Option<String>| value.map_or_else(String::new, |it| scalar(&it).into_owned());
    let backend = config.backend_host.value.as_ref().map(ToString::to_string);
    let alive = &config.send_alive_tcp_connections;
    let server = config.server.value.as_ref().map(ToString::to_string);
    let otlp_listen = config.otlp_listen.value.to_string();
    // As a comment, so that what is printed can be read again and the secret stays one.
    let token = match config.token.value {
        Some(_) => "# token: it is set and not shown",
        None => "token: ",
    };
    [
        line("listen", &scalar(&listen), &config.listen.origin),
        line("data_dir", &scalar(&data_dir), &config.data_dir.origin),
        line("allowed_hosts", &list(&hosts.value), &hosts.origin),
        line("kubeconfig", &kubeconfig, &config.kubeconfig.origin),
        line("exclude_processes", &list(&processes.value), &processes.origin),
        line("cpu_limit", &config.cpu_limit.value, &config.cpu_limit.origin),
        line("memory_limit", &config.memory_limit.value, &config.memory_limit.origin),
        line(
            "monitoring_id",
            &text(config.monitoring_id.value.clone()),
            &config.monitoring_id.origin,
        ),
        line("backend_host", &text(backend), &config.backend_host.origin),
        line("node_name", &scalar(&config.node_name.value), &config.node_name.origin),
        line("batch_size", &config.batch_size.value, &config.batch_size.origin),
        line("send_alive_tcp_connections", &alive.value, &alive.origin),
        line("server", &text(server), &config.server.origin),
        format!("{token:<40}  # {}\n", config.token.origin),
        line("otlp_listen", &scalar(&otlp_listen), &config.otlp_listen.origin),
    ]
    .concat()
}

/// As it is where that cannot mean anything else in YAML, else in quotes, as in JSON.
fn scalar(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if starts_plain && text.chars().all(is_plain) && !text.ends_with(':') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunArgs;
    use crate::config::Surroundings;
    use crate::guard::{Bytes, Cores};

    #[test]
    fn what_is_printed_is_a_settings_file() {
        let surroundings = Surroundings { variable: &|_| None, is_root: true, host_name: "a host" };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alaz.yaml");
        for (listen, data_dir) in [
            ("127.0.0.1:8014", "/var/lib/alaz"),
            ("[::1]:8014", "a # b"),
            ("0.0.0.0:1", "- x: \"y\", 'z'"),
        ] {
            let args = RunArgs {
                listen: Some(listen.parse().unwrap()),
                data_dir: Some(data_dir.into()),
                allowed_hosts: Some(vec!["alaz.example".to_owned(), "a, b]".to_owned()]),
                kubeconfig: Some(data_dir.into()),
                exclude_processes: Some(vec!["vault*".to_owned(), "/opt/x".to_owned()]),
                cpu_limit: Some(Cores::parse("0.3", 1).unwrap()),
                memory_limit: Some(Bytes(1001)),
                monitoring_id: Some("'1' # 2".to_owned()),
                backend_host: Some("https://[::1]:443/api".parse().unwrap()),
                node_name: None,
                batch_size: None,
                send_alive_tcp_connections: None,
                server: Some("http://alaz-server:4317".parse().unwrap()),
                otlp_listen: Some("[::]:4317".parse().unwrap()),
            };
            let config = Config::resolve(&args, None, &surroundings).unwrap();
            std::fs::write(&file, yaml(&config)).unwrap();
            let read = Config::resolve(&RunArgs::default(), Some(&file), &surroundings).unwrap();
            assert_eq!(read.listen.value, config.listen.value);
            assert_eq!(read.data_dir.value, config.data_dir.value);
            assert_eq!(read.allowed_hosts.value, config.allowed_hosts.value);
            assert_eq!(read.monitoring_id.value, config.monitoring_id.value);
            assert_eq!(read.backend_host.value, config.backend_host.value);
            assert_eq!(read.node_name.value, "a host");
            assert_eq!(read.batch_size.value, 1000);
            assert!(!read.send_alive_tcp_connections.value);
            assert_eq!(read.server.value, config.server.value);
            assert_eq!(read.otlp_listen.value, config.otlp_listen.value);
            assert_eq!(read.exclude_processes.value, config.exclude_processes.value);
            assert_eq!(read.guard_limits(), config.guard_limits());
        }
    }
}
