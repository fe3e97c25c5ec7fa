//! The command line. Every option is described where a person looks for it: in `--help`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use alaz_capture::{Attachment, Options};
use alaz_export::Backend;
use alaz_model::Protocol;
use alaz_server::{ExchangeFilter, parse_duration};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::{cpu_limit, listen_address};
use crate::guard::{Bytes, Cores};

/// Shows every request between the services of this machine, without touching them.
///
/// Alaz watches the system calls of all processes with eBPF, understands the protocols they speak,
/// and shows who calls whom, how often, how slowly, and what fails. Applications are not changed,
/// restarted or configured, and nothing is left behind when Alaz stops.
#[derive(Debug, Parser)]
#[command(
    name = "alaz",
    version,
    propagate_version = true,
    after_help = "\
First steps:
  sudo alaz              watch this machine, map on http://127.0.0.1:8014
  sudo alaz watch        print each request as it happens
  sudo alaz doctor       what this machine allows, and what would not be seen
  alaz server            one map of many machines, each with an `alaz agent`

Settings come from flags, then the environment (ALAZ_LISTEN, …), then the file given by --config
or ALAZ_CONFIG, then defaults; `alaz config` shows where each value came from."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// YAML file with settings, for all commands but replay
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) capture: CaptureArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

impl Cli {
    /// Reads and checks the command line. Prints help, the version, or what is wrong, and ends the
    /// process where that is all there is to do.
    pub(crate) fn read() -> Cli {
        Cli::parse().checked().unwrap_or_else(|error| error.exit())
    }

    /// Options that stand where they would mean nothing are refused, not ignored.
    fn checked(self) -> Result<Cli, clap::Error> {
        let Some(command) = &self.command else { return Ok(self) };
        let name = command.name();
        let refuse = |message: String| {
            Err(Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message))
        };
        if let Some(option) = self.run.given() {
            return refuse(format!(
                "write {option} after the command, and only for run and config"
            ));
        }
        if self.config.is_some() && !command.reads_settings() {
            return refuse(format!("--config means nothing to {name}, which reads no settings"));
        }
        Ok(self)
    }
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Command::Run(_) => "run",
            Command::Agent(_) => "agent",
            Command::Server(_) => "server",
            Command::Watch(_) => "watch",
            Command::Map(_) => "map",
            Command::Doctor(_) => "doctor",
            Command::Record(_) => "record",
            Command::Replay(_) => "replay",
            Command::Config(_) => "config",
        }
    }

    fn reads_settings(&self) -> bool {
        !matches!(self, Command::Replay(_))
    }
}

/// How the commands that capture do it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CaptureArgs {
    /// Type information (BTF) of this kernel, where it does not bring its own: a file, or a folder
    /// laid out as BTFHub's archive
    #[arg(long, global = true, value_name = "PATH", env = "ALAZ_BTF")]
    pub(crate) btf: Option<PathBuf>,

    /// The only way to see traffic that is tried: fexit, kprobe or syscall
    #[arg(long, global = true, hide = true, value_name = "WAY", env = "ALAZ_ATTACHMENT")]
    pub(crate) attachment: Option<Attachment>,
}

impl CaptureArgs {
    pub(crate) fn options(&self) -> Options {
        Options { btf: self.btf.clone(), attachment: self.attachment, ..Options::default() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch this machine and serve the map (also plain `alaz`)
    ///
    /// Captures, keeps the last hour in memory and serves the UI and the API. Needs root, or
    /// CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE.
    Run(RunArgs),
    /// Watch this machine and tell a server, or an Anteon backend
    ///
    /// Captures as `run` does, and keeps no map: what it sees goes to the `alaz server` of --server once
    /// a second, by OTLP over gRPC with the token in ALAZ_TOKEN.
    Agent(AgentArgs),
    /// Show what many agents tell as one map
    ///
    /// Needs no privileges. Agents must have the token in ALAZ_TOKEN. Each exchange counts once,
    /// whichever of them saw it.
    Server(ServerArgs),
    /// Print each exchange as it completes
    ///
    /// Where `alaz run` is running here, or --server names one, exchanges are read from it and no
    /// privileges are needed; otherwise, or with --capture, this command captures itself. Ends on
    /// Ctrl-C, and prints what was seen and lost as its last line on stderr: `ledger: {json}`.
    Watch(WatchArgs),
    /// Print the service map once
    ///
    /// Asks an Alaz that is running here, or the one of --server; otherwise, or with --capture, captures
    /// for a while.
    Map(MapArgs),
    /// Say what this machine allows, and what would not be seen and why
    ///
    /// Exit code 0: everything works; 1: something is missing; 2: Alaz cannot run here.
    Doctor(DoctorArgs),
    /// Write what the kernel side sees to a file
    ///
    /// The file holds raw traffic, passwords and tokens included. It is readable by its owner only.
    Record(RecordArgs),
    /// Run the same pipeline from a recording, or from a .pcap or .pcapng file
    ///
    /// Reads as fast as it can and needs no privileges. Of a capture file only TCP is read; names
    /// of processes are not in it.
    Replay(ReplayArgs),
    /// Print the effective settings and where each came from
    Config(RunArgs),
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    /// Address of the UI and the API [default: 127.0.0.1:8014]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Where Alaz keeps its files [default: /var/lib/alaz, or $XDG_STATE_HOME/alaz when not root]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Further host names by which browsers may reach the UI
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) allowed_hosts: Option<Vec<String>>,

    /// Name pods and services by the Kubernetes cluster of this kubeconfig; inside of a cluster its
    /// own is used without it
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Processes of which nothing is copied or told: names or, with a slash, paths of executables,
    /// in which `*` stands for anything. So is any with ALAZ_CAPTURE=off in its environment
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) exclude_processes: Option<Vec<String>>,

    /// The most CPU that Alaz takes, in cores (0.5) or of the machine (25%), before it leaves work
    /// undone [default: a quarter of the machine, at least 0.5 and at most 1]
    #[arg(long, value_name = "CORES", value_parser = cpu_limit)]
    pub(crate) cpu_limit: Option<Cores>,

    /// The most memory that Alaz takes before it leaves work undone [default: 512MiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_limit: Option<Bytes>,

    /// Id of this cluster at an Anteon or Ddosify backend, to send requests to it
    #[arg(long, value_name = "ID")]
    pub(crate) monitoring_id: Option<String>,

    /// That backend, such as https://api-alaz.getanteon.com:443
    #[arg(long, value_name = "URL")]
    pub(crate) backend_host: Option<Backend>,

    /// Name of this node there [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,

    /// Most rows in one request to it [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<NonZeroU64>,

    /// Send it the TCP connections that are open, every 30 s
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    pub(crate) send_alive_tcp_connections: Option<bool>,

    #[arg(skip)]
    pub(crate) server: Option<Backend>,

    #[arg(skip)]
    pub(crate) otlp_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AgentArgs {
    /// The server to tell, such as http://alaz-server:4317
    #[arg(long, value_name = "URL")]
    server: Option<Backend>,

    #[command(flatten)]
    run: RunArgs,
}

impl AgentArgs {
    pub(crate) fn settings(self) -> RunArgs {
        RunArgs { server: self.server, ..self.run }
    }
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerArgs {
    /// Address of the UI and the API [default: 127.0.0.1:8014]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,

    /// Address where agents tell what they see [default: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    otlp_listen: Option<SocketAddr>,

    /// Further host names by which browsers may reach the UI
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    allowed_hosts: Option<Vec<String>>,
}

impl ServerArgs {
    pub(crate) fn settings(self) -> RunArgs {
        let ServerArgs { listen, otlp_listen, allowed_hosts } = self;
        RunArgs { listen, otlp_listen, allowed_hosts, ..RunArgs::default() }
    }
}

impl RunArgs {
    /// One of the options that was given, if any.
    fn given(&self) -> Option<&'static str> {
        let RunArgs {
            listen,
            data_dir,
            allowed_hosts,
            kubeconfig,
            exclude_processes,
            cpu_limit,
            memory_limit,
            monitoring_id,
            backend_host,
            node_name,
            batch_size,
            send_alive_tcp_connections,
            server: _,
            otlp_listen: _,
        } = self;
        let given = [
            (listen.is_some(), "--listen"),
            (data_dir.is_some(), "--data-dir"),
            (allowed_hosts.is_some(), "--allowed-hosts"),
            (kubeconfig.is_some(), "--kubeconfig"),
            (exclude_processes.is_some(), "--exclude-processes"),
            (cpu_limit.is_some(), "--cpu-limit"),
            (memory_limit.is_some(), "--memory-limit"),
            (monitoring_id.is_some(), "--monitoring-id"),
            (backend_host.is_some(), "--backend-host"),
            (node_name.is_some(), "--node-name"),
            (batch_size.is_some(), "--batch-size"),
            (send_alive_tcp_connections.is_some(), "--send-alive-tcp-connections"),
        ];
        given.into_iter().find_map(|(is_given, name)| is_given.then_some(name))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchOutput {
    /// A line for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Which exchanges to show; all that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only these protocols: http, http2, grpc, postgresql, mysql, redis, amqp, kafka, mongodb, dns
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = protocol)]
    pub(crate) protocol: Vec<Protocol>,

    /// Only exchanges of this process, on either side
    #[arg(long, value_name = "N")]
    pub(crate) pid: Option<u32>,

    /// Only exchanges with this server port
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,

    /// Only what the server failed: HTTP 5xx, error replies, no response, reset
    #[arg(long)]
    pub(crate) errors: bool,

    /// Only exchanges slower than this, such as 50ms or 1.5s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) slower_than: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: WatchOutput,

    /// Stop after this long, such as 10s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) from: FromArgs,
}

/// Where exchanges come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FromArgs {
    /// Read from this Alaz, such as http://127.0.0.1:8014
    #[arg(long, value_name = "URL", conflicts_with = "capture")]
    pub(crate) server: Option<String>,

    /// Capture here even where an Alaz is running
    #[arg(long)]
    pub(crate) capture: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapOutput {
    /// A table for people
    #[default]
    Text,
    /// As the API gives it
    Json,
    /// Graphviz
    Dot,
    /// Mermaid flowchart
    Mermaid,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MapArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: MapOutput,

    /// How long to capture, or how far back to ask a running Alaz
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) duration: Duration,

    #[command(flatten)]
    pub(crate) from: FromArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorOutput {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// Explain this process: what it is called and what could be seen of it
    #[arg(long, value_name = "N")]
    pub(crate) pid: Option<u32>,

    /// Exit with 0 unless Alaz cannot run here, to guard a start of it
    #[arg(long, conflicts_with = "pid")]
    pub(crate) usable: bool,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: DoctorOutput,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RecordArgs {
    /// File to write; it must not exist yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Stop after this long; otherwise on Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArgs {
    /// Recording, or capture file of tcpdump or Wireshark
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: WatchOutput,
}

fn protocol(name: &str) -> Result<Protocol, String> {
    Protocol::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.as_str()).collect();
        format!("Alaz knows {}", known.join(", "))
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!("'{text}' is no duration: write a number and us, ms, s, m or h, as 50ms")
    })
}

impl From<&FilterArgs> for ExchangeFilter {
    fn from(args: &FilterArgs) -> ExchangeFilter {
        ExchangeFilter {
            protocols: args.protocol.clone(),
            pid: args.pid,
            port: args.port,
            errors: args.errors,
            slower_than: args.slower_than,
            words: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_and_takes_its_options_without_its_name() {
        let cli = Cli::parse_from(["alaz", "--listen", "127.0.0.1:9000"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.run.listen, Some("127.0.0.1:9000".parse().unwrap()));
    }

    #[test]
    fn settings_are_given_on_either_side_of_a_command_that_reads_them() {
        let read = |line: &str| {
            let arguments = std::iter::once("alaz").chain(line.split(' '));
            Cli::try_parse_from(arguments).and_then(Cli::checked)
        };
        for command in ["run", "watch", "map", "config", "doctor", "record x"] {
            for line in [format!("--config a.yaml {command}"), format!("{command} --config a.yaml")]
            {
                let cli = read(&line).unwrap();
                assert_eq!(cli.config, Some("a.yaml".into()), "{line}");
            }
        }
        assert!(read("--config a.yaml --listen 127.0.0.1:1").is_ok());
        assert!(read("--btf /x watch --capture").is_ok());
        for (line, word) in [
            ("replay --config a.yaml x", "replay"),
            ("--config a.yaml replay x", "replay"),
            ("--listen 127.0.0.1:1 config", "--listen after"),
            ("--data-dir /x watch", "--data-dir after"),
        ] {
            let message = read(line).unwrap_err().to_string();
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}
