//! Maps: calls of a function for each item of an input.

use super::group::{EngineGroup, WriteRange, list};
use super::submit::{Args, FunctionRequest};
use crate::Error;
use crate::async_result::{
    AsyncMapResult, AsyncResult, AsyncResultHandle, Chunks, Shape, Successes,
};
use crate::codec::{Transferable, ValueEncoder};
use crate::function::{IntoFunction, Located};
use crate::opaque::opaque;
use phalanx_protocol::apply::{ApplyPlacement, SchedulingOptions};
use std::any::type_name;
use std::marker::PhantomData;
use std::ops::Range;

/// An item of a map's input: a value of the parameter's type, or a borrowed form of one (`&A`,
/// `&str` for a `String`, a slice or an array for a `Vec`).
///
/// ```no_run
/// use phalanx::prelude::*;
/// let words = vec!["to".to_owned(), "be".to_owned()];
/// let lbv = Client::connect()?.load_balanced_view();
/// assert_eq!(lbv.map_sync(|word: String| word.len(), &words)?, [2, 2]);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item for a function with a parameter of type `{A}`",
    label = "the items are not `{A}`"
)]
pub trait MapItem<A> {
    /// Converts it into the parameter's type.
    #[doc(hidden)]
    fn item(self) -> A;
}

/// Implements `MapItem` for the types that convert into the parameter's type.
macro_rules! items {
    ($([$($generic:tt)*] $item:ty => $param:ty, |$this:ident| $value:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generic)*> MapItem<$param> for $item {
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

/// The description of a map; [`submit`](Self::submit) or [`sync`](Self::sync) sends it.
///
/// Results are in the order of the inputs. A direct view assigns each engine a contiguous part of
/// about equal length; a load-balanced view makes tasks of [`chunksize`](Self::chunksize) items.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let ar = lbv.map(|x: u64| x * x, 0..100u64).chunksize(10).label("squares").submit()?;
/// assert_eq!((ar.tasks(), ar.get()?.len()), (10, 100));
/// # Ok::<(), phalanx::Error>(())
/// ```
#[must_use = "nothing is sent before `submit()` or `sync()`"]
pub struct Map<A, M, F, I> {
    plan: MapPlan,
    function: F,
    items: I,
    parameter: PhantomData<fn(A, M)>,
}

opaque! {
    /// The options of a map.
    pub(super) struct MapPlan of PlannedMap
}

/// The content of [`MapPlan`].
pub(super) struct PlannedMap {
    placement: MapPlacement,
    label: Option<String>,
    chunksize: usize,
    ordered: bool,
}

enum MapPlacement {
    Direct(EngineGroup),
    Balanced(SchedulingOptions),
}

impl<A, M, F, I> Map<A, M, F, I>
where
    A: Transferable,
    F: IntoFunction<(A,), M>,
    I: IntoIterator,
{
    pub(super) fn direct(group: &EngineGroup, function: F, items: I) -> Self {
        Self::new(MapPlan::direct(group), function, items)
    }

    pub(super) fn new(plan: MapPlan, function: F, items: I) -> Self {
        Self {
            plan,
            function,
            items,
            parameter: PhantomData,
        }
    }

    /// Sets the number of items per task; 1 by default. Only for load-balanced maps: a direct view
    /// makes one task per engine.
    pub fn chunksize(mut self, items: usize) -> Self {
        self.plan.chunksize(items);
        self
    }

    /// Sets whether iteration yields items in the order of the inputs (the default) or as they
    /// arrive.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.plan.ordered(ordered);
        self
    }

    /// Sets the tasks' label in the hub's records.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.plan.label(label.into());
        self
    }

    /// Submits the map without waiting.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot call the function or an
    /// item cannot be serialized, `EnvironmentError` if there is no memory for the items.
    pub fn submit(self) -> Result<AsyncMapResult<F::Output>, Error>
    where
        I::Item: MapItem<A>,
    {
        let is_ordered = self.plan.is_ordered();
        let result = AsyncResult::submitted(self.send(MapPlan::submit))?;
        Ok(result.ordered(is_ordered))
    }

    /// Serializes the items and sends the map with `send`.
    fn send<T>(self, send: MapSender<T>) -> T
    where
        I::Item: MapItem<A>,
    {
        let mut items = Vec::new();
        for item in self.items {
            items.push(item.item());
        }
        let write = |part: Range<usize>, to: &mut ValueEncoder| {
            for item in &items[part] {
                A::serialize(item, &mut *to)?;
            }
            Ok(())
        };
        let function = self.function.into_many();
        send(self.plan, items.len(), type_name::<A>(), &write, function)
    }

    /// Submits the map and waits for the results, in the order of the inputs.
    ///
    /// # Errors
    /// As [`submit`](Self::submit); the failure of one task keeps the name it had on the engine
    /// (`Panic`, …), several failures are a `CompositeError`.
    pub fn sync(self) -> Result<Vec<F::Output>, Error>
    where
        I::Item: MapItem<A>,
    {
        Chunks::all(self.send(MapPlan::call))
    }

    /// Submits the map and waits for the outcome of each item, failures included, as ipyparallel's
    /// `return_exceptions` does.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn return_exceptions(self) -> Result<Vec<Result<F::Output, Error>>, Error>
    where
        I::Item: MapItem<A>,
    {
        Ok(self.submit()?.into_iter().collect())
    }
}

/// Sends a map: its plan, the number of items, the name of their type, their serialization, and the
/// function.
type MapSender<T> = fn(MapPlan, usize, &str, &WriteRange<'_>, Result<Located, Error>) -> T;

impl MapPlan {
    #[inline(never)]
    fn direct(group: &EngineGroup) -> Self {
        Self::of(MapPlacement::Direct(group.clone()), group.label())
    }

    pub(super) fn balanced(conditions: SchedulingOptions, label: Option<String>) -> Self {
        Self::of(MapPlacement::Balanced(conditions), label)
    }

    fn of(placement: MapPlacement, label: Option<String>) -> Self {
        Self::wrap(PlannedMap {
            placement,
            label,
            chunksize: 1,
            ordered: true,
        })
    }

    #[inline(never)]
    fn chunksize(&mut self, items: usize) {
        self.chunksize = items.max(1);
    }

    #[inline(never)]
    fn ordered(&mut self, ordered: bool) {
        self.ordered = ordered;
    }

    #[inline(never)]
    fn label(&mut self, label: String) {
        self.label = Some(label);
    }

    #[inline(never)]
    fn is_ordered(&self) -> bool {
        self.ordered
    }

    #[inline(never)]
    fn submit(
        self,
        count: usize,
        type_name: &str,
        write: &WriteRange<'_>,
        function: Result<Located, Error>,
    ) -> Result<AsyncResultHandle, Error> {
        if count == 0 {
            return Ok(AsyncResultHandle::of_ranges(Vec::new()));
        }
        let plan = self.into_content();
        let (placement, parts) = match plan.placement {
            MapPlacement::Direct(group) => {
                let (engines, parts) = group.parts(count)?;
                (ApplyPlacement::Engines(engines), parts)
            }
            MapPlacement::Balanced(conditions) => {
                let size = plan.chunksize;
                let parts: Vec<_> = (0..count)
                    .step_by(size)
                    .map(|from| from..count.min(from.saturating_add(size)))
                    .collect();
                let tasks = parts.len();
                (ApplyPlacement::Balanced { tasks, conditions }, parts)
            }
        };
        let mut tasks = Vec::with_capacity(parts.len());
        for part in parts {
            let count = part.len();
            tasks.push((list(part, type_name, write)?, count));
        }
        let request = FunctionRequest {
            function: function?,
            placement,
            args: Args::Items(tasks),
            label: plan.label,
            pushes: Vec::new(),
        };
        request.submit()
    }

    #[inline(never)]
    fn call(
        self,
        count: usize,
        type_name: &str,
        write: &WriteRange<'_>,
        function: Result<Located, Error>,
    ) -> Result<Successes, Error> {
        self.submit(count, type_name, write, function)?.successes()
    }
}

/// Splits items into contiguous parts of equal length; if they do not divide evenly, the first
/// parts have one more (ipyparallel's `getPartition`).
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
    fn parts_are_split_as_in_ipyparallel() {
        assert_eq!(partition(10, 4), [0..3, 3..6, 6..8, 8..10]);
        assert_eq!(partition(2, 3), [0..1, 1..2, 2..2]);
    }
}
