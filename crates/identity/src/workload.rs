//! The name that a person would call a process by.
//!
//! Processes of one name and one kind are one workload, whatever their pids. A systemd service is
//! named by its unit: its administrator chose that name, and all its processes share it.

use alaz_model::EndpointKind;
use compact_str::CompactString;

use crate::cgroup::ControlGroup;
use crate::program::Program;

/// Services that start programs for others: their own name says nothing of those.
const HOSTS: &[&str] = &[
    "anacron",
    "atd",
    "containerd",
    "cron",
    "crond",
    "crio",
    "dbus",
    "docker",
    "gnome-terminal-server",
    "rc-local",
    "ssh",
    "sshd",
    "supervisor",
    "supervisord",
];

/// The same, by how the name begins: templates, and units that systemd or a desktop makes up.
const HOST_PREFIXES: &[&str] =
    &["app-", "getty@", "pm2-", "run-", "serial-getty@", "ssh@", "sshd@", "user@"];

/// The name of a program in a control group, and what the name stands for.
pub(crate) fn workload(
    program: &Program<'_>,
    group: &ControlGroup,
) -> (CompactString, EndpointKind) {
    if group.container.is_some() {
        return (program.name(), EndpointKind::Container);
    }
    let unit = group.unit.as_deref().and_then(unit_name).map(CompactString::from);
    (unit.unwrap_or_else(|| program.name()), EndpointKind::Process)
}

/// The name of a service unit, where it says what runs in it.
fn unit_name(unit: &str) -> Option<&str> {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    if HOSTS.contains(&name) || HOST_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    // One instance per accepted connection, named after its addresses (`systemd.socket(5)`,
    // `Accept=`): the template is the workload.
    let name = match name.split_once('@') {
        Some((template, instance)) if instance.contains(':') => template,
        _ => name,
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndpointKind::{Container, Process};

    #[test]
    fn units_that_say_something_come_first() {
        let program = Program { comm: b"shop", executable: b"/opt/shop", arguments: b"shop\0" };
        let id = "4c01db0b339c4f7a8d9e2f1a6b5c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c";
        for (path, name, kind) in [
            ("/system.slice/store.service", "store", Process),
            (
                "/system.slice/system-postgresql.slice/postgresql@16-main.service",
                "postgresql@16-main",
                Process,
            ),
            ("/system.slice/finger@3-10.0.0.1:79-10.0.0.2:5000.service", "finger", Process),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/store.service",
                "store",
                Process,
            ),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", "shop", Process),
            ("/user.slice/user-1000.slice/session-3.scope", "shop", Process),
            ("/system.slice/ssh.service", "shop", Process),
            ("/system.slice/cron.service", "shop", Process),
            ("/system.slice/docker.service", "shop", Process),
            ("/system.slice/run-r0123456789abcdef.service", "shop", Process),
            ("/system.slice/.service", "shop", Process),
            ("/", "shop", Process),
            ("", "shop", Process),
            (&format!("/docker/{id}"), "shop", Container),
            (&format!("/system.slice/web.service/libpod-payload-{id}"), "shop", Container),
        ] {
            let group = ControlGroup::at(path.as_bytes());
            assert_eq!(workload(&program, &group), (name.into(), kind), "{path}");
        }
    }
}
