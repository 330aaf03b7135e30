//! Items spread over engines.

use super::DirectView;
use super::data::{parcel, pushed_type, receiver};
use super::map::partition;
use super::submit::Args;
use crate::Error;
use crate::async_result::{AsyncResult, Many, Shape};
use crate::function::{Parts, Sendable};
use crate::shared::{Plain, Shared};
use phalanx_protocol::apply::Pushed;
use std::ops::Range;
use std::time::Duration;

/// What can be spread over engines: everything that iterates over values that are serialised, and
/// [`Shared`] data.
pub trait IntoSpread {
    /// What makes parts of it.
    type Spread: Spread;

    /// Takes it.
    #[doc(hidden)]
    fn into_spread(self) -> Self::Spread;
}

/// Items, of which every engine gets a part.
#[doc(hidden)]
pub trait Spread {
    /// How many items there are.
    fn count(&self) -> usize;

    /// The type of a part, or of a single item.
    fn type_name(&self, bare: bool) -> String;

    /// A part, or the first of its items.
    fn part(&self, part: Range<usize>, bare: bool) -> Result<Parts, Error>;
}

/// Items that engines get in a `Vec`.
#[doc(hidden)]
pub struct List<T>(Vec<T>);

impl<I: IntoIterator> IntoSpread for I
where
    I::Item: Sendable,
{
    type Spread = List<I::Item>;

    fn into_spread(self) -> List<I::Item> {
        List(self.into_iter().collect())
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

impl<T: Sendable> Spread for List<T> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn type_name(&self, bare: bool) -> String {
        match bare {
            true => pushed_type::<T>(),
            false => format!("alloc::vec::Vec<{}>", pushed_type::<T>()),
        }
    }

    fn part(&self, part: Range<usize>, bare: bool) -> Result<Parts, Error> {
        match &self.0[part] {
            [item] if bare => Parts::of(item),
            items => Parts::of(items),
        }
    }
}

impl<T: Plain> Spread for Shared<[T]> {
    fn count(&self) -> usize {
        self.len()
    }

    fn type_name(&self, _: bool) -> String {
        pushed_type::<Self>()
    }

    fn part(&self, part: Range<usize>, _: bool) -> Result<Parts, Error> {
        Parts::of(&self.slice(part))
    }
}

/// Items on their way to engines; [`submit`](Self::submit) or [`wait`](Self::wait) sends them.
#[must_use = "nothing is sent before `submit()` or `wait()`"]
pub struct Scatter<D, S: Shape> {
    view: DirectView<S>,
    name: String,
    items: D,
    flatten: bool,
}

impl<D: Spread, S: Shape> Scatter<D, S> {
    pub(super) fn new(view: DirectView<S>, name: &str, items: D) -> Self {
        Self {
            view,
            name: name.to_owned(),
            items,
            flatten: false,
        }
    }

    /// Whether an engine that gets a single item gets it bare rather than in a list. There must be
    /// as many items as engines then. [`Shared`] data stays a list.
    pub fn flatten(mut self, flatten: bool) -> Self {
        self.flatten = flatten;
        self
    }

    /// Sends the items; returns at once.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn submit(self) -> Result<AsyncResult<(), Many>, Error> {
        let engines = self.view.targets()?;
        let parts = partition(self.items.count(), engines.len());
        let bare = self.flatten && parts.iter().all(|part| part.len() == 1);
        let type_name = self.items.type_name(bare);
        let mut tasks = Vec::new();
        for part in parts {
            tasks.push(parcel(
                &self.name,
                &type_name,
                self.items.part(part, bare)?,
            )?);
        }
        let pushed = Pushed {
            name: self.name,
            type_name,
        };
        let view = DirectView::<Many>::new(Some(engines));
        view.send(&receiver()?, Args::Each(tasks), vec![pushed])
    }

    /// Sends the items and waits until the engines have them.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn wait(self) -> Result<(), Error> {
        self.submit()?.get().map(drop)
    }

    /// The same, at most for that long; whether they have them.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn wait_timeout(self, timeout: Duration) -> Result<bool, Error> {
        self.submit()?.wait_timeout(timeout)
    }
}
