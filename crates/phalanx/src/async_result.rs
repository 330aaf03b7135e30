//! The handle on what a `%px` cell comes back as.

use crate::error::Error;
use crate::host;
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::{
    AsyncResultQuery, AsyncResultSnapshot, ExecuteReply, GroupBy, HostReply, HostRequest,
    TaskSnapshot,
};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use phalanx_protocol::host::TaskMetadata;

/// The results of code sent to engines, one task per engine, ready or still to come.
///
/// Members and semantics are those of ipyparallel's `AsyncResult` (`client/asyncresult.py`). The
/// kernel holds what is known; this is a handle, cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct AsyncResult {
    id: AsyncResultId,
}

impl AsyncResult {
    /// The handle on the kernel's AsyncResult of that number.
    #[doc(hidden)]
    pub fn from_id(id: u64) -> Self {
        Self {
            id: AsyncResultId(id),
        }
    }

    /// Whether every task is done, well or not.
    pub fn ready(&self) -> bool {
        self.snapshot().is_ok_and(|snapshot| is_ready(&snapshot))
    }

    /// Whether every task ended well.
    ///
    /// # Errors
    /// When it is not ready.
    pub fn successful(&self) -> Result<bool, Error> {
        let snapshot = self.when_ready()?;
        Ok(snapshot
            .tasks
            .iter()
            .all(|task| matches!(task.result, Some(Ok(_)))))
    }

    /// Waits until every task is done.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait(&self) -> Result<(), Error> {
        self.ready_after(AsyncResultQuery::Wait { timeout: None })
            .map(drop)
    }

    /// Waits until every task is done, or for that long; whether it is ready.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Error> {
        let timeout = Some(timeout.as_secs_f64());
        self.ready_after(AsyncResultQuery::Wait { timeout })
    }

    /// Waits until the output of every task has arrived too, or for that long.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_for_output(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let timeout = timeout.map(|timeout| timeout.as_secs_f64());
        self.ready_after(AsyncResultQuery::WaitForOutput { timeout })
    }

    /// Waits with a bar that shows in place how many tasks are done.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_interactive(&self) -> Result<bool, Error> {
        self.ready_after(AsyncResultQuery::WaitInteractive {
            interval: 0.1,
            timeout: None,
        })
    }

    /// Waits and gives the results, in the order of targets.
    ///
    /// # Errors
    /// One engine's failure as `RemoteError`, several as `CompositeError`.
    pub fn get(&self) -> Result<Vec<ExecuteReply>, Error> {
        self.wait()?;
        results(self.snapshot()?)
    }

    /// Waits for that long and gives the results.
    ///
    /// # Errors
    /// `TimeoutError` when they are not ready then; else as [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<ExecuteReply>, Error> {
        if self.wait_timeout(timeout)? {
            results(self.snapshot()?)
        } else {
            Err(not_ready())
        }
    }

    /// Waits and gives the results by engine.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_dict(&self) -> Result<BTreeMap<EngineId, ExecuteReply>, Error> {
        let replies = self.get()?;
        Ok(replies
            .into_iter()
            .filter_map(|reply| Some((reply.engine_id?, reply)))
            .collect())
    }

    /// How many tasks are done.
    pub fn progress(&self) -> usize {
        self.each(|task| task.result.is_some())
            .into_iter()
            .filter(|done| *done)
            .count()
    }

    /// How many tasks there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always a task")]
    pub fn len(&self) -> usize {
        self.each(|_| ()).len()
    }

    /// Time since submission; once ready, the [`wall_time`](Self::wall_time).
    pub fn elapsed(&self) -> Duration {
        seconds(self.snapshot().map_or(0.0, |snapshot| snapshot.elapsed))
    }

    /// Time from the first submission to the last reply.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn wall_time(&self) -> Result<Duration, Error> {
        Ok(seconds(self.when_ready()?.elapsed))
    }

    /// Time all engines together spent computing; divided by the wall time, the speed-up.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn serial_time(&self) -> Result<Duration, Error> {
        let snapshot = self.when_ready()?;
        let times = snapshot.tasks.iter().filter_map(|task| {
            let metadata = &task.metadata;
            (metadata.completed? - metadata.started?).to_std().ok()
        });
        Ok(times.sum())
    }

    /// Everything known of each task: ids, timestamps, status, outputs.
    pub fn metadata(&self) -> Vec<TaskMetadata> {
        self.each(|task| task.metadata.clone())
    }

    /// What each task printed on stdout.
    pub fn stdout(&self) -> Vec<String> {
        self.each(|task| task.metadata.stdout.clone())
    }

    /// What each task printed on stderr.
    pub fn stderr(&self) -> Vec<String> {
        self.each(|task| task.metadata.stderr.clone())
    }

    /// The engine of each task.
    pub fn engine_ids(&self) -> Vec<Option<EngineId>> {
        self.each(|task| task.metadata.engine_id)
    }

    /// The message id of each task.
    pub fn msg_ids(&self) -> Vec<MsgId> {
        self.each(|task| task.metadata.msg_id.clone())
            .into_iter()
            .flatten()
            .collect()
    }

    /// Drops the tasks that have not begun; one that is running goes on.
    ///
    /// # Errors
    /// When it is done already, or the kernel does not answer.
    pub fn abort(&self) -> Result<(), Error> {
        if self.ready() {
            return Err(Error(Failure::Usage {
                message: "Can't abort, I am already done!".to_owned(),
                hint: None,
            }));
        }
        self.done_after(AsyncResultQuery::Abort)
    }

    /// Shows all outputs under the current cell: stdout, stderr, displays and results, as
    /// `%pxresult` does.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn display_outputs(&self, group_by: GroupBy) -> Result<(), Error> {
        self.when_ready()?;
        self.done_after(AsyncResultQuery::DisplayOutputs {
            group_by,
            result_only: false,
        })
    }

    fn each<T>(&self, f: impl FnMut(&TaskSnapshot) -> T) -> Vec<T> {
        self.snapshot().map_or_else(
            |_| Vec::new(),
            |snapshot| snapshot.tasks.iter().map(f).collect(),
        )
    }

    fn snapshot(&self) -> Result<AsyncResultSnapshot, Error> {
        match self.ask(AsyncResultQuery::Snapshot)? {
            HostReply::Snapshot(snapshot) => Ok(*snapshot),
            other => Err(host::unexpected(&other)),
        }
    }

    fn when_ready(&self) -> Result<AsyncResultSnapshot, Error> {
        let snapshot = self.snapshot()?;
        if is_ready(&snapshot) {
            Ok(snapshot)
        } else {
            Err(not_ready())
        }
    }

    fn ready_after(&self, query: AsyncResultQuery) -> Result<bool, Error> {
        match self.ask(query)? {
            HostReply::Ready(ready) => Ok(ready),
            other => Err(host::unexpected(&other)),
        }
    }

    fn done_after(&self, query: AsyncResultQuery) -> Result<(), Error> {
        match self.ask(query)? {
            HostReply::Done => Ok(()),
            other => Err(host::unexpected(&other)),
        }
    }

    fn ask(&self, query: AsyncResultQuery) -> Result<HostReply, Error> {
        host::call(&HostRequest::AsyncResult { id: self.id, query })
    }
}

impl fmt::Debug for AsyncResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(snapshot) = self.snapshot() else {
            return write!(f, "<AsyncResult #{}>", self.id);
        };
        let state = if !is_ready(&snapshot) {
            "pending"
        } else if snapshot
            .tasks
            .iter()
            .all(|task| matches!(task.result, Some(Ok(_))))
        {
            "finished"
        } else {
            "failed"
        };
        write!(f, "<AsyncResult({}): {state}>", snapshot.name)
    }
}

fn is_ready(snapshot: &AsyncResultSnapshot) -> bool {
    snapshot.tasks.iter().all(|task| task.result.is_some())
}

fn not_ready() -> Error {
    Error(Failure::Timeout {
        message: "Result not ready.".to_owned(),
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// All results, or the failures among them as one error.
fn results(snapshot: AsyncResultSnapshot) -> Result<Vec<ExecuteReply>, Error> {
    let mut replies = Vec::new();
    let mut failures = Vec::<RemoteFailure>::new();
    for task in snapshot.tasks {
        match task.result {
            Some(Ok(reply)) => replies.push(reply),
            Some(Err(failure)) => failures.push(failure),
            None => return Err(not_ready()),
        }
    }
    match failures.len() {
        0 => Ok(replies),
        1 => Err(Error(Failure::Remote(Box::new(failures.remove(0))))),
        _ => Err(Error(Failure::Composite {
            message: snapshot.name,
            failures,
        })),
    }
}
