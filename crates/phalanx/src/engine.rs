//! Functions for code that runs on an engine.

use crate::Error;
use crate::codec::{SerializableArg, Transferable};
use crate::error::LibraryError;
use crate::function::raise;
use phalanx_protocol::output::Output;
use std::collections::BTreeMap;

/// Publishes a value while a function runs: `ar.data()` returns the latest value of each name, as
/// JSON.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn work() -> Result<(), phalanx::Error> {
///     publish_data("step", &3)
/// }
/// let ar = Client::connect()?.view(0).apply_async(work)?;
/// ar.wait_for_output(None)?;
/// assert_eq!(ar.data()[0]["step"], 3);
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the value has no representation in JSON, or outside an engine.
pub fn publish_data<T: SerializableArg>(name: &str, value: &T) -> Result<(), Error> {
    if crate::engine_id().is_none() {
        return Err(LibraryError::NotAnEngine.into());
    }
    let value = serde_json::to_value(value).map_err(|error| {
        let error = &error;
        Error::from(LibraryError::Unpublished { name, error })
    })?;
    let data = BTreeMap::from([(name.to_owned(), value)]);
    crate::display::put(Output::Data(data))
}

/// Continues only if the condition holds; otherwise the scheduler tries another engine
/// (ipyparallel's `@depend`). Call it first in a load-balanced function.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn anywhere_but_0(_: u32) -> Option<u32> {
///     depend(phalanx::engine_id() != Some(0));
///     phalanx::engine_id()
/// }
/// let ids = Client::connect()?.load_balanced_view().map_sync(anywhere_but_0, 0..4u32)?;
/// assert!(ids.iter().all(|id| *id != Some(0)));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub fn depend(condition: bool) {
    if !condition {
        unmet("the function's condition does not hold on this engine");
    }
}

/// Reads a value from this engine's namespace; if there is none, the scheduler tries another engine
/// (ipyparallel's `@require`).
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// rc.view(0).push("table", &vec![1.0, 4.0])?;
/// let sum = rc.load_balanced_view().apply_sync(|| phalanx::require::<Vec<f64>>("table").iter().sum::<f64>())?;
/// assert_eq!(sum, 5.0);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub fn require<T: Transferable>(name: &str) -> T {
    match crate::namespace::get(name) {
        Ok(value) => value,
        Err(error) => unmet(&error.to_string()),
    }
}

fn unmet(why: &str) -> ! {
    raise("UnmetDependency", why.to_owned())
}
