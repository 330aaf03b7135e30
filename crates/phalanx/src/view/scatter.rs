//! Items distributed over engines.

use super::data::pushed_type;
use super::group::{EngineGroup, WriteRange, list, parcel};
use super::map::partition;
use super::submit::Args;
use crate::Error;
use crate::async_result::{AsyncResult, AsyncResultHandle, Many, Shape};
use crate::codec::{Parts, SerializableArg, ValueEncoder};
use crate::error::EncodeError;
use crate::opaque::opaque;
use crate::shared::{Plain, Shared};
use serde::Serialize;
use std::any::type_name;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;

/// A value that can be distributed over engines: anything that iterates over serializable values,
/// and [`Shared`] data.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let dv = Client::connect()?.all();
/// dv.scatter("words", ["to", "be", "or"]).wait()?; // of `String`s, on the engines
/// assert_eq!(dv.gather::<String>("words")?.get()?, ["to", "be", "or"]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub trait IntoSpread {
    /// The type that serializes parts of it.
    type Spread: Spread;

    /// Converts it into parts.
    #[doc(hidden)]
    fn into_spread(self) -> Self::Spread;
}

/// Items of which every engine receives a part.
#[doc(hidden)]
pub trait Spread {
    /// Returns the number of items.
    fn count(&self) -> usize;

    /// The name of the type of an item, or of a whole part if parts are serialized as one value.
    const TYPE_NAME: fn() -> &'static str;

    /// True if items are serialized one by one, and several form a list.
    const BY_ITEMS: bool;

    /// Serializes the items of a part, or the part as a whole.
    fn write(&self, part: Range<usize>, to: &mut ValueEncoder) -> Result<(), EncodeError>;
}

/// Items that engines receive as a `Vec`.
#[doc(hidden)]
pub struct SpreadList<T>(Vec<T>);

impl<I: IntoIterator> IntoSpread for I
where
    I::Item: SerializableArg,
{
    type Spread = SpreadList<I::Item>;

    fn into_spread(self) -> SpreadList<I::Item> {
        SpreadList(self.into_iter().collect())
    }
}

impl<T: Plain> IntoSpread for Shared<[T]> {
    type Spread = Self;

    fn into_spread(self) -> Self {
        self
    }
}

impl<T: Plain> IntoSpread for &Shared<[T]> {
    type Spread = Shared<[T]>;

    fn into_spread(self) -> Shared<[T]> {
        self.clone()
    }
}

impl<T: SerializableArg> Spread for SpreadList<T> {
    fn count(&self) -> usize {
        self.0.len()
    }

    const TYPE_NAME: fn() -> &'static str = type_name::<T>;
    const BY_ITEMS: bool = true;

    fn write(&self, part: Range<usize>, to: &mut ValueEncoder) -> Result<(), EncodeError> {
        for item in &self.0[part] {
            item.serialize(&mut *to)?;
        }
        Ok(())
    }
}

impl<T: Plain> Spread for Shared<[T]> {
    fn count(&self) -> usize {
        self.len()
    }

    const TYPE_NAME: fn() -> &'static str = type_name::<Self>;
    const BY_ITEMS: bool = false;

    fn write(&self, part: Range<usize>, to: &mut ValueEncoder) -> Result<(), EncodeError> {
        self.slice(part).serialize(to)
    }
}

/// Items to be sent to engines; [`submit`](Self::submit) or [`wait`](Self::wait) sends them.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let dv = Client::connect()?.all();
/// dv.scatter("part", 0..10u32).wait()?;
/// let sums = dv.apply_sync_with(|part: Vec<u32>| part.iter().sum::<u32>(), Reference("part"))?;
/// assert_eq!(sums.iter().sum::<u32>(), 45);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[must_use = "nothing is sent before `submit()` or `wait()`"]
pub struct Scatter<D, S: Shape> {
    scattering: Scattering,
    items: D,
    shape: PhantomData<fn() -> S>,
}

opaque! {
    struct Scattering of Description
}

/// The content of [`Scattering`].
struct Description {
    group: EngineGroup,
    name: String,
    flatten: bool,
}

impl<D: Spread, S: Shape> Scatter<D, S> {
    pub(super) fn new(group: &EngineGroup, name: &str, items: D) -> Self {
        Self {
            scattering: Scattering::new(group, name),
            items,
            shape: PhantomData,
        }
    }

    /// Sets whether an engine that receives a single item stores it bare instead of in a list.
    /// There must be as many items as engines then. [`Shared`] data stays a list.
    pub fn flatten(mut self, flatten: bool) -> Self {
        self.scattering.flatten(flatten);
        self
    }

    /// Sends the items without waiting.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if an item cannot be serialized,
    /// `EnvironmentError` if there is no memory for the items.
    pub fn submit(self) -> Result<AsyncResult<(), Many>, Error> {
        AsyncResult::submitted(self.send())
    }

    fn send(&self) -> Result<AsyncResultHandle, Error> {
        let write = |part: Range<usize>, to: &mut _| self.items.write(part, to);
        let (count, type_name) = (self.items.count(), (D::TYPE_NAME)());
        self.scattering
            .submit(count, type_name, D::BY_ITEMS, &write)
    }

    /// Sends the items and waits until the engines have stored them.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); the failure of one engine keeps its name, several failures are
    /// a `CompositeError`.
    pub fn wait(self) -> Result<(), Error> {
        sent(self.send())
    }

    /// Sends the items and waits until the engines have stored them, at most for `timeout`; returns
    /// true if they have.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn wait_timeout(self, timeout: Duration) -> Result<bool, Error> {
        self.send()?.wait_timeout(timeout)
    }
}

/// Waits until the engines have stored the items.
#[inline(never)]
fn sent(handle: Result<AsyncResultHandle, Error>) -> Result<(), Error> {
    handle?.successes().map(drop)
}

impl Scattering {
    #[inline(never)]
    fn new(group: &EngineGroup, name: &str) -> Self {
        Self::wrap(Description {
            group: group.clone(),
            name: name.to_owned(),
            flatten: false,
        })
    }

    #[inline(never)]
    fn flatten(&mut self, flatten: bool) {
        self.flatten = flatten;
    }

    #[inline(never)]
    fn submit(
        &self,
        count: usize,
        type_name: &str,
        by_items: bool,
        write: &WriteRange<'_>,
    ) -> Result<AsyncResultHandle, Error> {
        let engines = self.group.targets()?;
        let parts = partition(count, engines.len());
        let is_bare = self.flatten && parts.iter().all(|part| part.len() == 1);
        let (as_it_is, mut pushed) = (is_bare || !by_items, pushed_type(type_name));
        if !as_it_is {
            pushed = format!("alloc::vec::Vec<{pushed}>");
        }
        let mut tasks = Vec::new();
        for part in parts {
            let value = match as_it_is {
                true => Parts::written(type_name, &|to| write(part.clone(), to)),
                false => list(part, type_name, write),
            };
            tasks.push(parcel(&self.name, &pushed, value?)?);
        }
        EngineGroup::new(Some(engines)).submit_value(&self.name, pushed, Args::Each(tasks))
    }
}
