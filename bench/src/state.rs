//! The states that are compared, and going in and out of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alaz_tests::alaz::Server;
use alaz_tests::bpf::Objects;
use alaz_tests::wait_until;
use serde::Serialize;

use crate::hooks::EmptyHooks;
use crate::placement::Placement;

/// What is attached to the kernel while something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Nothing.
    Bare,
    /// Empty programs where Alaz hooks in: what no capture by these hooks can undercut.
    Empty,
    /// Empty programs at both ends of every system call, for comparison.
    EmptyPair,
    /// `alaz run`.
    Alaz,
}

impl State {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            State::Bare => "without",
            State::Empty => "empty hooks",
            State::EmptyPair => "empty enter + exit",
            State::Alaz => "alaz",
        }
    }
}

/// A state that holds now.
pub(crate) enum Attached {
    Nothing,
    Empty(EmptyHooks),
    Alaz(Box<Server>),
}

impl Attached {
    /// `alaz`, in the state that has one.
    pub(crate) fn alaz(&mut self) -> Option<&mut Server> {
        match self {
            Attached::Alaz(server) => Some(server),
            Attached::Nothing | Attached::Empty(_) => None,
        }
    }

    /// Ends it. The kernel has nothing of it left afterwards.
    fn leave(self) -> anyhow::Result<()> {
        match self {
            Attached::Nothing => {}
            Attached::Empty(hooks) => drop(hooks),
            Attached::Alaz(mut server) => {
                let objects = Objects::of_process(server.program().pid());
                anyhow::ensure!(!objects.links.is_empty(), "alaz was ready with nothing attached");
                let status = server.stop();
                anyhow::ensure!(status.success(), "alaz ended with {status}");
                wait_until("alaz is off the kernel", || objects.left().is_empty());
            }
        }
        Ok(())
    }
}

/// What every measurement needs to know.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The program under test.
    pub(crate) alaz: PathBuf,
    pub(crate) placement: Placement,
    /// How often each state has its turn.
    pub(crate) rounds: usize,
    /// Set when the user wants to stop.
    pub(crate) stop: Arc<AtomicBool>,
}

/// One value per round.
pub(crate) type Series<T> = Vec<(State, Vec<T>)>;

impl Bench {
    /// Measures in each state in turn, and again: whatever else changes on the machine meanwhile
    /// changes all states alike.
    pub(crate) fn alternate<T>(
        &self,
        what: &str,
        states: &[State],
        mut measure: impl FnMut(&mut Attached) -> anyhow::Result<T>,
    ) -> anyhow::Result<Series<T>> {
        let mut series: Series<T> = states.iter().map(|state| (*state, Vec::new())).collect();
        for round in 1..=self.rounds {
            for (state, values) in &mut series {
                self.check_stop()?;
                eprintln!("{what}: round {round} of {}, {}", self.rounds, state.describe());
                let mut attached = enter(*state, &self.alaz)?;
                values.push(measure(&mut attached)?);
                attached.leave()?;
            }
        }
        Ok(series)
    }

    /// # Errors
    /// When the user wants to stop.
    pub(crate) fn check_stop(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.stop.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}

fn enter(state: State, alaz: &Path) -> anyhow::Result<Attached> {
    Ok(match state {
        State::Bare => Attached::Nothing,
        State::Empty => Attached::Empty(EmptyHooks::ours()?),
        State::EmptyPair => Attached::Empty(EmptyHooks::enter_and_exit()?),
        State::Alaz => Attached::Alaz(Box::new(Server::start_of(alaz, &[]))),
    })
}
