//! What a process's control group says: its container and its systemd unit.
//!
//! `/proc/PID/cgroup` has one line per hierarchy, `id:controllers:path` (`cgroups(7)`): a single
//! `0::path` with cgroup v2, one per controller with v1, both on hybrid hosts. Runtimes name the
//! groups they make after the container, each in its own way and differently under the cgroupfs
//! and the systemd driver; containers nest, and the innermost is the one the process runs in.

use alaz_model::Container;
use compact_str::CompactString;

use crate::text::{NAME_LIMIT, PATH_LIMIT, clean};

/// The control group of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ControlGroup {
    /// Its path in the hierarchy that says most; empty when not known.
    pub(crate) path: CompactString,
    /// The innermost container, if any.
    pub(crate) container: Option<Container>,
    /// The innermost systemd service inside of that container, or outside of any; with `.service`.
    pub(crate) unit: Option<CompactString>,
}

impl ControlGroup {
    /// Reads the text of `/proc/PID/cgroup`. Where hierarchies disagree, as on hybrid hosts, the
    /// one that names a container wins, then one that names a unit, then one that is not the root.
    pub(crate) fn parse(file: &[u8]) -> ControlGroup {
        let mut best = ControlGroup::default();
        let mut best_rank = None;
        for line in file.split(|byte| *byte == b'\n') {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (Some(_), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let group = ControlGroup::at(path);
            // systemd keeps its units in v2's hierarchy, or in the one named after it.
            let hierarchy = match controllers {
                b"" => 2,
                b"name=systemd" => 1,
                _ => 0,
            };
            let told = (group.container.is_some(), group.unit.is_some(), path != b"/");
            let rank = Some((told, hierarchy));
            if rank > best_rank {
                best = group;
                best_rank = rank;
            }
        }
        best
    }

    /// What the path of one hierarchy says.
    pub(crate) fn at(path: &[u8]) -> ControlGroup {
        // A group that was removed under a process that had ended.
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let mut group = ControlGroup { path: clean(path, PATH_LIMIT), ..ControlGroup::default() };
        let mut parent: &[u8] = b"";
        let mut pod = None;
        for component in path.split(|byte| *byte == b'/') {
            pod = pod_uid(component).or(pod);
            if let Some(container) = container(parent, component) {
                let pod = pod.clone().unwrap_or_default();
                group.container = Some(Container { pod, ..container });
                // Of the runtime, or of the host: not of what runs inside.
                group.unit = None;
            } else if component.ends_with(b".service") {
                group.unit = Some(clean(&unescape(component), NAME_LIMIT));
            }
            parent = component;
        }
        group
    }
}

/// The container that a runtime made the group `component`, inside of `parent`, for.
fn container(parent: &[u8], component: &[u8]) -> Option<Container> {
    let name = component.strip_suffix(b".scope").unwrap_or(component);
    if let Some(id) = lxc(parent, name) {
        return Some(Container {
            id: clean(id, NAME_LIMIT),
            runtime: "lxc".into(),
            ..Container::default()
        });
    }
    let start = name
        .iter()
        .rposition(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .map_or(0, |last| last + 1);
    let (prefix, id) = name.split_at(start);
    let runtime = if prefix.is_empty() { bare(parent, id) } else { prefixed(prefix, id) }?;
    Some(Container { id: clean(id, NAME_LIMIT), runtime: runtime.into(), ..Container::default() })
}

/// The UID of the pod that a kubelet made the group `component` for: `podUID`, or
/// `kubepods-QOS-podUID.slice` under systemd, where `_` stands for `-`, also in front of
/// `:RUNTIME:ID`.
fn pod_uid(component: &[u8]) -> Option<CompactString> {
    let name = component.split(|byte| *byte == b':').next()?;
    let uid = match name.strip_suffix(b".slice") {
        Some(slice) => slice.rsplitn(2, |byte| *byte == b'-').next()?.strip_prefix(b"pod")?,
        None => name.strip_prefix(b"pod")?,
    };
    let is_uid = |uid: &[u8]| {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-' | b'_');
        matches!(uid.len(), 32 | 36) && uid.iter().all(is_part)
    };
    is_uid(uid).then(|| clean(uid, NAME_LIMIT).replace('_', "-").into())
}

/// `lxc.payload.NAME`; before LXC 4 `lxc.payload/NAME` and `lxc/NAME`. The `lxc.monitor.NAME`
/// group holds the runtime.
fn lxc<'a>(parent: &[u8], name: &'a [u8]) -> Option<&'a [u8]> {
    let id = match name.strip_prefix(b"lxc.payload.") {
        Some(id) => id,
        None if matches!(parent, b"lxc" | b"lxc.payload") => name,
        None => return None,
    };
    (!id.is_empty()).then_some(id)
}

/// The runtime behind a group named by the id alone, as the cgroupfs driver does.
fn bare(parent: &[u8], id: &[u8]) -> Option<&'static str> {
    let in_pod = parent.starts_with(b"pod") || parent.starts_with(b"kubepods");
    // 32 hexadecimal digits are also how other things are named.
    if id.len() != 64 && !(id.len() == 32 && in_pod) {
        return None;
    }
    Some(match parent {
        b"docker" => "docker",
        // containerd names the group after its namespace, and these two are the ones it creates.
        b"default" | b"k8s.io" => "containerd",
        _ => "",
    })
}

/// The runtime behind `prefix-ID`, or `slice:prefix:ID` where a runtime that drives cgroupfs was
/// handed a name meant for systemd. Others, such as `libpod-conmon-ID`, hold no container.
fn prefixed(prefix: &[u8], id: &[u8]) -> Option<&'static str> {
    if !matches!(id.len(), 32 | 64) {
        return None;
    }
    let word = prefix.strip_suffix(b"-").or_else(|| prefix.strip_suffix(b":"))?;
    let word = word.rsplit(|byte| *byte == b':').next().unwrap_or(word);
    match word {
        b"docker" => Some("docker"),
        b"cri-containerd" | b"containerd" | b"nerdctl" => Some("containerd"),
        b"crio" => Some("cri-o"),
        b"libpod" | b"libpod-payload" => Some("podman"),
        _ => None,
    }
}

/// Undoes systemd's `\xHH` (`systemd-escape(1)`).
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let code = match rest {
            [b'\\', b'x', high, low, ..] => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                plain.push(high << 4 | low);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "4c01db0b339c4f7a8d9e2f1a6b5c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c";
    const B: &str = "b5d2f3a1c0e9887766554433221100ffeeddccbbaa99887766554433221100ff";
    const UID: &str = "1f8e2c44-7a0b-4d35-9c52-0c1a2b3d4e5f";

    /// Path, container id, runtime, unit.
    type Row = (String, Option<(&'static str, &'static str)>, Option<&'static str>);

    fn check(rows: &[Row]) {
        for (path, container, unit) in rows {
            let group = ControlGroup::at(path.as_bytes());
            let found = group.container.as_ref().map(|c| (c.id.as_str(), c.runtime.as_str()));
            assert_eq!(found, *container, "{path}");
            assert_eq!(group.unit.as_deref(), *unit, "{path}");
        }
    }

    #[test]
    fn every_runtime_names_its_groups_its_own_way() {
        let flat_uid = UID.replace('-', "_");
        let slice = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat_uid}.slice"
        );
        let user = "/user.slice/user-1000.slice/user@1000.service";
        check(&[
            (format!("{slice}/cri-containerd-{A}.scope"), Some((A, "containerd")), None),
            (format!("{slice}/crio-{A}.scope"), Some((A, "cri-o")), None),
            (format!("{slice}/crio-{A}.scope/container"), Some((A, "cri-o")), None),
            (format!("{slice}/docker-{A}.scope"), Some((A, "docker")), None),
            (format!("{slice}/crio-conmon-{A}.scope"), None, None),
            (slice.clone(), None, None),
            (format!("/kubepods/burstable/pod{UID}/{A}"), Some((A, "")), None),
            (format!("/kubepods/besteffort/pod{UID}/crio-{A}"), Some((A, "cri-o")), None),
            (format!("/kubepods/pod{UID}"), None, None),
            (
                format!("/kubepods/burstable/pod{}/{}", &B[..32], &A[..32]),
                Some((&A[..32], "")),
                None,
            ),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-besteffort-pod{flat_uid}.slice:cri-containerd:{A}"
                ),
                Some((A, "containerd")),
                None,
            ),
            (format!("/docker/{A}"), Some((A, "docker")), None),
            (format!("/docker/{A}/init"), Some((A, "docker")), None),
            (format!("/system.slice/docker-{A}.scope"), Some((A, "docker")), None),
            (format!("/machine.slice/libpod-{A}.scope"), Some((A, "podman")), None),
            (format!("/machine.slice/libpod-{A}.scope/container"), Some((A, "podman")), None),
            (format!("/machine.slice/libpod-conmon-{A}.scope"), None, None),
            (format!("{user}/user.slice/libpod-{A}.scope/container"), Some((A, "podman")), None),
            (format!("{user}/user.slice/libpod-conmon-{A}.scope"), None, Some("user@1000.service")),
            (format!("/system.slice/web.service/libpod-payload-{A}"), Some((A, "podman")), None),
            (format!("/libpod_parent/libpod-{A}"), Some((A, "podman")), None),
            (format!("/default/{A}"), Some((A, "containerd")), None),
            (format!("/system.slice/nerdctl-{A}.scope"), Some((A, "containerd")), None),
            (format!("/my-parent/{A}"), Some((A, "")), None),
            ("/lxc/web".into(), Some(("web", "lxc")), None),
            ("/lxc.payload.web".into(), Some(("web", "lxc")), None),
            ("/lxc.payload/web/init.scope".into(), Some(("web", "lxc")), None),
            ("/lxc.monitor.web".into(), None, None),
        ]);
    }

    #[test]
    fn pods_are_known_by_their_uid() {
        let flat_uid = UID.replace('-', "_");
        let slice = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat_uid}.slice"
        );
        let hash = &B[..32];
        for (path, pod) in [
            (format!("{slice}/cri-containerd-{A}.scope"), UID),
            (format!("/kubepods.slice/kubepods-pod{flat_uid}.slice/crio-{A}.scope"), UID),
            (format!("/kubepods/burstable/pod{UID}/{A}"), UID),
            (format!("/kubepods/pod{hash}/{A}"), hash),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-besteffort-pod{flat_uid}.slice:cri-containerd:{A}"
                ),
                UID,
            ),
            (format!("/docker/{A}/kubelet/kubepods/burstable/pod{UID}/{B}"), UID),
            // A container that a container of the pod made.
            (format!("/kubepods/burstable/pod{UID}/{A}/docker/{B}"), UID),
            (format!("/docker/{A}"), ""),
            (format!("/podman/{A}"), ""),
        ] {
            let container = ControlGroup::at(path.as_bytes()).container.unwrap_or_default();
            assert_eq!(container.pod, pod, "{path}");
        }
    }

    #[test]
    fn the_innermost_container_wins_and_units_outside_do_not_count() {
        check(&[
            (format!("/docker/{A}/kubelet/kubepods/burstable/pod{UID}/{B}"), Some((B, "")), None),
            (
                format!(
                    "/system.slice/docker-{A}.scope/kubelet.slice/kubelet-kubepods.slice/cri-containerd-{B}.scope"
                ),
                Some((B, "containerd")),
                None,
            ),
            (
                "/lxc.payload.web/system.slice/nginx.service".into(),
                Some(("web", "lxc")),
                Some("nginx.service"),
            ),
            (format!("/lxc.payload.web/docker/{A}"), Some((A, "docker")), None),
            (format!("/system.slice/docker.service/docker/{A}"), Some((A, "docker")), None),
        ]);
    }

    #[test]
    fn units_are_services() {
        check(&[
            ("/system.slice/nginx.service".into(), None, Some("nginx.service")),
            (
                "/system.slice/system-getty.slice/getty@tty1.service".into(),
                None,
                Some("getty@tty1.service"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service".into(),
                None,
                Some("foo.service"),
            ),
            (
                r"/system.slice/system-shop\x2dapi.slice/shop\x2dapi@blue.service/worker".into(),
                None,
                Some("shop-api@blue.service"),
            ),
            (r"/system.slice/odd\x2.service".into(), None, Some(r"odd\x2.service")),
            ("/user.slice/user-1000.slice/session-3.scope".into(), None, None),
            ("/init.scope".into(), None, None),
            ("/".into(), None, None),
            ("/system.slice/gone.service (deleted)".into(), None, Some("gone.service")),
            // Not a container: 32 digits where no runtime puts an id.
            (format!("/sandbox/{}", &A[..32]), None, None),
        ]);
    }

    #[test]
    fn the_line_that_says_most_is_taken() {
        let v2 = "0::/system.slice/nginx.service\n";
        assert_eq!(ControlGroup::parse(v2.as_bytes()).path, "/system.slice/nginx.service");

        let hybrid_unit = "12:pids:/system.slice/nginx.service\n\
                           4:memory:/system.slice/nginx.service\n\
                           1:name=systemd:/system.slice/nginx.service\n\
                           0::/system.slice/nginx.service\n";
        assert_eq!(
            ControlGroup::parse(hybrid_unit.as_bytes()).unit.as_deref(),
            Some("nginx.service")
        );

        let hybrid_container = format!(
            "3:cpuset:/\n2:memory:/docker/{A}\n1:name=systemd:/docker/{A}\n\
             0::/system.slice/containerd.service\n"
        );
        let group = ControlGroup::parse(hybrid_container.as_bytes());
        assert_eq!(group.path, format!("/docker/{A}"));
        assert_eq!(group.unit, None);

        // A sandbox that limits memory only.
        let sandbox = "9:name=systemd:/\n5:devices:/\n4:memory:/sandbox/a\n1:cpu:/\n0::/\n";
        assert_eq!(ControlGroup::parse(sandbox.as_bytes()).path, "/sandbox/a");

        let v1 =
            "11:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n";
        assert_eq!(
            ControlGroup::parse(v1.as_bytes()).path,
            "/user.slice/user-0.slice/session-3.scope"
        );

        // With a colon in the path.
        let odd = format!("0::/a.slice:cri-containerd:{A}\n");
        assert!(ControlGroup::parse(odd.as_bytes()).container.is_some());

        assert_eq!(ControlGroup::parse(b"0::/\n").path, "/");
        assert_eq!(ControlGroup::parse(b""), ControlGroup::default());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(file: Vec<u8>) {
            ControlGroup::parse(&file);
            ControlGroup::at(&file);
        }

        #[test]
        fn any_path_is_taken(path in r"(/|:|-|\.|\\x|[0-9a-f]{1,64}|lxc|docker|\.service|\.scope){0,20}") {
            ControlGroup::at(path.as_bytes());
        }
    }
}
