//! The session's cluster: its engines and the hub's records.

use crate::async_result::{AsyncHubResult, AsyncResultHandle, Many};
use crate::codec::Transferable;
use crate::error::LibraryError;
use crate::requests::{self, ask, async_result, done, engines, live_engines, msg_ids};
use crate::view::{DirectView, IntoTargets, LoadBalancedView};
use crate::{AsyncResult, Error, host};
use phalanx_protocol::apply::{ClientRequest, QueueStatus, ResultStatus};
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// The connection to the session's cluster: its engines, and the hub's records of tasks.
///
/// A stateless handle: create one wherever needed, and copy it freely. The cluster is the one set
/// up by `%cluster start`, `%cluster connect` or [`Cluster::builder`]; engines that join or leave
/// later are visible at once.
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

/// The session's cluster: a controller in the kernel, and engines on this machine. It is stopped
/// when the kernel exits.
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
    /// Returns a builder for a cluster of engines on this machine.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Stops the session's cluster.
    ///
    /// # Errors
    /// `UsageError` if no cluster is running.
    pub fn stop() -> Result<(), Error> {
        done(ClientRequest::Stop)
    }
}

impl ClusterBuilder {
    /// Sets the number of engines; one per core by default.
    #[must_use]
    pub fn n(mut self, engines: usize) -> Self {
        self.engines = Some(engines);
        self
    }

    /// Starts the engines and waits until they have registered.
    ///
    /// # Errors
    /// `UsageError` if a cluster started elsewhere has fewer engines, `EnvironmentError` if an
    /// engine does not start, `Interrupted` if the user interrupts the cell.
    pub fn start_and_connect(self) -> Result<Client, Error> {
        engines(ClientRequest::Start {
            engines: self.engines,
        })
        .map(|_| Client(()))
    }
}

impl Client {
    /// Returns a handle on the cluster that `%cluster start`, `%cluster connect` or
    /// [`Cluster::builder`] has set up.
    ///
    /// # Errors
    /// `UsageError` if no cluster is running.
    pub fn connect() -> Result<Self, Error> {
        live_engines().map(|_| Self(()))
    }

    /// Returns the ids of the live engines, in order; empty if the kernel does not reply.
    pub fn ids(&self) -> Vec<EngineId> {
        live_engines().unwrap_or_default()
    }

    /// Returns the number of engines.
    pub fn len(&self) -> usize {
        self.ids().len()
    }

    /// Returns true if there are no engines.
    pub fn is_empty(&self) -> bool {
        self.ids().is_empty()
    }

    /// Returns a view on each engine: `for view in rc.iter()`.
    pub fn iter(&self) -> impl Iterator<Item = DirectView<crate::One>> + use<> {
        self.ids()
            .into_iter()
            .map(|id| DirectView::new(Some(vec![id])))
    }

    /// Returns a view on the engines that are live now: `rc[:]`.
    ///
    /// # Panics
    /// Never; if there are no engines, using the view is an error.
    pub fn all(&self) -> DirectView<Many> {
        DirectView::new(Some(self.ids()))
    }

    /// Returns a view on these engines: `rc.view(0)`, `rc.view(1..3)`, `rc.view([0, 2])`.
    ///
    /// # Panics
    /// If one of them does not exist; [`try_view`](Self::try_view) returns an error instead.
    #[track_caller]
    pub fn view<T: IntoTargets>(&self, targets: T) -> DirectView<T::Shape> {
        let ids = self.ids();
        match targets.resolve(&ids) {
            Ok(targets) => DirectView::new(Some(targets)),
            Err(error) => std::panic::panic_any(error.to_string()),
        }
    }

    /// Returns a view on these engines.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if one of the targets does not exist.
    pub fn try_view<T: IntoTargets>(&self, targets: T) -> Result<DirectView<T::Shape>, Error> {
        Ok(DirectView::new(Some(targets.resolve(&self.ids())?)))
    }

    /// Returns a view on the engines that are live at each use: `direct_view("all")`.
    pub fn direct_view(&self) -> DirectView<Many> {
        DirectView::new(None)
    }

    /// Returns a view on all engines for broadcasts. Equivalent to
    /// [`direct_view`](Self::direct_view), since every direct view sends a function to each machine
    /// only once.
    pub fn broadcast_view(&self) -> DirectView<Many> {
        self.direct_view()
    }

    /// Returns a view for tasks that may run on any engine.
    pub fn load_balanced_view(&self) -> LoadBalancedView {
        LoadBalancedView::new()
    }

    /// Waits until at least `n` engines have joined; the default timeout is one minute.
    ///
    /// # Errors
    /// `TimeoutError` if fewer have joined in time, `EnvironmentError` if the connection to the
    /// controller is lost.
    pub fn wait_for_engines(&self, n: usize, timeout: Option<Duration>) -> Result<(), Error> {
        let timeout = timeout.map(|timeout| timeout.as_secs_f64());
        engines(ClientRequest::WaitForEngines {
            engines: n,
            timeout,
        })
        .map(drop)
    }

    /// Returns the number of completed and pending tasks of all engines.
    ///
    /// ```no_run
    /// use phalanx::prelude::*;
    /// let rc = Client::connect()?;
    /// let status = rc.queue_status()?;
    /// assert_eq!(status.engines.len(), rc.len());
    /// for (engine, tasks) in status.engines {
    ///     println!("engine {engine}: {} to do, {} done", tasks.queue + tasks.tasks, tasks.completed);
    /// }
    /// println!("{} tasks wait for an engine", status.unassigned);
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    ///
    /// # Errors
    /// `TimeoutError` if the controller does not reply, `EnvironmentError` if the connection to it
    /// is lost.
    pub fn queue_status(&self) -> Result<QueueStatus, Error> {
        requests::queue_status(&[])
    }

    /// Returns the ids of the completed and pending tasks of all engines.
    ///
    /// # Errors
    /// As [`queue_status`](Self::queue_status).
    pub fn queue_status_verbose(&self) -> Result<QueueStatus<Vec<MsgId>>, Error> {
        requests::queue_status_verbose()
    }

    /// Returns which of these tasks have ended.
    ///
    /// ```no_run
    /// use phalanx::prelude::*;
    /// let rc = Client::connect()?;
    /// let ar = rc.all().apply_async(|| 1u8)?;
    /// let status = rc.result_status(&ar.msg_ids())?;
    /// assert_eq!(status.pending.len() + status.completed.len(), ar.tasks());
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    ///
    /// # Errors
    /// `UsageError` if the hub has no record of one of them, `TimeoutError` if it does not reply.
    pub fn result_status(&self, tasks: &[MsgId]) -> Result<ResultStatus, Error> {
        requests::result_status(tasks.to_vec())
    }

    /// Returns the results, of type `R`, of tasks submitted by this session or another.
    ///
    /// # Errors
    /// `UsageError` if the hub has no record of one of them, `TimeoutError` if it does not reply.
    pub fn get_result<R: Transferable>(&self, tasks: &[MsgId]) -> Result<AsyncHubResult<R>, Error> {
        let tasks = tasks.to_vec();
        AsyncResult::submitted(results(tasks))
    }

    /// Resubmits tasks from the hub's records, to any engine.
    ///
    /// # Errors
    /// `UsageError` if the hub has no record of one of them any more, `TimeoutError` if it does not
    /// reply.
    pub fn resubmit<R: Transferable>(&self, tasks: &[MsgId]) -> Result<AsyncHubResult<R>, Error> {
        let tasks = tasks.to_vec();
        AsyncResult::submitted(resubmitted(tasks))
    }

    /// Returns the tasks of all clients in the hub's records, in the order in which they were
    /// submitted.
    ///
    /// # Errors
    /// `TimeoutError` if the hub does not reply, `EnvironmentError` if the connection to it is
    /// lost.
    pub fn hub_history(&self) -> Result<Vec<MsgId>, Error> {
        msg_ids(ClientRequest::HubHistory)
    }

    /// Returns the hub's records that match a MongoDB query in JSON, restricted to these keys (all
    /// if empty): `rc.db_query(r#"{"label": {"$glob": "fit*"}}"#, &["msg_id", "started"])?`.
    ///
    /// # Errors
    /// `UsageError` if the query is malformed, `TimeoutError` if the hub does not reply.
    pub fn db_query(&self, query: &str, keys: &[&str]) -> Result<Vec<Map<String, Value>>, Error> {
        let query = serde_json::from_str(query);
        let query = query.map_err(|error| Error::from(LibraryError::Query(&error)))?;
        let keys = keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        requests::records(query, Some(keys).filter(|keys| !keys.is_empty()))
    }

    /// Deletes these tasks' results from the hub's records.
    ///
    /// # Errors
    /// `UsageError` if one of them is pending, `TimeoutError` if the hub does not reply.
    pub fn purge_hub_results(&self, tasks: &[MsgId]) -> Result<(), Error> {
        let (tasks, engines) = (tasks.to_vec(), Vec::new());
        if tasks.is_empty() {
            return Ok(());
        }
        done(ClientRequest::Purge { tasks, engines })
    }

    /// Deletes all finished results from the kernel, except those that variables hold: these stay with
    /// their variables, and [`get_result`](Self::get_result) does not find them.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn purge_local_results(&self) -> Result<(), Error> {
        let results = Vec::<AsyncResultId>::new();
        done(ClientRequest::PurgeLocal { results })
    }

    /// Deletes all finished results from the kernel and the hub; variables keep theirs.
    ///
    /// # Errors
    /// `TimeoutError` if the hub does not reply, `EnvironmentError` if the connection to it is
    /// lost.
    pub fn purge_everything(&self) -> Result<(), Error> {
        self.purge_local_results()?;
        done(ClientRequest::Purge {
            tasks: Vec::new(),
            engines: Vec::new(),
        })
    }

    /// Returns the tasks this session has submitted, in order.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn history(&self) -> Result<Vec<MsgId>, Error> {
        msg_ids(ClientRequest::History)
    }

    /// Returns the pending tasks of this session.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn outstanding(&self) -> Result<Vec<MsgId>, Error> {
        msg_ids(ClientRequest::Outstanding)
    }

    /// Aborts those of these tasks (all if empty) that have not started.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn abort(&self, tasks: &[MsgId]) -> Result<(), Error> {
        let (tasks, engines) = (tasks.to_vec(), Vec::new());
        done(ClientRequest::Abort { tasks, engines })
    }

    /// Waits until these tasks (all of this session if empty) have ended, at most for `timeout`;
    /// returns true if they have.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait(&self, tasks: &[MsgId], timeout: Option<Duration>) -> Result<bool, Error> {
        requests::wait(tasks, timeout)
    }

    /// Waits until these tasks (all of this session if empty) have ended, with a progress bar;
    /// returns true.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
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

    /// Sends a signal, by number, to what runs code on all engines: SIGINT (2) interrupts that code.
    /// The engines stay.
    ///
    /// # Errors
    /// `UsageError` for a number that is not that of a signal which can be sent, `TimeoutError` if
    /// an engine does not reply, `EnvironmentError` if the connection to the controller is lost.
    pub fn send_signal(&self, signal: i32) -> Result<(), Error> {
        let engines = self.ids();
        done(ClientRequest::Signal { signal, engines })
    }

    /// Clears the namespaces of all engines.
    ///
    /// # Errors
    /// `TimeoutError` if an engine does not reply, `EnvironmentError` if the connection to the
    /// controller is lost.
    pub fn clear(&self) -> Result<(), Error> {
        done(ClientRequest::Clear {
            engines: self.ids(),
        })
    }

    /// Shuts down all engines, and with `hub` the controller as well.
    ///
    /// # Errors
    /// `TimeoutError` if an engine does not end in time, `EnvironmentError` if the connection to
    /// the controller is lost.
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
