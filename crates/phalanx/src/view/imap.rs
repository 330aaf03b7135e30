//! A map over an input that is read as needed.

use super::{LoadBalancedView, MapItem};
use crate::Error;
use crate::async_result::{AsyncResultHandle, One, Shape};
use crate::codec::Transferable;
use crate::function::{EncodedArgs, Located};
use crate::opaque::opaque;
use crate::requests::live_engines;
use std::any::type_name;
use std::collections::VecDeque;
use std::marker::PhantomData;

/// The results of a function for the items of an input that is read as needed: the number of
/// pending items is limited.
///
/// Dropping it stops reading the input.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let squares = lbv.imap(|x: u64| x * x, 1u64..)?; // an endless input
/// let first: Vec<u64> = squares.take(3).collect::<Result<_, _>>()?;
/// assert_eq!(first, [1, 4, 9]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct Imap<A, R: Transferable, I> {
    window: Window,
    items: I,
    types: PhantomData<fn(A) -> R>,
}

opaque! {
    /// The pending calls.
    struct Window of Calls
}

/// The content of [`Window`].
struct Calls {
    view: LoadBalancedView,
    function: Located,
    max: usize,
    ordered: bool,
    cancelled: bool,
    under_way: VecDeque<AsyncResultHandle>,
}

impl<A, R, I> Imap<A, R, I>
where
    A: Transferable,
    R: Transferable,
    I: Iterator,
    I::Item: MapItem<A>,
{
    pub(super) fn new(view: LoadBalancedView, function: Located, items: I) -> Self {
        Self {
            window: Window::new(view, function),
            items,
            types: PhantomData,
        }
    }

    /// Sets the maximum number of pending items; by default the number of engines, and 0 for no
    /// limit.
    #[must_use]
    pub fn max_outstanding(mut self, max: usize) -> Self {
        self.window.limit(max);
        self
    }

    /// Sets whether results are yielded in the order of the input (the default) or as they arrive.
    #[must_use]
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.window.set_ordered(ordered);
        self
    }

    /// Stops reading the input; pending items are still yielded.
    pub fn cancel(&mut self) {
        self.window.cancel();
    }
}

impl<A, R, I> Iterator for Imap<A, R, I>
where
    A: Transferable,
    R: Transferable,
    I: Iterator,
    I::Item: MapItem<A>,
{
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.window.has_room() {
            let Some(item) = self.items.next() else {
                self.window.cancel();
                break;
            };
            let item: A = item.item();
            let mut args = EncodedArgs::new();
            args.write(type_name::<A>(), &|to| item.serialize(to));
            if let Err(error) = self.window.send(args) {
                return Some(Err(error));
            }
        }
        match self.window.ended() {
            Ok(result) => Some(One::all(result?.successes())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Window {
    #[inline(never)]
    fn new(view: LoadBalancedView, function: Located) -> Self {
        let engines = live_engines().map_or(1, |engines| engines.len());
        Self::wrap(Calls {
            view,
            function,
            max: engines.max(1),
            ordered: true,
            cancelled: false,
            under_way: VecDeque::new(),
        })
    }

    #[inline(never)]
    fn limit(&mut self, max: usize) {
        self.max = if max == 0 { usize::MAX } else { max };
    }

    #[inline(never)]
    fn set_ordered(&mut self, ordered: bool) {
        self.ordered = ordered;
    }

    #[inline(never)]
    fn cancel(&mut self) {
        self.cancelled = true;
    }

    #[inline(never)]
    fn has_room(&self) -> bool {
        !self.cancelled && self.under_way.len() < self.max
    }

    #[inline(never)]
    fn send(&mut self, args: EncodedArgs) -> Result<(), Error> {
        let result = self.view.submit(Ok(self.function.clone()), args);
        self.cancelled |= result.is_err();
        self.under_way.push_back(result?);
        Ok(())
    }

    /// Takes the next call to yield: the oldest one if ordered, otherwise any finished one.
    #[inline(never)]
    fn ended(&mut self) -> Result<Option<AsyncResultHandle>, Error> {
        if self.ordered || self.under_way.len() < 2 {
            return Ok(self.under_way.pop_front());
        }
        let all: Vec<_> = self.under_way.iter().cloned().collect();
        let joined = AsyncResultHandle::join(&all);
        match joined.and_then(|all_of| all_of.next_ended(&vec![0; all.len()], None)) {
            Ok(ended) => {
                let first = ended.first().copied().unwrap_or_default();
                Ok(self.under_way.remove(first))
            }
            Err(error) => {
                self.cancelled = true;
                self.under_way.clear();
                Err(error)
            }
        }
    }
}
