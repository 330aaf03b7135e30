//! Load-balanced tasks, whose engine the scheduler chooses.

use super::map::MapPlan;
use super::submit::{Args, FunctionRequest};
use super::{Imap, IntoTargets, Map, MapItem};
use crate::async_result::{AsyncResult, AsyncResultHandle, One, Shape, Successes};
use crate::codec::Transferable;
use crate::function::{Arguments, EncodedArgs, IntoFunction, Located};
use crate::opaque::opaque;
use crate::requests::{live_engines, no_engine};
use crate::{AsyncMapResult, Error};
use phalanx_protocol::apply::{ApplyPlacement, Dependency, SchedulingOptions};
use phalanx_protocol::id::{EngineId, MsgId};
use std::fmt;
use std::time::Duration;

/// Tasks that a task depends on: ids, AsyncResults, or a [`Dependency`] that specifies the accepted
/// outcomes.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let data = lbv.apply_async(|| phalanx::engine_id())?;
/// let near = lbv.clone().follow(&data).apply_async(|| phalanx::engine_id())?;
/// assert_eq!(data.get()?, near.get()?);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub trait IntoDependency {
    /// Converts it into a dependency.
    fn into_dependency(self) -> Dependency;
}

fn depending_on(dependencies: Vec<MsgId>) -> Dependency {
    Dependency {
        dependencies,
        ..Dependency::default()
    }
}

impl IntoDependency for Dependency {
    fn into_dependency(self) -> Dependency {
        self
    }
}

impl IntoDependency for MsgId {
    fn into_dependency(self) -> Dependency {
        depending_on(vec![self])
    }
}

impl IntoDependency for Vec<MsgId> {
    fn into_dependency(self) -> Dependency {
        depending_on(self)
    }
}

impl<R: Transferable, S: Shape> IntoDependency for &AsyncResult<R, S> {
    fn into_dependency(self) -> Dependency {
        depending_on(self.msg_ids())
    }
}

impl<R: Transferable, S: Shape> IntoDependency for &[AsyncResult<R, S>] {
    fn into_dependency(self) -> Dependency {
        depending_on(self.iter().flat_map(|result| result.msg_ids()).collect())
    }
}

impl<R: Transferable, S: Shape> IntoDependency for &Vec<AsyncResult<R, S>> {
    fn into_dependency(self) -> Dependency {
        self.as_slice().into_dependency()
    }
}

impl IntoDependency for &AsyncResultHandle {
    fn into_dependency(self) -> Dependency {
        depending_on(self.msg_ids())
    }
}

/// A view whose tasks run on any available engine; made by
/// [`Client::load_balanced_view`](crate::Client::load_balanced_view).
///
/// Scheduling conditions are set on a clone: `lbv.clone().after(&ar).retries(2)`. Results of maps
/// are in the order of the inputs, regardless of the order in which tasks end.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let first = lbv.apply_async(|| 1u64)?;
/// let then = lbv.clone().after(&first).retries(2).apply_async_with(|x: u64| x + 1, 1u64)?;
/// assert_eq!((first.get()?, then.get()?), (1, 2));
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone)]
pub struct LoadBalancedView {
    options: BalancedOptions,
}

opaque! {
    /// The scheduling conditions, and the name of the tasks.
    struct BalancedOptions of BalancedOptionsContent
}
opaque!(@clone BalancedOptions);

/// The content of [`BalancedOptions`].
#[derive(Clone, Default)]
struct BalancedOptionsContent {
    conditions: SchedulingOptions,
    label: Option<String>,
}

impl LoadBalancedView {
    #[inline(never)]
    pub(crate) fn new() -> Self {
        let options = BalancedOptions::wrap(BalancedOptionsContent::default());
        Self { options }
    }

    /// Restricts the view to these engines.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if one of the targets does not exist.
    pub fn targets(self, targets: impl IntoTargets) -> Result<Self, Error> {
        let targets = targets.resolve(&live_engines()?)?;
        if targets.is_empty() {
            // An empty list stands for all engines.
            return Err(no_engine());
        }
        Ok(self.with(OptionChange::Targets(targets)))
    }

    /// Delays tasks until these tasks have ended.
    #[must_use]
    pub fn after(self, tasks: impl IntoDependency) -> Self {
        self.with(OptionChange::After(tasks.into_dependency()))
    }

    /// Restricts tasks to the engines on which these tasks ran.
    #[must_use]
    pub fn follow(self, tasks: impl IntoDependency) -> Self {
        self.with(OptionChange::Follow(tasks.into_dependency()))
    }

    /// Sets the time that a task may wait for its dependencies before it fails with `TaskTimeout`.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(OptionChange::Timeout(timeout))
    }

    /// Sets how often a failed task is retried, each time on another engine.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        self.with(OptionChange::Retries(retries))
    }

    /// Lets tasks that have not started when this notebook ends run nevertheless; by default they
    /// are aborted a minute later. The cluster keeps their results for
    /// [`Client::get_result`](crate::Client::get_result).
    #[must_use]
    pub fn detached(self) -> Self {
        self.with(OptionChange::Detached)
    }

    /// Sets the tasks' label in the hub's records.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        self.with(OptionChange::Label(label.into()))
    }

    #[inline(never)]
    fn with(mut self, choice: OptionChange) -> Self {
        let BalancedOptionsContent { conditions, label } = &mut *self.options;
        match choice {
            OptionChange::Targets(targets) => conditions.targets = targets,
            OptionChange::After(tasks) => conditions.after = tasks,
            OptionChange::Follow(tasks) => conditions.follow = tasks,
            OptionChange::Timeout(timeout) => conditions.timeout = timeout.as_secs_f64(),
            OptionChange::Retries(retries) => conditions.retries = retries,
            OptionChange::Detached => conditions.detached = true,
            OptionChange::Label(name) => *label = Some(name),
        }
        self
    }

    /// Submits a call of a function without arguments.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot call the function or no
    /// cluster is running, `EnvironmentError` if there is no memory for the captures.
    pub fn apply_async<F: IntoFunction<()>>(
        &self,
        function: F,
    ) -> Result<AsyncResult<F::Output, One>, Error> {
        self.apply_async_with(function, ())
    }

    /// Submits a call of a function with these arguments.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async); `UsageError` if an argument cannot be serialized.
    pub fn apply_async_with<P, M, F, A>(
        &self,
        function: F,
        arguments: A,
    ) -> Result<AsyncResult<F::Output, One>, Error>
    where
        F: IntoFunction<P, M>,
        A: Arguments<P>,
    {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        AsyncResult::submitted(self.submit(function.into_single(), args))
    }

    /// Submits a call.
    #[inline(never)]
    pub(super) fn submit(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<AsyncResultHandle, Error> {
        let args = Args::shared(args)?;
        self.request(function?, args).submit()
    }

    #[inline(never)]
    fn call(
        &self,
        function: Result<Located, Error>,
        args: EncodedArgs,
    ) -> Result<Successes, Error> {
        let args = Args::shared(args)?;
        self.request(function?, args).call()
    }

    fn request(&self, function: Located, args: Args) -> FunctionRequest {
        FunctionRequest {
            function,
            placement: ApplyPlacement::Balanced {
                tasks: 1,
                conditions: self.options.conditions.clone(),
            },
            args,
            label: self.options.label.clone(),
            pushes: Vec::new(),
        }
    }

    #[inline(never)]
    fn plan(&self) -> MapPlan {
        let BalancedOptionsContent { conditions, label } = (*self.options).clone();
        MapPlan::balanced(conditions, label)
    }

    #[inline(never)]
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = &self.options.conditions.targets;
        if targets.is_empty() {
            return f.write_str("<LoadBalancedView None>");
        }
        write!(f, "<LoadBalancedView {targets:?}>")
    }

    /// Calls a function without arguments, and waits for its result.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async); the failure of the task keeps the name it had on the
    /// engine (`Panic`, …).
    pub fn apply_sync<F: IntoFunction<()>>(&self, function: F) -> Result<F::Output, Error> {
        self.apply_sync_with(function, ())
    }

    /// Calls a function with these arguments, and waits for its result.
    ///
    /// # Errors
    /// As [`apply_async_with`](Self::apply_async_with); the failure of the task keeps the name it
    /// had on the engine (`Panic`, …).
    pub fn apply_sync_with<P, M, F, A>(&self, function: F, arguments: A) -> Result<F::Output, Error>
    where
        F: IntoFunction<P, M>,
        A: Arguments<P>,
    {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        One::all(self.call(function.into_single(), args))
    }

    /// Alias of [`apply_async`](Self::apply_async).
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    pub fn apply<F: IntoFunction<()>>(
        &self,
        function: F,
    ) -> Result<AsyncResult<F::Output, One>, Error> {
        self.apply_async(function)
    }

    /// Describes a map, which calls a function for each item: `lbv.map(f,
    /// 0..100).chunksize(4).submit()?`.
    pub fn map<A, M, F, I>(&self, function: F, items: I) -> Map<A, M, F, I>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
    {
        Map::new(self.plan(), function, items)
    }

    /// Calls a function for each item, and waits for the results.
    ///
    /// # Errors
    /// As [`map_async`](Self::map_async); the failure of one task keeps the name it had on the
    /// engine (`Panic`, …), several failures are a `CompositeError`.
    pub fn map_sync<A, M, F, I>(&self, function: F, items: I) -> Result<Vec<F::Output>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: MapItem<A>,
    {
        self.map(function, items).sync()
    }

    /// Submits a call of a function for each item.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot call the function or an
    /// item cannot be serialized, `EnvironmentError` if there is no memory for the items.
    pub fn map_async<A, M, F, I>(
        &self,
        function: F,
        items: I,
    ) -> Result<AsyncMapResult<F::Output>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: MapItem<A>,
    {
        self.map(function, items).submit()
    }

    /// Calls a function for items that are read from the input as needed; returns an iterator over
    /// the results.
    ///
    /// # Errors
    /// `UsageError` if engines cannot call the function.
    pub fn imap<A, M, F, I>(
        &self,
        function: F,
        items: I,
    ) -> Result<Imap<A, F::Output, I::IntoIter>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: MapItem<A>,
    {
        Ok(Imap::new(
            self.clone(),
            function.into_single()?,
            items.into_iter(),
        ))
    }
}

impl fmt::Debug for LoadBalancedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}

/// A change of one option of a view.
enum OptionChange {
    Targets(Vec<EngineId>),
    After(Dependency),
    Follow(Dependency),
    Timeout(Duration),
    Retries(u32),
    Detached,
    Label(String),
}
