//! The watches, on a thread of their own.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use alaz_identity::cluster::{Change, Kind};
use alaz_model::UnixNanos;
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config, Resource, ResourceExt};
use tokio::sync::mpsc;

use crate::{Access, Error, convert};

/// Changes that may wait to be taken.
const QUEUE: usize = 4_096;
/// Objects in one page of a list.
const PAGE: u32 = 500;

/// What is known of the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Kinds that were told whole at least once.
    pub listed: Vec<&'static str>,
    /// What went wrong last, by kind, where it has not gone well since.
    pub failing: BTreeMap<&'static str, String>,
    /// Attempts that went wrong, ever.
    pub failures: u64,
}

/// Watches until it is dropped.
pub struct Watch {
    changes: Mutex<mpsc::Receiver<(Change, UnixNanos)>>,
    state: Arc<Mutex<State>>,
    /// Dropped to end the thread.
    _stop: mpsc::Sender<()>,
}

impl Watch {
    /// Begins to watch. Whether the API server answers shows later, in [`Watch::state`].
    ///
    /// # Errors
    /// Where the configuration cannot be read or used.
    pub fn start(access: Access) -> Result<Watch, Error> {
        let (changes, taken) = mpsc::channel(QUEUE);
        let (stop, mut stopped) = mpsc::channel(1);
        let state = Arc::new(Mutex::new(State::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = runtime.block_on(config(access))?;
        let client = {
            let _entered = runtime.enter();
            Client::try_from(config).map_err(|error| Error::Client(chain(&error)))?
        };
        let told = Told { changes, state: Arc::clone(&state) };
        std::thread::Builder::new().name("kubernetes".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = watch_all(&client, &told) => {}
                    _ = stopped.recv() => {}
                }
            });
        })?;
        Ok(Watch { changes: Mutex::new(taken), state, _stop: stop })
    }

    /// What was told since the last time, without waiting, with the time it was seen at.
    pub fn changes(&self) -> impl Iterator<Item = (Change, UnixNanos)> {
        std::iter::from_fn(|| {
            self.changes.lock().unwrap_or_else(PoisonError::into_inner).try_recv().ok()
        })
    }

    /// How the watches are doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn config(access: Access) -> Result<Config, Error> {
    match access {
        Access::InCluster => {
            Config::incluster().map_err(|error| Error::ServiceAccount(chain(&error)))
        }
        Access::Kubeconfig(path) => {
            let wrong = |error: &dyn std::error::Error| Error::Kubeconfig {
                path: path.clone(),
                message: chain(error),
            };
            let file = Kubeconfig::read_from(&path).map_err(|error| wrong(&error))?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| wrong(&error))
        }
    }
}

/// Returns when nobody takes changes any more.
async fn watch_all(client: &Client, told: &Told) {
    let config = || watcher::Config::default().page_size(PAGE);
    let pods = watcher::watcher(Api::<Pod>::all(client.clone()), config());
    let services = watcher::watcher(Api::<Service>::all(client.clone()), config());
    let nodes = watcher::watcher(Api::<Node>::all(client.clone()), config());
    let sets = watcher::watcher(metadata_of::<ReplicaSet>(client), config());
    let jobs = watcher::watcher(metadata_of::<Job>(client), config());
    tokio::join!(
        told.all(Kind::Pod, pods, |pod| convert::pod(pod).map(Change::Pod)),
        told.all(Kind::Service, services, |it| convert::service(it).map(Change::Service)),
        told.all(Kind::Node, nodes, |node| convert::node(node).map(Change::Node)),
        told.all(Kind::ReplicaSet, sets, |set| {
            convert::owned(Kind::ReplicaSet, &set.metadata)
                .map(|owned| Change::Owner(Kind::ReplicaSet, owned))
        }),
        told.all(Kind::Job, jobs, |job| {
            convert::owned(Kind::Job, &job.metadata).map(|owned| Change::Owner(Kind::Job, owned))
        }),
    );
}

fn metadata_of<K>(client: &Client) -> Api<PartialObjectMeta<K>>
where
    PartialObjectMeta<K>: Resource<DynamicType = ()>,
{
    Api::all(client.clone())
}

/// Hands over what the watches tell.
struct Told {
    changes: mpsc::Sender<(Change, UnixNanos)>,
    state: Arc<Mutex<State>>,
}

impl Told {
    async fn all<K>(
        &self,
        kind: Kind,
        stream: impl Stream<Item = watcher::Result<Event<K>>>,
        convert: impl Fn(&K) -> Option<Change>,
    ) where
        K: Resource + Clone + Debug + Send + 'static,
    {
        let mut stream = std::pin::pin!(stream.default_backoff());
        while let Some(event) = stream.next().await {
            let change = match event {
                Ok(Event::Init) => Some(Change::Listing(kind)),
                Ok(Event::InitApply(object) | Event::Apply(object)) => convert(&object),
                Ok(Event::InitDone) => Some(Change::Listed(kind)),
                Ok(Event::Delete(object)) => {
                    object.uid().map(|uid| Change::Gone(kind, uid.as_str().into()))
                }
                Err(error) => {
                    self.failed(kind, &error);
                    continue;
                }
            };
            // The beginning of a list says nothing yet of whether it will be answered.
            if !matches!(change, Some(Change::Listing(_))) {
                self.went_well(kind, matches!(change, Some(Change::Listed(_))));
            }
            let Some(change) = change else { continue };
            if self.changes.send((change, now())).await.is_err() {
                return;
            }
        }
    }

    fn failed(&self, kind: Kind, error: &watcher::Error) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures += 1;
        state.failing.insert(kind.as_str(), chain(error));
    }

    fn went_well(&self, kind: Kind, is_listed: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing.remove(kind.as_str());
        if is_listed && !state.listed.contains(&kind.as_str()) {
            state.listed.push(kind.as_str());
        }
    }
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += ": ";
            text += &cause_text;
        }
        source = cause.source();
    }
    text
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
