//! Empty programs at the attach points of Alaz (`bpf/empty.bpf.c`).

use std::collections::BTreeSet;

use alaz_tests::bpf::Objects;
use anyhow::Context;
use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::{Link, Object, ObjectBuilder};

/// libbpf reads the ELF structures in place, so they must be aligned.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/empty.bpf.o")));

/// Where Alaz hooks in; named as its own programs there.
const OURS: [&str; 6] = ["on_call_end", "on_state", "on_destroy", "on_fork", "on_exec", "on_exit"];
/// Where those hook in who look at both ends of a call.
const ENTER_AND_EXIT: [&str; 2] = ["on_call_begin", "on_call_end"];

/// Attached programs that do nothing; they are gone when this is dropped.
pub(crate) struct EmptyHooks {
    // Before the object whose programs they attach.
    _links: Vec<Link>,
    _object: Object,
}

impl EmptyHooks {
    /// At the attach points of Alaz.
    pub(crate) fn ours() -> anyhow::Result<EmptyHooks> {
        EmptyHooks::attach(&OURS)
    }

    /// At the beginning and the end of every system call.
    pub(crate) fn enter_and_exit() -> anyhow::Result<EmptyHooks> {
        EmptyHooks::attach(&ENTER_AND_EXIT)
    }

    fn attach(names: &[&str]) -> anyhow::Result<EmptyHooks> {
        let attach = || {
            let object = ObjectBuilder::default().open_memory(&OBJECT.0)?.load()?;
            let mut links = Vec::new();
            for program in object.progs_mut() {
                if names.iter().any(|name| program.name() == *name) {
                    links.push(program.attach()?);
                }
            }
            Ok::<_, libbpf_rs::Error>(EmptyHooks { _links: links, _object: object })
        };
        let hooks = attach().context("the kernel refused the empty programs")?;
        anyhow::ensure!(
            hooks._links.len() == names.len(),
            "an empty program is missing: {names:?}"
        );
        Ok(hooks)
    }
}

/// Programs on functions of libraries: no load here calls these.
const IN_LIBRARIES: &str = "on_tls_";

/// How the programs of a running Alaz differ from the empty ones that stand for them: then these are
/// no yardstick.
pub(crate) fn difference(alaz_pid: u32) -> Option<String> {
    let ids = Objects::of_process(alaz_pid).programs;
    let programs = ProgInfoIter::default().filter(|program| ids.contains(&program.id));
    let names = programs.map(|program| program.name.to_string_lossy().into_owned());
    describe_difference(&names.filter(|name| !name.starts_with(IN_LIBRARIES)).collect())
}

fn describe_difference(alaz: &BTreeSet<String>) -> Option<String> {
    let ours = BTreeSet::from(OURS.map(str::to_owned));
    (*alaz != ours).then(|| {
        format!(
            "this Alaz has the programs {alaz:?}, the empty hooks are {ours:?}: \"empty hooks\" is \
             no yardstick for it, see bench/bpf/empty.bpf.c"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_than_ours_are_told() {
        let mut alaz = BTreeSet::from(OURS.map(str::to_owned));
        assert_eq!(describe_difference(&alaz), None);
        alaz.insert("on_tcp_sendmsg".to_owned());
        assert!(describe_difference(&alaz).unwrap().contains("on_tcp_sendmsg"));
        alaz.clear();
        assert!(describe_difference(&alaz).is_some());
    }

    #[test]
    fn the_object_has_every_program() {
        let object = ObjectBuilder::default().open_memory(&OBJECT.0).unwrap();
        let names: Vec<_> = object.progs().map(|p| p.name().to_owned()).collect();
        for name in OURS.iter().chain(&ENTER_AND_EXIT) {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
    }
}
