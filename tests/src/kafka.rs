//! Apache Kafka: a broker that is its own controller, and the tools in Java that come with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, run};
use crate::{free_port, wait_until};

/// A running broker without topics, which creates none on its own.
pub struct Kafka {
    _program: Program,
    _folder: tempfile::TempDir,
    /// Where it takes connections of clients.
    pub port: u16,
    /// Where it takes its own, as the controller.
    pub controller_port: u16,
}

/// Where `scripts/deps.sh` puts what Maven has.
fn jars() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let path = target.unwrap_or(workspace).join("peers/kafka");
    assert!(path.exists(), "{} is missing: run scripts/deps.sh test", path.display());
    path
}

/// A class of Kafka's, with a virtual machine that starts fast rather than runs fast.
fn java(class: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp"]);
    command.arg(jars().join("*")).arg(class);
    command
}

impl Kafka {
    /// Starts it without TLS; everybody may do everything.
    pub fn start() -> Kafka {
        let folder = tempfile::tempdir().unwrap();
        let (port, controller_port) = (free_port(), free_port());
        let settings = folder.path().join("server.properties");
        let data = folder.path().join("data");
        let text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             group.initial.rebalance.delay.ms=0\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor=1\n",
            data.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut format = java("kafka.tools.StorageTool");
        format.args(["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c"]).arg(&settings);
        run(&mut format);
        let program = Program::serve(java("kafka.Kafka").arg(&settings), port);
        Kafka { _program: program, _folder: folder, port, controller_port }
    }

    /// Its address, as clients take it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs one of the tools in Java against it and gives back what it printed.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let mut command = java(&format!("org.apache.kafka.tools.{class}"));
        run(command.args(["--bootstrap-server", &self.address()]).args(arguments))
    }

    /// Waits until it answers clients: it takes connections before that.
    pub fn wait_until_ready(&self) {
        wait_until("Kafka answers", || {
            let mut list = Command::new("kcat");
            list.args(["-q", "-m", "1", "-L", "-b", &self.address()]);
            list.output().unwrap().status.success()
        });
    }
}
