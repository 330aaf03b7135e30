//! Handles on submitted tasks: their values, status, timing and outputs.
//!
//! | file | contents |
//! |---|---|
//! | `shape.rs` | the shape of the result, made of the values of tasks |
//! | `handle.rs` | the part that does not depend on the type of the values |
//! | `named.rs` | bookkeeping of the AsyncResults that variables name |
//! | `finished.rs` | tasks in the order in which they end |
//! | `outcomes.rs` | serialized outcomes of tasks |
//! | `parts.rs` | handles on several results |
//! | `arrivals.rs`, `iter.rs` | items as they arrive |
//! | `future.rs` | `.await` |

mod arrivals;
mod finished;
mod future;
mod handle;
mod iter;
mod named;
mod outcomes;
mod parts;
mod shape;

pub use future::ResultFuture;
pub use handle::{AsyncResultHandle, Outputs, ReturnWhen, StreamedOutput};
pub use iter::Items;
pub(crate) use named::report as report_lost_names;
pub(crate) use outcomes::{Outcomes, Successes};
pub use phalanx_protocol::host::TaskMetadata;
pub use shape::{Chunks, Many, One, Shape};

use crate::codec::Transferable;
use crate::error::Error;
use parts::Parts;
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::{EngineOf, ExecuteReply};
use phalanx_protocol::id::{AsyncResultId, EngineId};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

/// The finished tasks and the pending ones.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let ar = lbv.map(|x: u64| x + 1, 0..4u64).submit()?;
/// let (done, pending) = ar.wait_when(ReturnWhen::FirstCompleted, None)?;
/// assert_eq!(done.len() + pending.len(), 4);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub type DoneAndPending<T> = (Vec<T>, Vec<T>);

/// The outcome of each of several tasks.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let ar = rc.view([0, 1]).apply_async(|| match phalanx::engine_id() {
///     Some(0) => panic!("no luck"),
///     _ => 1,
/// })?;
/// let each = ar.get_each()?;
/// assert!(each[0].is_err());
/// assert_eq!(each[1], Ok(1));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub type TaskOutcomes<T> = Vec<Result<T, Error>>;

/// The results of code sent to engines, available or pending.
///
/// `R` is the value of one call; `S` is the shape of the result: [`One`] gives `R` itself, [`Many`] a
/// `Vec<R>` with one value per task, [`Chunks`] the items of a map in one `Vec<R>`. Values are in the
/// order of the tasks: of the view's engines, or of the inputs. Times are [`Duration`]s, timestamps
/// UTC. Members and semantics are those of ipyparallel's `AsyncResult` (`client/asyncresult.py`);
/// those that do not depend on the values are in [`AsyncResultHandle`], to which this dereferences.
///
/// A handle, cheap to clone: the kernel holds the results at least as long as a variable names
/// them. Beyond 4,096 results, or 1 GiB in all, it drops the oldest; every method then fails with
/// `UsageError`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let ar = rc.all().apply_async(|| std::process::id())?; // returns at once
/// let pids: Vec<u32> = ar.get()?; // waits
/// assert_eq!(pids.len(), rc.len());
/// assert!(ar.ready() && ar.successful()?);
/// println!("{:?} on the engines, {:?} in all", ar.serial_time()?, ar.wall_time()?);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct AsyncResult<R: Transferable = ExecuteReply, S: Shape = Many> {
    handle: AsyncResultHandle,
    ordered: bool,
    values: PhantomData<fn() -> (R, S)>,
}

/// The result of a map: the items of all its tasks, in the order of the inputs, or, with
/// `ordered(false)`, as they arrive during iteration.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let ar: AsyncMapResult<u64> = lbv.map(|x: u64| x * x, 0..10u64).chunksize(4).submit()?;
/// assert_eq!((ar.tasks(), ar.len()), (3, 10));
/// assert_eq!(ar.get()?[9], 81);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub type AsyncMapResult<R> = AsyncResult<R, Chunks>;

/// Tasks from the hub's records, submitted by any client.
///
/// ```no_run
/// use phalanx::{AsyncHubResult, prelude::*};
/// let rc = Client::connect()?;
/// let tasks = rc.all().apply_async(|| 7u32)?.msg_ids();
/// let ar: AsyncHubResult<u32> = rc.get_result(&tasks)?;
/// assert_eq!(ar.get()?, vec![7; rc.len()]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub type AsyncHubResult<R> = AsyncResult<R, Many>;

impl AsyncResult {
    /// Creates the handle on the kernel's AsyncResult with this id.
    #[doc(hidden)]
    pub fn from_id(id: u64) -> Self {
        Self::new(AsyncResultId(id))
    }
}

impl<R: Transferable, S: Shape> AsyncResult<R, S> {
    pub(crate) fn new(id: AsyncResultId) -> Self {
        Self::of(AsyncResultHandle::new(id))
    }

    /// Wraps the handle on a submission, unless it failed.
    pub(crate) fn submitted(handle: Result<AsyncResultHandle, Error>) -> Result<Self, Error> {
        Ok(Self::of(handle?))
    }

    pub(crate) fn of(handle: AsyncResultHandle) -> Self {
        Self {
            handle,
            ordered: true,
            values: PhantomData,
        }
    }

    /// Sets whether items are yielded in task order.
    pub(crate) fn ordered(self, ordered: bool) -> Self {
        Self { ordered, ..self }
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// The failure of one task keeps the name it had on the engine (`Panic`, …); several failures
    /// are a `CompositeError`.
    pub fn get(&self) -> Result<S::All<R>, Error> {
        S::all(self.handle.successes())
    }

    /// Waits for the result, at most for `timeout`.
    ///
    /// # Errors
    /// `TimeoutError` if a task is not done in time; otherwise as [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<S::All<R>, Error> {
        S::all(self.handle.successes_within(timeout))
    }

    /// Waits for the outcome of each task: its value or its failure.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn get_each(&self) -> Result<TaskOutcomes<S::Task<R>>, Error> {
        let mut outcomes = self.handle.outcomes(0, usize::MAX, true)?;
        let mut each = Vec::new();
        while let Some(value) = S::next::<R>(&mut outcomes) {
            each.push(value);
        }
        Ok(each)
    }

    /// Waits for the result, but returns as soon as a task has failed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_first_exception(&self) -> Result<S::All<R>, Error> {
        S::all(self.handle.successes_unless_one_fails())
    }

    /// Alias of [`get`](Self::get), as in Python's futures.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn result(&self) -> Result<S::All<R>, Error> {
        self.get()
    }

    /// Alias of [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn r(&self) -> Result<S::All<R>, Error> {
        self.get()
    }

    /// Waits for the results by engine.
    ///
    /// # Errors
    /// As [`get`](Self::get); `UsageError` if several tasks ran on one engine.
    pub fn get_dict(&self) -> Result<BTreeMap<EngineId, S::Task<R>>, Error> {
        let (engines, mut values) = self.handle.successes_by_engine()?;
        let mut dict = BTreeMap::new();
        for engine in engines {
            if let Some(value) = S::next::<R>(&mut values) {
                dict.insert(engine, value?);
            }
        }
        Ok(dict)
    }

    /// Alias of [`get_dict`](Self::get_dict).
    ///
    /// # Errors
    /// As [`get_dict`](Self::get_dict).
    pub fn result_dict(&self) -> Result<BTreeMap<EngineId, S::Task<R>>, Error> {
        self.get_dict()
    }

    /// Returns the value of one task, counted from 0, without waiting.
    ///
    /// # Errors
    /// `TimeoutError` if the task is not done, `UsageError` if there is no such task; the task's
    /// failure if it failed.
    pub fn at(&self, task: usize) -> Result<S::Task<R>, Error> {
        let value = S::next::<R>(&mut self.handle.outcome(task)?);
        value.unwrap_or_else(|| Err(outcomes::no_task()))
    }

    /// Splits the result into one AsyncResult per task: of one value, or of the items of a map.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn split(&self) -> Result<Vec<AsyncResult<R, S::Part>>, Error> {
        Ok(all(self.handle.parts()?))
    }

    /// Joins several AsyncResults into one, whose result is the list of all tasks' values.
    ///
    /// # Errors
    /// `UsageError` if `parts` is empty.
    pub fn join(parts: &[Self]) -> Result<AsyncResult<R, S::Joined>, Error> {
        let mut joined = Parts::none();
        for part in parts {
            joined.add(&part.handle);
        }
        AsyncResult::submitted(joined.join())
    }

    /// Waits until the condition holds, at most for `timeout`; returns the finished and the pending
    /// tasks.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_when(
        &self,
        when: ReturnWhen,
        timeout: Option<Duration>,
    ) -> Result<DoneAndPending<AsyncResult<R, S::Part>>, Error> {
        let (done, pending) = finished::wait_when(&self.handle, when, timeout)?;
        Ok((all(done), all(pending)))
    }
}

/// Wraps handles as AsyncResults.
fn all<R: Transferable, S: Shape>(mut parts: Parts) -> Vec<AsyncResult<R, S>> {
    let mut all = Vec::new();
    while let Some(handle) = parts.next() {
        all.push(AsyncResult::of(handle));
    }
    all
}

/// The outcome of each task as the kernel sends it; the values are in frames of their own.
pub(crate) type Values = Vec<Option<Result<EngineOf, RemoteFailure>>>;

impl<R: Transferable, S: Shape> Deref for AsyncResult<R, S> {
    type Target = AsyncResultHandle;

    fn deref(&self) -> &AsyncResultHandle {
        &self.handle
    }
}

impl<R: Transferable, S: Shape> Clone for AsyncResult<R, S> {
    fn clone(&self) -> Self {
        Self {
            handle: self.handle.clone(),
            ..*self
        }
    }
}

impl<R: Transferable, S: Shape> PartialEq for AsyncResult<R, S> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<R: Transferable, S: Shape> fmt::Debug for AsyncResult<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = std::any::type_name::<S>();
        let kind = if name.ends_with("Chunks") {
            "AsyncMapResult"
        } else {
            "AsyncResult"
        };
        self.handle.describe(kind, f)
    }
}
