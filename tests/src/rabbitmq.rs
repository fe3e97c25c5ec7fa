//! RabbitMQ.

use std::path::Path;
use std::process::Command;

use crate::program::Program;
use crate::{free_port, wait_until};

/// A broker of its own: its node, its port mapper and its files end with it.
pub struct Broker {
    program: Option<Program>,
    mapper_port: String,
    _folder: tempfile::TempDir,
    /// Where it takes connections.
    pub port: u16,
}

impl Broker {
    /// Starts it and waits until it is ready.
    #[must_use]
    pub fn start() -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let (port, mapper_port) = (free_port(), free_port().to_string());
        let path = |name: &str| folder.path().join(name);
        // Debian's wrapper in /usr/sbin insists on the system's own node.
        let mut command = Command::new(Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"));
        command
            .env("HOME", folder.path())
            .env("RABBITMQ_NODENAME", format!("alaz-{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", &mapper_port)
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        let mut program = Program::start(&mut command);
        wait_until("RabbitMQ takes connections", || {
            program.assert_running();
            program.stdout().contains("started TCP listener on")
                && program.stdout().contains("Server startup complete")
        });
        Broker { program: Some(program), mapper_port, _folder: folder, port }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.program.take());
        // The mapper of names to ports is a daemon that the node started.
        let kill = ["-port", &self.mapper_port, "-kill"];
        let _ = Command::new("epmd").args(kill).stdout(std::process::Stdio::null()).status();
    }
}
