//! Maps: a function called for each item.

use super::submit::{Args, Submit};
use crate::async_result::{AsyncMapResult, AsyncResult, AsyncResultHandle, Chunks};
use crate::function::{IntoFunction, Parts, Travels};
use crate::{Client, Error};
use phalanx_protocol::apply::{ApplyPlacement, Heeds};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::marker::PhantomData;
use std::ops::Range;

/// An item of a map's input: a value of the function's parameter, or what borrows one (`&A`, `&str`
/// for a `String`, a slice or an array for a `Vec`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no item for a function with a parameter of type `{A}`",
    label = "the items are not `{A}`"
)]
pub trait Item<A> {
    /// The value.
    #[doc(hidden)]
    fn item(self) -> A;
}

/// What a value of the parameter's type is made of.
macro_rules! items {
    ($([$($generic:tt)*] $given:ty => $param:ty, |$this:ident| $value:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generic)*> Item<$param> for $given {
            fn item(self) -> $param {
                let $this = self;
                $value
            }
        }
    )*};
}

items! {
    [A] A => A, |value| value;
    [A: Clone] &A => A, |value| value.clone();
    [A: Clone] &&A => A, |value| A::clone(value);
    [] &str => String, |text| text.to_owned();
    [] &&str => String, |text| (*text).to_owned();
    [T: Clone] &[T] => Vec<T>, |items| items.to_vec();
    [T, const N: usize] [T; N] => Vec<T>, |items| items.into();
    [T: Clone, const N: usize] &[T; N] => Vec<T>, |items| items.to_vec();
}

/// A map that is being described; [`submit`](Self::submit) or [`sync`](Self::sync) sends it.
#[must_use = "nothing is sent before `submit()` or `sync()`"]
pub struct Map<A, M, F, I> {
    place: Place,
    label: Option<String>,
    function: F,
    items: I,
    chunksize: usize,
    ordered: bool,
    parameter: PhantomData<fn(A, M)>,
}

enum Place {
    Direct(Option<Vec<EngineId>>),
    Balanced(Heeds),
}

impl<A, M, F, I> Map<A, M, F, I>
where
    A: Travels,
    F: IntoFunction<(A,), M>,
    I: IntoIterator,
{
    fn new(place: Place, label: Option<String>, function: F, items: I) -> Self {
        Self {
            place,
            label,
            function,
            items,
            chunksize: 1,
            ordered: true,
            parameter: PhantomData,
        }
    }

    pub(super) fn direct(
        targets: Option<Vec<EngineId>>,
        label: Option<String>,
        function: F,
        items: I,
    ) -> Self {
        Self::new(Place::Direct(targets), label, function, items)
    }

    pub(super) fn balanced(heeds: Heeds, label: Option<String>, function: F, items: I) -> Self {
        Self::new(Place::Balanced(heeds), label, function, items)
    }

    /// How many items make up a task; 1 unless set. Of load-balanced maps alone: a direct view makes
    /// one task for each engine.
    pub fn chunksize(mut self, items: usize) -> Self {
        self.chunksize = items.max(1);
        self
    }

    /// Whether iterating yields items in the order of the inputs (as it does unless told otherwise),
    /// or as they arrive.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// The user's name for the tasks.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sends it; returns at once.
    ///
    /// # Errors
    /// When the items cannot be serialised, or there are no engines.
    pub fn submit(self) -> Result<AsyncMapResult<F::Output>, Error>
    where
        I::Item: Item<A>,
    {
        let items: Vec<A> = self.items.into_iter().map(Item::item).collect();
        if items.is_empty() {
            return Ok(AsyncResult::of(AsyncResultHandle::of_ranges(Vec::new())));
        }
        let (placement, parts) = match self.place {
            Place::Direct(targets) => {
                let mut engines = match targets {
                    Some(targets) => targets,
                    None => Client::connect()?.ids(),
                };
                if engines.is_empty() {
                    return Err(Error(Failure::NoEngines));
                }
                let mut parts = partition(items.len(), engines.len());
                parts.retain(|part| !part.is_empty());
                engines.truncate(parts.len());
                (ApplyPlacement::Engines(engines), parts)
            }
            Place::Balanced(heeds) => {
                let size = self.chunksize;
                let parts: Vec<_> = (0..items.len())
                    .step_by(size)
                    .map(|from| from..items.len().min(from + size))
                    .collect();
                let tasks = parts.len();
                (ApplyPlacement::Balanced { tasks, heeds }, parts)
            }
        };
        let mut tasks = Vec::with_capacity(parts.len());
        for part in parts {
            let count = part.len();
            tasks.push((Parts::of(&items[part])?, count));
        }
        let function = self.function.into_function()?;
        let submit = Submit {
            function: &function,
            placement,
            args: Args::Items(tasks),
            label: self.label,
            pushes: Vec::new(),
        };
        let result: AsyncResult<F::Output, Chunks> = submit.submit()?;
        Ok(if self.ordered {
            result
        } else {
            result.unordered()
        })
    }

    /// Sends it, waits, and gives the results in the order of the inputs.
    ///
    /// # Errors
    /// When it cannot be submitted, or an item failed.
    pub fn sync(self) -> Result<Vec<F::Output>, Error>
    where
        I::Item: Item<A>,
    {
        self.submit()?.get()
    }

    /// Sends it, waits, and gives what came of each task, failures among them: ipyparallel's
    /// `return_exceptions`.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn return_exceptions(self) -> Result<Vec<Result<F::Output, Error>>, Error>
    where
        I::Item: Item<A>,
    {
        Ok(self.submit()?.into_iter().collect())
    }
}

/// Runs of equal length; the first ones have one more where it does not work out (`getPartition`).
pub(super) fn partition(items: usize, parts: usize) -> Vec<Range<usize>> {
    let (base, more) = (items / parts, items % parts);
    let mut from = 0;
    (0..parts)
        .map(|part| {
            let to = from + base + usize::from(part < more);
            let range = from..to;
            from = to;
            range
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_ipyparallel() {
        assert_eq!(partition(10, 4), [0..3, 3..6, 6..8, 8..10]);
        assert_eq!(partition(2, 3), [0..1, 1..2, 2..2]);
    }
}
