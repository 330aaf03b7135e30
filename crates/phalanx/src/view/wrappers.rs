//! Functions with the view they run on: ipyparallel's `@view.remote` and `@view.parallel`.

use super::DirectView;
use super::submit::{Args, Submit};
use crate::async_result::{AsyncResult, AsyncResultHandle, Chunks, Many, Shape};
use crate::function::{Arguments, Encoded, Function, Travels};
use crate::{Client, Error};
use phalanx_protocol::apply::ApplyPlacement;
use phalanx_protocol::id::EngineId;

/// A function that runs on a view's engines when it is called.
#[derive(Clone, Debug)]
pub struct RemoteFunction<P, R, S: Shape> {
    view: DirectView<S>,
    function: Function<P, R>,
}

impl<P, R: Travels, S: Shape> RemoteFunction<P, R, S> {
    pub(super) fn new(view: DirectView<S>, function: Function<P, R>) -> Self {
        Self { view, function }
    }

    /// Calls it with these arguments; waits for the results.
    ///
    /// # Errors
    /// When it cannot be submitted, or failed on an engine.
    pub fn call(&self, arguments: impl Arguments<P>) -> Result<S::All<R>, Error> {
        self.call_async(arguments)?.get()
    }

    /// Calls it with these arguments; returns at once.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn call_async(&self, arguments: impl Arguments<P>) -> Result<AsyncResult<R, S>, Error> {
        self.view
            .call_encoded(&self.function, arguments.encode_all()?)
    }
}

/// A function of a list: each engine calls it with its part of the list it is called with.
#[derive(Clone, Debug)]
pub struct ParallelFunction<A, R> {
    targets: Option<Vec<EngineId>>,
    function: Function<(Vec<A>,), R>,
}

impl<A: Travels, R: Travels> ParallelFunction<A, R> {
    pub(super) fn new(targets: Option<Vec<EngineId>>, function: Function<(Vec<A>,), R>) -> Self {
        Self { targets, function }
    }

    /// Calls it with a list; what each engine made of its part.
    ///
    /// # Errors
    /// When it cannot be submitted, or failed on an engine.
    pub fn call(&self, items: &[A]) -> Result<Vec<R>, Error> {
        let result: AsyncResult<R, Many> = self.submit(items)?;
        result.get()
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn call_async(&self, items: &[A]) -> Result<AsyncResult<R, Many>, Error> {
        self.submit(items)
    }

    fn submit<S: Shape, T: Travels>(&self, items: &[A]) -> Result<AsyncResult<T, S>, Error> {
        let mut engines = match &self.targets {
            Some(targets) => targets.clone(),
            None => Client::connect()?.ids(),
        };
        if engines.is_empty() {
            return Err(Error(phalanx_protocol::failure::Failure::NoEngines));
        }
        if items.is_empty() {
            return Ok(AsyncResult::of(AsyncResultHandle::of_ranges(Vec::new())));
        }
        let mut parts = super::map::partition(items.len(), engines.len());
        parts.retain(|part| !part.is_empty());
        engines.truncate(parts.len());
        let mut tasks = Vec::new();
        for part in parts {
            let mut args = Encoded::default();
            args.value(crate::function::Parts::of(&items[part])?);
            tasks.push(args);
        }
        Submit {
            function: &self.function,
            placement: ApplyPlacement::Engines(engines),
            args: Args::Each(tasks),
            label: None,
            pushes: Vec::new(),
        }
        .submit()
    }
}

impl<A: Travels, R: Travels> ParallelFunction<A, Vec<R>> {
    /// Calls it with a list; the lists the engines made of their parts, put together.
    ///
    /// # Errors
    /// When it cannot be submitted, or failed on an engine.
    pub fn flat(&self, items: &[A]) -> Result<Vec<R>, Error> {
        let result: AsyncResult<R, Chunks> = self.submit(items)?;
        result.get()
    }
}
