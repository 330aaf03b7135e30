//! The cluster of this session: its engines, and what the hub knows.

use crate::async_result::{AsyncHubResult, AsyncResultHandle, Many};
use crate::function::Transferable;
use crate::view::{DirectView, IntoTargets, LoadBalancedView};
use crate::{AsyncResult, Error, host};
use phalanx_protocol::apply::ClientRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{HostReply, HostRequest};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The connection to the session's cluster: its engines, and the hub's records of tasks.
///
/// It has no state of its own: make one wherever needed, and copy it freely. The cluster is the one that
/// `%cluster start`, `%cluster connect` or [`Cluster::builder`] has set up; engines that join or leave
/// later are seen at once.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// println!("{} engines: {:?}", rc.len(), rc.ids());
/// let (direct, balanced) = (rc.all(), rc.load_balanced_view());
/// assert_eq!(direct.apply_sync(|| 1u8)?.len(), rc.len());
/// assert_eq!(balanced.apply_sync(|| 1u8)?, 1);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Client(());

/// The session's cluster: a controller in the kernel, and engines on this machine. It ends with the
/// kernel.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect().or_else(|_| Cluster::builder().n(4).start_and_connect())?;
/// assert!(!rc.is_empty());
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cluster(());

/// The options of a new cluster: `Cluster::builder().n(4).start_and_connect()?`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let one_per_core = Cluster::builder();
/// let rc = Client::connect().or_else(|_| one_per_core.n(2).start_and_connect())?;
/// rc.wait_for_engines(2, Some(Duration::from_secs(60)))?;
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterBuilder {
    engines: Option<usize>,
}

impl Cluster {
    /// A cluster of engines on this machine.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Ends the session's cluster.
    ///
    /// # Errors
    /// When none is running.
    pub fn stop() -> Result<(), Error> {
        done(ClientRequest::Stop)
    }
}

impl ClusterBuilder {
    /// Sets the number of engines; one per core if not set.
    #[must_use]
    pub fn n(mut self, engines: usize) -> Self {
        self.engines = Some(engines);
        self
    }

    /// Starts them and waits until they are there.
    ///
    /// # Errors
    /// When a cluster that was started elsewhere lacks engines, or an engine does not come up.
    pub fn start_and_connect(self) -> Result<Client, Error> {
        engines(ClientRequest::Start {
            engines: self.engines,
        })
        .map(|_| Client(()))
    }
}

/// The tasks engines have done and have to do: their number, by [`Client::queue_status`], or their
/// ids, by [`Client::queue_status_verbose`].
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let status = rc.queue_status()?;
/// assert_eq!(status.engines.len(), rc.len());
/// println!("{} tasks wait for an engine", status.unassigned);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus<Tasks = usize> {
    /// By engine.
    pub engines: BTreeMap<EngineId, EngineQueue<Tasks>>,
    /// Load-balanced tasks that wait for an engine.
    pub unassigned: Tasks,
}

/// The tasks one engine has done and has to do: their number, or their ids.
///
/// ```no_run
/// use phalanx::prelude::*;
/// for (engine, tasks) in Client::connect()?.queue_status()?.engines {
///     println!("engine {engine}: {} to do, {} done", tasks.queue + tasks.tasks, tasks.completed);
/// }
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineQueue<Tasks = usize> {
    /// Direct tasks it has not answered.
    pub queue: Tasks,
    /// Tasks it has answered.
    pub completed: Tasks,
    /// Load-balanced tasks it has not answered.
    pub tasks: Tasks,
}

/// Tasks by whether they have ended, from [`Client::result_status`].
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let ar = rc.all().apply_async(|| 1u8)?;
/// let status = rc.result_status(&ar.msg_ids())?;
/// assert_eq!(status.pending.len() + status.completed.len(), ar.tasks());
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultStatus {
    /// Those that have not.
    pub pending: Vec<MsgId>,
    /// Those that have.
    pub completed: Vec<MsgId>,
}

impl Client {
    /// The cluster that `%cluster start` or [`Cluster::builder`] has started.
    ///
    /// # Errors
    /// When none is running.
    pub fn connect() -> Result<Self, Error> {
        engines(ClientRequest::Engines).map(|_| Self(()))
    }

    /// The ids of the live engines, in order; empty if the kernel does not answer.
    pub fn ids(&self) -> Vec<EngineId> {
        engines(ClientRequest::Engines).unwrap_or_default()
    }

    /// The number of engines.
    pub fn len(&self) -> usize {
        self.ids().len()
    }

    /// Returns true if there are no engines.
    pub fn is_empty(&self) -> bool {
        self.ids().is_empty()
    }

    /// Views on each engine: `for view in rc.iter()`.
    pub fn iter(&self) -> impl Iterator<Item = DirectView<crate::One>> + use<> {
        self.ids()
            .into_iter()
            .map(|id| DirectView::new(Some(vec![id])))
    }

    /// A view on the engines that are live now: `rc[:]`.
    ///
    /// # Panics
    /// Never; without engines, using the view is an error.
    pub fn all(&self) -> DirectView<Many> {
        DirectView::new(Some(self.ids()))
    }

    /// A view on these engines: `rc.view(0)`, `rc.view(1..3)`, `rc.view([0, 2])`.
    ///
    /// # Panics
    /// When one of them is not there; [`try_view`](Self::try_view) is an error then.
    #[track_caller]
    pub fn view<T: IntoTargets>(&self, targets: T) -> DirectView<T::Shape> {
        let ids = self.ids();
        match targets.resolve(&ids) {
            Ok(targets) => DirectView::new(Some(targets)),
            Err(error) => std::panic::panic_any(error.to_string()),
        }
    }

    /// A view on these engines.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn try_view<T: IntoTargets>(&self, targets: T) -> Result<DirectView<T::Shape>, Error> {
        Ok(DirectView::new(Some(targets.resolve(&self.ids())?)))
    }

    /// A view on the engines that are live at each use: `direct_view("all")`.
    pub fn direct_view(&self) -> DirectView<Many> {
        DirectView::new(None)
    }

    /// A view on all engines for broadcasts. Every direct view is one here: a function travels to
    /// each machine once.
    pub fn broadcast_view(&self) -> DirectView<Many> {
        self.direct_view()
    }

    /// A view for tasks that may run on any engine.
    pub fn load_balanced_view(&self) -> LoadBalancedView {
        LoadBalancedView::new()
    }

    /// Waits until at least `n` engines have joined; for a minute without a `timeout`.
    ///
    /// # Errors
    /// `TimeoutError` when they are not in time.
    pub fn wait_for_engines(&self, n: usize, timeout: Option<Duration>) -> Result<(), Error> {
        let timeout = timeout.map(|timeout| timeout.as_secs_f64());
        engines(ClientRequest::WaitForEngines {
            engines: n,
            timeout,
        })
        .map(drop)
    }

    /// Asks for the number of tasks all engines have done and have to do.
    ///
    /// # Errors
    /// When the controller does not answer.
    pub fn queue_status(&self) -> Result<QueueStatus, Error> {
        self.queue_status_of(&[])
    }

    /// Asks for the ids of the tasks all engines have done and have to do.
    ///
    /// # Errors
    /// As [`queue_status`](Self::queue_status).
    pub fn queue_status_verbose(&self) -> Result<QueueStatus<Vec<MsgId>>, Error> {
        json(ClientRequest::QueueStatus {
            engines: Vec::new(),
            verbose: true,
        })
    }

    pub(crate) fn queue_status_of(&self, engines: &[EngineId]) -> Result<QueueStatus, Error> {
        json(ClientRequest::QueueStatus {
            engines: engines.to_vec(),
            verbose: false,
        })
    }

    /// Asks which of these tasks have ended.
    ///
    /// # Errors
    /// When the hub does not know one of them.
    pub fn result_status(&self, tasks: &[MsgId]) -> Result<ResultStatus, Error> {
        let tasks = tasks.to_vec();
        json(ClientRequest::ResultStatus { tasks })
    }

    /// The results of tasks of this session or of another, as `R`s.
    ///
    /// # Errors
    /// When the hub does not know one of them.
    pub fn get_result<R: Transferable>(&self, tasks: &[MsgId]) -> Result<AsyncHubResult<R>, Error> {
        let tasks = tasks.to_vec();
        AsyncResult::submitted(results(tasks))
    }

    /// Runs tasks again, as the hub remembers them, on any engine.
    ///
    /// # Errors
    /// When the hub no longer knows one of them.
    pub fn resubmit<R: Transferable>(&self, tasks: &[MsgId]) -> Result<AsyncHubResult<R>, Error> {
        let tasks = tasks.to_vec();
        AsyncResult::submitted(resubmitted(tasks))
    }

    /// The tasks of all clients that the hub remembers, in the order they were submitted.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn hub_history(&self) -> Result<Vec<MsgId>, Error> {
        json(ClientRequest::HubHistory)
    }

    /// The hub's records that match a MongoDB query, given as JSON, with these keys (all if empty):
    /// `rc.db_query(r#"{"label": {"$glob": "fit*"}}"#, &["msg_id", "started"])?`.
    ///
    /// # Errors
    /// When it is no query, or the hub does not answer.
    pub fn db_query(&self, query: &str, keys: &[&str]) -> Result<Vec<Map<String, Value>>, Error> {
        let query = serde_json::from_str(query).map_err(|error| {
            Error::new(Failure::Usage {
                message: format!("the query is no JSON object: {error}"),
                hint: None,
            })
        })?;
        let keys = keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        json(ClientRequest::DbQuery {
            query,
            keys: Some(keys).filter(|keys| !keys.is_empty()),
        })
    }

    /// Makes the hub forget these tasks' results.
    ///
    /// # Errors
    /// When one of them has not ended.
    pub fn purge_hub_results(&self, tasks: &[MsgId]) -> Result<(), Error> {
        let (tasks, engines) = (tasks.to_vec(), Vec::new());
        if tasks.is_empty() {
            return Ok(());
        }
        done(ClientRequest::Purge { tasks, engines })
    }

    /// Makes the kernel forget all results that are ready: AsyncResults of them fail from then on.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn purge_local_results(&self) -> Result<(), Error> {
        let results = Vec::<AsyncResultId>::new();
        done(ClientRequest::PurgeLocal { results })
    }

    /// Makes kernel and hub forget all results of tasks that have ended.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn purge_everything(&self) -> Result<(), Error> {
        self.purge_local_results()?;
        done(ClientRequest::Purge {
            tasks: Vec::new(),
            engines: Vec::new(),
        })
    }

    /// The tasks this session has submitted, in order.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn history(&self) -> Result<Vec<MsgId>, Error> {
        json(ClientRequest::History)
    }

    /// The tasks of this session that have not ended.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn outstanding(&self) -> Result<Vec<MsgId>, Error> {
        json(ClientRequest::Outstanding)
    }

    /// Drops those of these tasks (of all if empty) that have not begun.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn abort(&self, tasks: &[MsgId]) -> Result<(), Error> {
        let (tasks, engines) = (tasks.to_vec(), Vec::new());
        done(ClientRequest::Abort { tasks, engines })
    }

    /// Waits until these tasks (all of this session if empty) have ended, at most for `timeout`;
    /// returns true if they have.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn wait(&self, tasks: &[MsgId], timeout: Option<Duration>) -> Result<bool, Error> {
        let request = ClientRequest::Wait {
            tasks: tasks.to_vec(),
            timeout: timeout.map(|timeout| timeout.as_secs_f64()),
        };
        match ask(request)? {
            HostReply::Ready(ready) => Ok(ready),
            other => Err(host::unexpected(&other)),
        }
    }

    /// Waits until these tasks (all of this session if empty) have ended, with a progress bar;
    /// returns true.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not answer.
    pub fn wait_interactive(&self, tasks: &[MsgId]) -> Result<bool, Error> {
        let tasks = match tasks {
            [] => self.outstanding()?,
            tasks => tasks.to_vec(),
        };
        if tasks.is_empty() {
            return Ok(true);
        }
        self.get_result::<()>(&tasks)?.wait_interactive()
    }

    /// Sends a signal, by number, to all engines; SIGINT (2) interrupts the code they run.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn send_signal(&self, signal: i32) -> Result<(), Error> {
        let engines = self.ids();
        done(ClientRequest::Signal { signal, engines })
    }

    /// Clears the namespaces of all engines.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn clear(&self) -> Result<(), Error> {
        done(ClientRequest::Clear {
            engines: self.ids(),
        })
    }

    /// Ends all engines, and the controller too if `hub`.
    ///
    /// # Errors
    /// When they do not answer.
    pub fn shutdown(&self, hub: bool) -> Result<(), Error> {
        let engines = self.ids();
        done(ClientRequest::Shutdown { engines, hub })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Client of engines {:?}>", self.ids())
    }
}

#[inline(never)]
fn results(tasks: Vec<MsgId>) -> Result<AsyncResultHandle, Error> {
    match ask(ClientRequest::GetResult { tasks })? {
        HostReply::Tasks(ranges) => Ok(AsyncResultHandle::of_ranges(ranges)),
        other => Err(host::unexpected(&other)),
    }
}

#[inline(never)]
fn resubmitted(tasks: Vec<MsgId>) -> Result<AsyncResultHandle, Error> {
    async_result(ClientRequest::Resubmit { tasks }).map(AsyncResultHandle::new)
}

fn ask(request: ClientRequest) -> Result<HostReply, Error> {
    host::call(&HostRequest::Client(Box::new(request)))
}

pub(crate) fn done(request: ClientRequest) -> Result<(), Error> {
    match ask(request)? {
        HostReply::Done => Ok(()),
        other => Err(host::unexpected(&other)),
    }
}

pub(crate) fn async_result(request: ClientRequest) -> Result<AsyncResultId, Error> {
    match ask(request)? {
        HostReply::AsyncResult(id) => Ok(id),
        other => Err(host::unexpected(&other)),
    }
}

fn engines(request: ClientRequest) -> Result<Vec<EngineId>, Error> {
    match ask(request)? {
        HostReply::Engines(ids) => Ok(ids),
        other => Err(host::unexpected(&other)),
    }
}

fn json<T: serde::de::DeserializeOwned>(request: ClientRequest) -> Result<T, Error> {
    match ask(request)? {
        HostReply::Json(value) => serde_json::from_value(value).map_err(|error| {
            Error::new(Failure::Internal {
                message: format!("the kernel's answer cannot be read: {error}"),
            })
        }),
        other => Err(host::unexpected(&other)),
    }
}
