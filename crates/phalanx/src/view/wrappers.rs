//! Functions bound to a view: ipyparallel's `@view.remote` and `@view.parallel`.

use super::DirectView;
use super::group::EngineGroup;
use crate::Error;
use crate::async_result::{AsyncResult, Chunks, Many, Shape};
use crate::codec::Transferable;
use crate::function::{Arguments, EncodedArgs, Function};
use std::any::type_name;
use std::fmt;
use std::ops::Range;

/// A function bound to a view: calling it runs it on the view's engines.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let is_set = Client::connect()?.view(0).remote(|name: String| std::env::var(name).is_ok())?;
/// assert!(is_set.call("PATH")?);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RemoteFunction<P, R, S: Shape> {
    view: DirectView<S>,
    function: Function<P, R>,
}

impl<P, R: Transferable, S: Shape> RemoteFunction<P, R, S> {
    pub(super) fn new(view: DirectView<S>, function: Function<P, R>) -> Self {
        Self { view, function }
    }

    /// Calls the function with these arguments, and waits for the results.
    ///
    /// # Errors
    /// As [`call_async`](Self::call_async); the failure of one engine keeps its name (`Panic`, …),
    /// several failures are a `CompositeError`.
    pub fn call(&self, arguments: impl Arguments<P>) -> Result<S::All<R>, Error> {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        S::all(
            self.view
                .group
                .call(Ok(self.function.located().clone()), args),
        )
    }

    /// Submits a call with these arguments.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if an argument cannot be serialized or an
    /// engine is gone, `EnvironmentError` if there is no memory for the arguments.
    pub fn call_async(&self, arguments: impl Arguments<P>) -> Result<AsyncResult<R, S>, Error> {
        let mut args = EncodedArgs::new();
        arguments.encode_all(&mut args);
        let function = Ok(self.function.located().clone());
        AsyncResult::submitted(self.view.group.submit(function, args))
    }
}

/// A function of a list, bound to a view: each engine runs it with its part of the list.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let dv = Client::connect()?.all();
/// let total = dv.parallel(|xs: Vec<f64>| xs.iter().sum::<f64>())?;
/// let totals: Vec<f64> = total.call(&[1.0, 2.0, 3.0, 4.0])?; // one from each engine
/// assert_eq!(totals.iter().sum::<f64>(), 10.0);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone)]
pub struct ParallelFunction<A, R> {
    group: EngineGroup,
    function: Function<(Vec<A>,), R>,
}

impl<A, R> fmt::Debug for ParallelFunction<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelFunction")
            .field("targets", self.group.chosen())
            .field("function", &self.function)
            .finish()
    }
}

impl<A: Transferable, R: Transferable> ParallelFunction<A, R> {
    pub(super) fn new(group: EngineGroup, function: Function<(Vec<A>,), R>) -> Self {
        Self { group, function }
    }

    /// Calls the function with a list, and waits for the result of each engine's part.
    ///
    /// # Errors
    /// As [`call_async`](Self::call_async); the failure of one engine keeps its name (`Panic`, …),
    /// several failures are a `CompositeError`.
    pub fn call(&self, items: &[A]) -> Result<Vec<R>, Error> {
        let result: AsyncResult<R, Many> = self.submit(items)?;
        result.get()
    }

    /// Submits a call with a list.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if an item cannot be serialized or an
    /// engine is gone, `EnvironmentError` if there is no memory for the items.
    pub fn call_async(&self, items: &[A]) -> Result<AsyncResult<R, Many>, Error> {
        self.submit(items)
    }

    fn submit<S: Shape, T: Transferable>(&self, items: &[A]) -> Result<AsyncResult<T, S>, Error> {
        let write = |part: Range<usize>, to: &mut _| {
            let mut items = items[part].iter();
            items.try_for_each(|item| item.serialize(&mut *to))
        };
        let function = self.function.located();
        let count = items.len();
        let handle = self
            .group
            .submit_parts(function, count, type_name::<A>(), &write);
        AsyncResult::submitted(handle)
    }
}

impl<A: Transferable, R: Transferable> ParallelFunction<A, Vec<R>> {
    /// Calls the function with a list, and waits for the concatenated lists of all engines.
    ///
    /// # Errors
    /// As [`call_async`](Self::call_async); the failure of one engine keeps its name (`Panic`, …),
    /// several failures are a `CompositeError`.
    pub fn flat(&self, items: &[A]) -> Result<Vec<R>, Error> {
        let result: AsyncResult<R, Chunks> = self.submit(items)?;
        result.get()
    }
}
