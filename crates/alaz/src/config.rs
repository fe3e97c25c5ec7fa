//! Settings: flags over environment over file over defaults, and where each value came from.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZero, NonZeroU64};
use std::path::{Path, PathBuf};

use alaz_export::Backend;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_saphyr::UserMessageFormatter;

use crate::cli::RunArgs;
use crate::guard::{self, Bytes, Cores, DEFAULT_MEMORY};

/// The effective settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Address of the UI and the API.
    pub(crate) listen: Setting<SocketAddr>,
    /// Where Alaz keeps its files.
    pub(crate) data_dir: Setting<PathBuf>,
    /// Further host names by which browsers may reach the UI.
    pub(crate) allowed_hosts: Setting<Vec<String>>,
    /// The cluster to watch, where it is not the one that this runs in.
    pub(crate) kubeconfig: Setting<Option<PathBuf>>,
    /// Processes of which nothing is copied or told, by name or path.
    pub(crate) exclude_processes: Setting<Vec<String>>,
    /// The most CPU that Alaz takes before it leaves work undone.
    pub(crate) cpu_limit: Setting<Cores>,
    /// The most memory.
    pub(crate) memory_limit: Setting<Bytes>,
    /// The cluster's id at an Anteon backend.
    pub(crate) monitoring_id: Setting<Option<String>>,
    /// That backend. Exchanges are sent to it where both this and the id are given.
    pub(crate) backend_host: Setting<Option<Backend>>,
    /// The name of this node there.
    pub(crate) node_name: Setting<String>,
    /// The most rows in one request to it.
    pub(crate) batch_size: Setting<u64>,
    /// Whether connections that are open are sent to it.
    pub(crate) send_alive_tcp_connections: Setting<bool>,
    /// The server that an agent tells.
    pub(crate) server: Setting<Option<Backend>>,
    /// What agents show that server, so that it believes them.
    pub(crate) token: Setting<Option<Token>>,
    /// Where a server listens for agents.
    pub(crate) otlp_listen: Setting<SocketAddr>,
}

/// A secret text. It is not printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// A value and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Environment(&'static str),
    File(PathBuf),
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "{name}"),
            Origin::Environment(name) => write!(f, "{name}"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Default => write!(f, "default"),
        }
    }
}

/// A setting is wrong. The message names it, its origin and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{path}: {cause}: check the path given by --config or ALAZ_CONFIG")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("{path}: {message}")]
    File { path: String, message: String },
    #[error("{name}: {message}")]
    Environment { name: &'static str, message: String },
}

/// An address to listen on.
///
/// # Errors
/// Says how to write it.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => format!(
            "'{text}' is a port without an address: write 127.0.0.1:{port}, or 0.0.0.0:{port} for \
             all addresses of this host"
        ),
        Err(_) => format!("'{text}' is no IP address with a port, such as 127.0.0.1:8014"),
    })
}

/// A share of one CPU, or of this machine's.
///
/// # Errors
/// Says how to write it.
pub(crate) fn cpu_limit(text: &str) -> Result<Cores, String> {
    Cores::parse(text, cpus())
}

/// Those that this process may run on.
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The keys of the file. Unknown ones are refused, with the line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    #[serde(default, deserialize_with = "listen_in_file")]
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    allowed_hosts: Option<Vec<String>>,
    kubeconfig: Option<PathBuf>,
    exclude_processes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "cpu_limit_in_file")]
    cpu_limit: Option<Cores>,
    #[serde(default, deserialize_with = "memory_limit_in_file")]
    memory_limit: Option<Bytes>,
    monitoring_id: Option<String>,
    #[serde(default, deserialize_with = "backend_in_file")]
    backend_host: Option<Backend>,
    node_name: Option<String>,
    batch_size: Option<NonZeroU64>,
    send_alive_tcp_connections: Option<bool>,
    #[serde(default, deserialize_with = "backend_in_file")]
    server: Option<Backend>,
    token: Option<Token>,
    #[serde(default, deserialize_with = "listen_in_file")]
    otlp_listen: Option<SocketAddr>,
}

fn backend_in_file<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Backend>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| text.parse()).transpose().map_err(D::Error::custom)
}

fn listen_in_file<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SocketAddr>, D::Error> {
    in_file(value, listen_address)
}

fn cpu_limit_in_file<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Cores>, D::Error> {
    in_file(value, cpu_limit)
}

fn memory_limit_in_file<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Bytes>, D::Error> {
    in_file(value, str::parse)
}

/// What is text elsewhere is text here.
fn in_file<'de, T, D: Deserializer<'de>>(value: D, parse: Parse<T>) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.as_deref().map(parse).transpose().map_err(D::Error::custom)
}

/// What the process was given, so that tests can give something else.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) is_root: bool,
    pub(crate) host_name: &'a str,
}

impl Config {
    /// Puts the layers together.
    pub(crate) fn resolve(
        args: &RunArgs,
        file: Option<&Path>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Config, ConfigError> {
        let variable = surroundings.variable;
        let path = file.map(Path::to_owned).or_else(|| variable("ALAZ_CONFIG").map(PathBuf::from));
        let settings = match &path {
            Some(path) => read_file(path)?,
            None => FileSettings::default(),
        };
        let layers = Layers { variable, path };
        Ok(Config {
            listen: layers.pick(
                ("--listen", args.listen),
                ("ALAZ_LISTEN", listen_address),
                settings.listen,
                || SocketAddr::from((Ipv4Addr::LOCALHOST, 8014)),
            )?,
            data_dir: layers.pick(
                ("--data-dir", args.data_dir.clone()),
                ("ALAZ_DATA_DIR", |text| Ok(text.into())),
                settings.data_dir,
                || default_data_dir(surroundings),
            )?,
            allowed_hosts: layers.pick(
                ("--allowed-hosts", args.allowed_hosts.clone()),
                ("ALAZ_ALLOWED_HOSTS", list),
                settings.allowed_hosts,
                Vec::new,
            )?,
            kubeconfig: layers.pick(
                ("--kubeconfig", args.kubeconfig.clone().map(Some)),
                ("ALAZ_KUBECONFIG", |text| Ok(Some(text.into()))),
                settings.kubeconfig.map(Some),
                || None,
            )?,
            exclude_processes: layers.pick(
                ("--exclude-processes", args.exclude_processes.clone()),
                ("ALAZ_EXCLUDE_PROCESSES", list),
                settings.exclude_processes,
                Vec::new,
            )?,
            cpu_limit: layers.pick(
                ("--cpu-limit", args.cpu_limit),
                ("ALAZ_CPU_LIMIT", cpu_limit),
                settings.cpu_limit,
                || Cores::default_of(cpus()),
            )?,
            memory_limit: layers.pick(
                ("--memory-limit", args.memory_limit),
                ("ALAZ_MEMORY_LIMIT", str::parse),
                settings.memory_limit,
                || DEFAULT_MEMORY,
            )?,
            monitoring_id: layers.pick(
                ("--monitoring-id", args.monitoring_id.clone().map(Some)),
                ("MONITORING_ID", |text| Ok(Some(text.to_owned()))),
                settings.monitoring_id.map(Some),
                || None,
            )?,
            backend_host: layers.pick(
                ("--backend-host", args.backend_host.clone().map(Some)),
                ("BACKEND_HOST", |text| text.parse().map(Some).map_err(|error| format!("{error}"))),
                settings.backend_host.map(Some),
                || None,
            )?,
            node_name: layers.pick(
                ("--node-name", args.node_name.clone()),
                ("NODE_NAME", |text| Ok(text.to_owned())),
                settings.node_name,
                || surroundings.host_name.to_owned(),
            )?,
            batch_size: layers.pick(
                ("--batch-size", args.batch_size.map(NonZeroU64::get)),
                ("BATCH_SIZE", |text| {
                    let number = text.parse().map(NonZeroU64::get);
                    number.map_err(|_| format!("'{text}' is no number of rows, such as 1000"))
                }),
                settings.batch_size.map(NonZeroU64::get),
                || 1000,
            )?,
            send_alive_tcp_connections: layers.pick(
                ("--send-alive-tcp-connections", args.send_alive_tcp_connections),
                ("SEND_ALIVE_TCP_CONNECTIONS", |text| {
                    text.parse().map_err(|_| format!("'{text}' is neither true nor false"))
                }),
                settings.send_alive_tcp_connections,
                || false,
            )?,
            server: layers.pick(
                ("--server", args.server.clone().map(Some)),
                ("ALAZ_SERVER", |text| text.parse().map(Some).map_err(|error| format!("{error}"))),
                settings.server.map(Some),
                || None,
            )?,
            // No flag: everybody may read those of a process.
            token: layers.pick(
                ("", None),
                ("ALAZ_TOKEN", |text| Ok(Some(Token(text.trim().to_owned())))),
                settings.token.map(Some),
                || None,
            )?,
            otlp_listen: layers.pick(
                ("--otlp-listen", args.otlp_listen),
                ("ALAZ_OTLP_LISTEN", listen_address),
                settings.otlp_listen,
                || SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            )?,
        })
    }
}

/// Separated by commas.
fn list(text: &str) -> Result<Vec<String>, String> {
    Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
}

impl Config {
    /// What Alaz may take of the machine.
    pub(crate) fn guard_limits(&self) -> guard::Limits {
        guard::Limits { cpu: self.cpu_limit.value, memory: self.memory_limit.value }
    }
}

type Parse<T> = fn(&str) -> Result<T, String>;

struct Layers<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    path: Option<PathBuf>,
}

impl Layers<'_> {
    fn pick<T>(
        &self,
        (flag, given): (&'static str, Option<T>),
        (name, parse): (&'static str, Parse<T>),
        in_file: Option<T>,
        default: impl FnOnce() -> T,
    ) -> Result<Setting<T>, ConfigError> {
        if let Some(value) = given {
            return Ok(Setting { value, origin: Origin::Flag(flag) });
        }
        if let Some(text) = (self.variable)(name).filter(|text| !text.is_empty()) {
            return match parse(&text) {
                Ok(value) => Ok(Setting { value, origin: Origin::Environment(name) }),
                Err(message) => Err(ConfigError::Environment { name, message }),
            };
        }
        if let (Some(value), Some(path)) = (in_file, &self.path) {
            return Ok(Setting { value, origin: Origin::File(path.clone()) });
        }
        Ok(Setting { value: default(), origin: Origin::Default })
    }
}

fn read_file(path: &Path) -> Result<FileSettings, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: shown.clone(), cause })?;
    if text.trim().is_empty() {
        return Ok(FileSettings::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        // One line, without the piece of the file that the parser draws.
        let said = error.without_snippet().render_with_formatter(&UserMessageFormatter);
        let said = said.replace('\n', " ");
        // It names the place at the end, where a long message hides it.
        let message = said.split_once(" at line ").map_or(said.as_str(), |(message, _)| message);
        let path = match error.location() {
            Some(place) => format!("{shown}:{}:{}", place.line(), place.column()),
            None => shown,
        };
        ConfigError::File { path, message: message.to_owned() }
    })
}

/// The state directories of the Filesystem Hierarchy Standard and the XDG base directories.
fn default_data_dir(surroundings: &Surroundings<'_>) -> PathBuf {
    if surroundings.is_root {
        return PathBuf::from("/var/lib/alaz");
    }
    let state = (surroundings.variable)("XDG_STATE_HOME")
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
        .or_else(|| {
            (surroundings.variable)("HOME").map(|home| PathBuf::from(home).join(".local/state"))
        })
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    state.join("alaz")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        args: &RunArgs,
        file: Option<&str>,
        environment: &[(&str, &str)],
        is_root: bool,
    ) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alaz.yaml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let variable = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let surroundings = Surroundings { variable: &variable, is_root, host_name: "host" };
        Config::resolve(args, file.map(|_| path.as_path()), &surroundings)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_means_defaults() {
        let config = resolve(&RunArgs::default(), None, &[], true).unwrap();
        assert_eq!(config.listen.value, "127.0.0.1:8014".parse().unwrap());
        assert_eq!(config.data_dir.value, Path::new("/var/lib/alaz"));
        assert_eq!(config.listen.origin, Origin::Default);
        assert!((0.5..=1.0).contains(&config.cpu_limit.value.as_f64()));
        assert_eq!(config.memory_limit.value, Bytes(512 << 20));
        let config = resolve(&RunArgs::default(), None, &[("HOME", "/home/a")], false).unwrap();
        assert_eq!(config.data_dir.value, Path::new("/home/a/.local/state/alaz"));
    }

    #[test]
    fn the_originals_names_keep_their_meaning() {
        let environment = [
            ("MONITORING_ID", "0ce2"),
            ("BACKEND_HOST", "https://api-alaz.getanteon.com:443"),
            ("NODE_NAME", "ip-10-0-1-7"),
            ("BATCH_SIZE", "200"),
            ("SEND_ALIVE_TCP_CONNECTIONS", "true"),
        ];
        let config = resolve(&RunArgs::default(), None, &environment, true).unwrap();
        let backend = config.backend_host.value.map(|backend| backend.to_string());
        assert_eq!(config.monitoring_id.value.as_deref(), Some("0ce2"));
        assert_eq!(backend.as_deref(), Some("https://api-alaz.getanteon.com:443"));
        assert_eq!((&*config.node_name.value, config.batch_size.value), ("ip-10-0-1-7", 200));
        assert!(config.send_alive_tcp_connections.value);
        let config = resolve(&RunArgs::default(), None, &[("MONITORING_ID", "")], true).unwrap();
        assert_eq!((config.monitoring_id.value, &*config.node_name.value), (None, "host"));
        for wrong in [
            ("BACKEND_HOST", "api-alaz.getanteon.com"),
            ("BATCH_SIZE", "0"),
            ("SEND_ALIVE_TCP_CONNECTIONS", "yes"),
        ] {
            let message = resolve(&RunArgs::default(), None, &[wrong], true).unwrap_err();
            assert!(message.contains(wrong.0) && message.contains(wrong.1), "{message}");
        }
        let file = Some("backend_host: backend:443\n");
        let message = resolve(&RunArgs::default(), file, &[], true).unwrap_err();
        assert!(message.contains("https://backend.example:443"), "{message}");
    }

    #[test]
    fn flags_beat_environment_beats_file() {
        let file = Some(
            "listen: 127.0.0.1:1\ndata_dir: /file\nallowed_hosts: [a, b]\n\
             cpu_limit: 0.25\nmemory_limit: 1GiB\n",
        );
        let environment = [
            ("ALAZ_LISTEN", "127.0.0.1:2"),
            ("ALAZ_DATA_DIR", "/environment"),
            ("ALAZ_MEMORY_LIMIT", "256MiB"),
        ];
        let args = RunArgs { listen: Some("127.0.0.1:3".parse().unwrap()), ..RunArgs::default() };
        let config = resolve(&args, file, &environment, true).unwrap();
        assert_eq!(config.listen.value.port(), 3);
        assert_eq!(config.listen.origin, Origin::Flag("--listen"));
        assert_eq!(config.data_dir.value, Path::new("/environment"));
        assert_eq!(config.allowed_hosts.value, ["a", "b"]);
        assert_eq!(config.cpu_limit.value.to_string(), "0.25");
        assert_eq!(config.memory_limit.value.to_string(), "256MiB");
        assert!(matches!(config.allowed_hosts.origin, Origin::File(_)));
    }

    #[test]
    fn wrong_settings_are_named() {
        let unknown =
            resolve(&RunArgs::default(), Some("listen: 127.0.0.1:1\nlisen: 2\n"), &[], true);
        let message = unknown.unwrap_err();
        assert!(message.contains("lisen") && message.contains("alaz.yaml"), "{message}");
        let message =
            resolve(&RunArgs::default(), None, &[("ALAZ_LISTEN", "8014")], true).unwrap_err();
        assert!(message.contains("ALAZ_LISTEN") && message.contains("127.0.0.1:8014"), "{message}");
        for (file, word) in [
            ("listen: 8014", "write 127.0.0.1:8014"),
            ("listen: ':9000'", "write 127.0.0.1:9000"),
            ("listen: localhost:80", "'localhost:80' is no IP address"),
            ("listen: [1", "alaz.yaml:1:9: "),
            ("a: b\n c: d: e", "alaz.yaml:1:1: "),
            ("- listen", "alaz.yaml:1:1: "),
            ("cpu_limit: much", "write 0.5 for half of one"),
            ("memory_limit: 1MB", "such as 512MiB"),
            ("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "alaz.yaml:2:1: "),
        ] {
            let message = resolve(&RunArgs::default(), Some(file), &[], true).unwrap_err();
            assert!(message.contains(word) && message.contains("alaz.yaml"), "{file}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        let empty = resolve(&RunArgs::default(), Some("listen:\n"), &[], true).unwrap();
        assert_eq!(empty.listen.origin, Origin::Default);
        let missing = [("ALAZ_CONFIG", "/nonexistent/alaz.yaml")];
        let message = resolve(&RunArgs::default(), None, &missing, true).unwrap_err();
        assert!(message.contains("/nonexistent/alaz.yaml"), "{message}");
        assert!(resolve(&RunArgs::default(), Some("# empty\n"), &[], true).is_ok());
    }
}
