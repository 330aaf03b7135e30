//! Direct views, which run functions on each of their engines.

use super::group::EngineGroup;
use super::{Map, ParallelFunction, RemoteFunction};
use crate::Error;
use crate::async_result::{AsyncResult, Many, Shape};
use crate::codec::Transferable;
use crate::function::{Arguments, EncodedArgs, IntoFunction};
use crate::requests;
use phalanx_protocol::apply::{ClientRequest, QueueStatus};
use phalanx_protocol::host::ExecuteReply;
use phalanx_protocol::id::EngineId;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// A view on engines that are addressed individually. `S` is the [`Shape`] of results: the value of
/// a single engine, otherwise a list in the order of the view's engines.
///
/// Made by [`Client::view`](crate::Client::view), [`Client::all`](crate::Client::all) and
/// [`Client::direct_view`](crate::Client::direct_view). On each engine, the tasks
/// of a view, cells included, run in the order in which they were submitted. A handle: cheap to
/// clone.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let dv = rc.all();
/// dv.push("k", &3u64)?;
/// assert_eq!(dv.pull::<u64>("k")?, vec![3; rc.len()]);
/// let ids: Vec<Option<u32>> = dv.apply_sync(|| phalanx::engine_id())?;
/// assert!(ids.iter().all(Option::is_some));
/// assert_eq!(dv.map_sync(|x: u64| x * x, 0..4u64)?, [0, 1, 4, 9]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct DirectView<S: Shape = Many> {
    pub(super) group: EngineGroup,
    shape: PhantomData<fn() -> S>,
}

impl<S: Shape> DirectView<S> {
    pub(crate) fn new(targets: Option<Vec<EngineId>>) -> Self {
        Self {
            group: EngineGroup::new(targets),
            shape: PhantomData,
        }
    }

    /// Sets the tasks' label in the hub's records.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self {
            group: self.group.labelled(label.into()),
            ..self
        }
    }

    /// Returns the view's engines.
    ///
    /// # Errors
    /// `NoEngines` if there are none, `UsageError` if no cluster is running.
    pub fn targets(&self) -> Result<Vec<EngineId>, Error> {
        self.group.targets()
    }

    /// Submits a call of a function without arguments to every engine.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot call the function or one
    /// of them is gone, `EnvironmentError` if there is no memory for the captures.
    pub fn apply_async<F: IntoFunction<()>>(
        &self,
        function: F,
    ) -> Result<AsyncResult<F::Output, S>, Error> {
        self.apply_async_with(function, ())
    }

    /// Submits a call of a function with these arguments to every engine. An argument may be a
    /// [`Reference`](crate::Reference).
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async); `UsageError` if an argument cannot be serialized.
    pub fn apply_async_with<P, M, F, A>(
        &self,
        function: F,
        arguments: A,
    ) -> Result<AsyncResult<F::Output, S>, Error>
    where
        F: IntoFunction<P, M>,
        A: Arguments<P>,
    {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        let handle = self.group.submit(function.into_single(), args);
        AsyncResult::submitted(handle)
    }

    /// Calls a function without arguments on every engine, and waits for the results.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async); the failure of one engine keeps its name (`Panic`,
    /// …), several failures are a `CompositeError`.
    pub fn apply_sync<F: IntoFunction<()>>(&self, function: F) -> Result<S::All<F::Output>, Error> {
        self.apply_sync_with(function, ())
    }

    /// Calls a function with these arguments on every engine, and waits for the results.
    ///
    /// # Errors
    /// As [`apply_async_with`](Self::apply_async_with); the failure of one engine keeps its name
    /// (`Panic`, …), several failures are a `CompositeError`.
    pub fn apply_sync_with<P, M, F, A>(
        &self,
        function: F,
        arguments: A,
    ) -> Result<S::All<F::Output>, Error>
    where
        F: IntoFunction<P, M>,
        A: Arguments<P>,
    {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        S::all(self.group.call(function.into_single(), args))
    }

    /// Alias of [`apply_async`](Self::apply_async).
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    pub fn apply<F: IntoFunction<()>>(
        &self,
        function: F,
    ) -> Result<AsyncResult<F::Output, S>, Error> {
        self.apply_async(function)
    }

    /// Describes a map, which calls a function for each item. The items are distributed over the
    /// engines in contiguous parts of equal length.
    pub fn map<A, M, F, I>(&self, function: F, items: I) -> Map<A, M, F, I>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
    {
        Map::direct(&self.group, function, items)
    }

    /// Like [`map`](Self::map), and waits for the results.
    ///
    /// # Errors
    /// As [`map_async`](Self::map_async); the failure of one engine keeps its name (`Panic`, …),
    /// several failures are a `CompositeError`.
    pub fn map_sync<A, M, F, I>(&self, function: F, items: I) -> Result<Vec<F::Output>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: super::MapItem<A>,
    {
        self.map(function, items).sync()
    }

    /// Like [`map`](Self::map), submitted at once.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot call the function or an
    /// item cannot be serialized, `EnvironmentError` if there is no memory for the items.
    pub fn map_async<A, M, F, I>(
        &self,
        function: F,
        items: I,
    ) -> Result<crate::AsyncMapResult<F::Output>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: super::MapItem<A>,
    {
        self.map(function, items).submit()
    }

    /// Calls a function for each item; returns an iterator over the results as they arrive, in
    /// order.
    ///
    /// # Errors
    /// As [`map_async`](Self::map_async).
    pub fn imap<A, M, F, I>(
        &self,
        function: F,
        items: I,
    ) -> Result<crate::Items<F::Output, crate::Chunks>, Error>
    where
        A: Transferable,
        F: IntoFunction<(A,), M>,
        I: IntoIterator,
        I::Item: super::MapItem<A>,
    {
        Ok(self.map(function, items).submit()?.into_iter())
    }

    /// Runs Rust source in the engines' namespaces, as `%px --noblock` does.
    ///
    /// # Errors
    /// `CompileError` if the source does not compile, `NoEngines` if there are no engines.
    pub fn execute(
        &self,
        source: impl Into<String>,
    ) -> Result<AsyncResult<ExecuteReply, S>, Error> {
        AsyncResult::submitted(self.group.execute(source.into()))
    }

    /// Runs a file of Rust source in the engines' namespaces, without waiting.
    ///
    /// # Errors
    /// `EnvironmentError` if the file cannot be read; otherwise as [`execute`](Self::execute).
    pub fn run(&self, file: impl AsRef<Path>) -> Result<AsyncResult<ExecuteReply, S>, Error> {
        AsyncResult::submitted(self.group.run(file.as_ref()))
    }

    /// Binds a function to this view: calling it runs it on the view's engines.
    ///
    /// # Errors
    /// `UsageError` if engines cannot call the function.
    pub fn remote<P, M, F: IntoFunction<P, M>>(
        &self,
        function: F,
    ) -> Result<RemoteFunction<P, F::Output, S>, Error> {
        Ok(RemoteFunction::new(self.clone(), function.into_function()?))
    }

    /// Binds a function of a list to this view: when it is called with a list, each engine runs it
    /// with a part of the list.
    ///
    /// # Errors
    /// `UsageError` if engines cannot call the function.
    pub fn parallel<A: Transferable, M, F: IntoFunction<(Vec<A>,), M>>(
        &self,
        function: F,
    ) -> Result<ParallelFunction<A, F::Output>, Error> {
        Ok(ParallelFunction::new(
            self.group.clone(),
            function.into_function()?,
        ))
    }

    /// Waits until all tasks of this session have ended, at most for `timeout`; returns true if
    /// they have.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait(&self, timeout: Option<std::time::Duration>) -> Result<bool, Error> {
        requests::live_engines()?;
        requests::wait(&[], timeout)
    }

    /// Returns the number of completed and pending tasks of the view's engines.
    ///
    /// # Errors
    /// `TimeoutError` if the controller does not reply, `EnvironmentError` if the connection to it
    /// is lost.
    pub fn queue_status(&self) -> Result<QueueStatus, Error> {
        requests::live_engines()?;
        requests::queue_status(&self.targets()?)
    }

    /// Aborts the tasks of this session on the view's engines that have not started.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn abort(&self) -> Result<(), Error> {
        requests::done(ClientRequest::Abort {
            tasks: Vec::new(),
            engines: self.targets()?,
        })
    }

    /// Clears the namespaces of the engines.
    ///
    /// # Errors
    /// `TimeoutError` if an engine does not reply, `EnvironmentError` if the connection to the
    /// controller is lost.
    pub fn clear(&self) -> Result<(), Error> {
        requests::done(ClientRequest::Clear {
            engines: self.targets()?,
        })
    }

    /// Shuts down the engines.
    ///
    /// # Errors
    /// `TimeoutError` if an engine does not end in time, `EnvironmentError` if the connection to
    /// the controller is lost.
    pub fn shutdown(&self) -> Result<(), Error> {
        let engines = self.targets()?;
        requests::done(ClientRequest::Shutdown {
            engines,
            hub: false,
        })
    }

    /// Deletes the results of these engines' tasks from the hub's records.
    ///
    /// # Errors
    /// `TimeoutError` if the hub does not reply, `EnvironmentError` if the connection to it is
    /// lost.
    pub fn purge_results(&self) -> Result<(), Error> {
        requests::done(ClientRequest::Purge {
            tasks: Vec::new(),
            engines: self.targets()?,
        })
    }
}

impl<S: Shape> Clone for DirectView<S> {
    fn clone(&self) -> Self {
        Self {
            group: self.group.clone(),
            shape: PhantomData,
        }
    }
}

impl<S: Shape> fmt::Debug for DirectView<S> {
    /// Formats as ipyparallel does: `<DirectView [0, 1, 2,...]>`, and `<DirectView 0>` for a single
    /// engine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.group.describe(S::IS_ONE, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::One;

    #[test]
    fn debug_format_is_that_of_ipyparallel() {
        let on = |engines: std::ops::Range<u32>| Some(engines.map(EngineId).collect());
        assert_eq!(
            format!("{:?}", DirectView::<One>::new(on(3..4))),
            "<DirectView 3>"
        );
        assert_eq!(
            format!("{:?}", DirectView::<Many>::new(on(3..4))),
            "<DirectView [3]>"
        );
        let many = format!("{:?}", DirectView::<Many>::new(on(0..16)));
        assert_eq!(many, "<DirectView [0, 1, 2, 3,...]>");
        assert_eq!(
            format!("{:?}", DirectView::<Many>::new(None)),
            "<DirectView all>"
        );
    }
}
