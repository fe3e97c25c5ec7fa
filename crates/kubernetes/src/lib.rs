//! Watches a Kubernetes API server: pods, services, nodes, and what owns pods.
//!
//! Out flow [`Change`]s with the time they were seen at, through a bounded queue: while that is
//! full the watch waits, and nothing is lost. What is kept of an object is little, and it is cut
//! down before it is queued; of replica sets and jobs only the metadata is asked for.
//!
//! Each kind is listed in pages and then watched (`list` and `watch` of `pods`, `services`, `nodes`,
//! `apps/replicasets`, `batch/jobs`). A watch that ends, expires (410) or fails is taken up
//! again, with growing pauses; a list made anew tells what went meanwhile.
//!
//! ```no_run
//! use alaz_kubernetes::{Access, Watch};
//!
//! let watch = Watch::start(Access::InCluster)?;
//! for (change, seen) in watch.changes() {
//!     println!("{seen}: {change:?}");
//! }
//! # Ok::<(), alaz_kubernetes::Error>(())
//! ```

#![forbid(unsafe_code)]

mod convert;
mod watch;

use std::path::{Path, PathBuf};

pub use alaz_identity::cluster::{Change, Kind};
pub use watch::{State, Watch};

/// How to reach the API server, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the service account of the pod that this runs in.
    InCluster,
    /// As this kubeconfig file says, by its current context.
    Kubeconfig(PathBuf),
}

impl Access {
    /// Where a pod finds the token of its service account.
    const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

    /// The access that this process was given by a cluster that it runs in, if any.
    #[must_use]
    pub fn of_this_pod() -> Option<Access> {
        let is_given = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        (is_given && Path::new(Access::TOKEN).exists()).then_some(Access::InCluster)
    }
}

/// The API server cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig is not readable or not usable.
    #[error("the kubeconfig {path}: {message}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The pod's service account is not usable.
    #[error("the service account of this pod: {0}: is automountServiceAccountToken off?")]
    ServiceAccount(String),
    /// No client can be made of the configuration.
    #[error("no client for the Kubernetes API: {0}")]
    Client(String),
    /// No thread.
    #[error("no thread to watch the Kubernetes API: {0}")]
    Thread(#[from] std::io::Error),
}
