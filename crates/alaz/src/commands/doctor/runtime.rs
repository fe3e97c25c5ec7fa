//! What a process runs on, by its executable and by what it has mapped.

use serde::Serialize;

use super::executable::Executable;

/// A language's runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Runtime {
    /// `Go`, `Java`, `native`, …
    pub(super) name: &'static str,
    /// Empty where it is not known.
    pub(super) version: String,
}

/// Beginnings of the file names of libraries that are a runtime.
const LIBRARIES: [(&str, &str); 6] = [
    ("libjvm.so", "Java"),
    ("libnode.so", "Node.js"),
    ("libpython", "Python"),
    ("libcoreclr.so", "dotnet"),
    ("libruby", "Ruby"),
    ("libperl.so", "Perl"),
];
/// Names of executables that are one, without a version at their end.
const EXECUTABLES: [(&str, &str); 9] = [
    ("node", "Node.js"),
    ("nodejs", "Node.js"),
    ("python", "Python"),
    ("ruby", "Ruby"),
    ("perl", "Perl"),
    ("php", "PHP"),
    ("php-fpm", "PHP"),
    ("deno", "Deno"),
    ("beam.smp", "Erlang"),
];

impl Runtime {
    /// `libraries` are paths of mapped files; `read` reads a file as the process sees it. `None`
    /// where the executable could not be read, so that nothing is known.
    pub(super) fn of(
        path: &str,
        executable: Option<&Executable>,
        libraries: &[String],
        read: impl Fn(&str) -> Option<String>,
    ) -> Option<Runtime> {
        let executable = executable?;
        if let Some(version) = &executable.go {
            return Some(Runtime { name: "Go", version: version.clone() });
        }
        for library in libraries {
            let name = file_name(library);
            let known = LIBRARIES.iter().find(|(start, _)| name.starts_with(start));
            if let Some((start, runtime)) = known {
                let version = match *runtime {
                    "Java" => java_version(library, read),
                    // Its number counts interfaces.
                    "Node.js" => None,
                    _ => name.strip_prefix(start).map(leading_version),
                };
                return Some(Runtime { name: runtime, version: version.unwrap_or_default() });
            }
        }
        let name = file_name(path);
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = EXECUTABLES.iter().find(|(other, _)| *other == base);
        let (runtime, version) = match known {
            Some((_, runtime)) => (*runtime, name.strip_prefix(base).unwrap_or_default()),
            None => ("native", ""),
        };
        Some(Runtime { name: runtime, version: version.to_owned() })
    }
}

/// `3.12` of `3.12.so.1.0`.
fn leading_version(rest: &str) -> String {
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_matches('.').to_owned()
}

/// From the file `release` of the installation: `JAVA_VERSION="21.0.8"`. The library is in its
/// `lib/server` (before Java 9 in `jre/lib/amd64/server`).
fn java_version(library: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut folder = library;
    for _ in 0..6 {
        folder = folder.rsplit_once('/')?.0;
        let Some(text) = read(&format!("{folder}/release")) else { continue };
        let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="));
        if let Some(version) = version {
            return Some(version.trim_matches('"').to_owned());
        }
    }
    None
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(path: &str, executable: &Executable, libraries: &[&str]) -> String {
        let libraries: Vec<_> = libraries.iter().map(|path| (*path).to_owned()).collect();
        let read = |path: &str| {
            let text = "IMPLEMENTOR=\"Debian\"\nJAVA_VERSION=\"21.0.8\"\n";
            (path == "/usr/lib/jvm/java-21/release").then(|| text.to_owned())
        };
        let found = Runtime::of(path, Some(executable), &libraries, read).unwrap();
        format!("{} {}", found.name, found.version)
    }

    #[test]
    fn a_runtime_is_told_by_what_cannot_be_renamed_first() {
        let native = Executable::default();
        let go = Executable { go: Some("1.24.1".to_owned()), ..Executable::default() };
        for (path, executable, libraries, expected) in [
            ("/srv/python3", &go, &["/usr/lib/libc.so.6"][..], "Go 1.24.1"),
            (
                "/usr/bin/java",
                &native,
                &["/usr/lib/jvm/java-21/lib/server/libjvm.so"],
                "Java 21.0.8",
            ),
            ("/srv/app", &native, &["/opt/else/libjvm.so"], "Java "),
            ("/usr/bin/python3.13", &native, &[], "Python 3.13"),
            ("/srv/uwsgi", &native, &["/usr/lib/libpython3.12.so.1.0"], "Python 3.12"),
            ("/usr/bin/node", &native, &["/usr/lib/libnode.so.115"], "Node.js "),
            ("/usr/local/bin/node", &native, &[], "Node.js "),
            ("/usr/sbin/nginx", &native, &["/usr/lib/libssl.so.3"], "native "),
        ] {
            assert_eq!(runtime(path, executable, libraries), expected, "{path}");
        }
        assert_eq!(Runtime::of("/srv/app", None, &[], |_| None), None);
    }
}
