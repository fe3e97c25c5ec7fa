//! Keeps the pipeline's knowledge of Kubernetes up to date, and tells how that goes.

use std::path::Path;
use std::sync::Arc;

use alaz_kubernetes::{Access, State, Watch};
use alaz_server::{ClusterState, Live};
use anyhow::Context;

use crate::output::streams::say;
use crate::pipeline::Pipeline;

/// Changes that are taken in one pass over the ring: a large list must not hold up the capture.
const MOST_CHANGES: usize = 1_000;
/// Kinds that are watched.
const KINDS: usize = 5;

/// The watch of one cluster.
pub(crate) struct ClusterWatch {
    watch: Watch,
    live: Arc<Live>,
    said: State,
}

impl ClusterWatch {
    /// Of the cluster that this kubeconfig names, or else the one that this runs in; `None` where
    /// there is neither.
    pub(crate) fn start(
        kubeconfig: Option<&Path>,
        live: &Arc<Live>,
    ) -> anyhow::Result<Option<ClusterWatch>> {
        let given = kubeconfig.map(|path| Access::Kubeconfig(path.to_owned()));
        let Some(access) = given.or_else(Access::of_this_pod) else { return Ok(None) };
        let watch = Watch::start(access).context("cannot watch Kubernetes")?;
        Ok(Some(ClusterWatch { watch, live: Arc::clone(live), said: State::default() }))
    }

    /// Takes what was told since the last time.
    pub(crate) fn pass(&mut self, pipeline: &mut Pipeline) {
        let cluster = pipeline.cluster();
        for (change, time) in self.watch.changes().take(MOST_CHANGES) {
            cluster.change(change, time);
        }
        let state = self.watch.state();
        let counters = cluster.counters();
        let is_complete = state.listed.len() == KINDS && state.failing.is_empty();
        self.live.set_cluster(ClusterState {
            objects: counters.objects,
            refused: counters.refused,
            ambiguous: counters.ambiguous,
            failures: state.failures,
            is_complete,
        });
        self.tell(state, is_complete);
    }

    /// Says once what changed for the user.
    fn tell(&mut self, state: State, is_complete: bool) {
        for (kind, error) in &state.failing {
            if !self.said.failing.contains_key(kind) {
                say(format_args!(
                    "alaz: the Kubernetes API does not tell of {kind} objects, which are not named \
                     until it does: {error}"
                ));
            }
        }
        let was_complete = self.said.listed.len() == KINDS && self.said.failing.is_empty();
        if is_complete && !was_complete {
            say(format_args!("alaz: the Kubernetes API tells of pods, services and nodes"));
        }
        self.said = state;
    }
}
