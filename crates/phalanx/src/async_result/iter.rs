//! The items of an AsyncResult, as they arrive.

use super::arrivals::Arrivals;
use super::{AsyncResult, Chunks, Many, Shape};
use crate::Error;
use crate::codec::Transferable;
use std::any::type_name;
use std::marker::PhantomData;

/// Yields items as they arrive: in task order, or, for an unordered map, as tasks end.
///
/// An item of a failed task is its error; a failed task yields its error once, for all its items.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let ar = lbv.map(|x: u64| x * x, 0..4u64).submit()?;
/// for square in &ar {
///     println!("{}", square?);
/// }
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct Items<R: Transferable, S: Shape> {
    arrivals: Arrivals,
    values: PhantomData<fn() -> (R, S)>,
}

/// A shape that can be iterated item by item.
#[doc(hidden)]
pub trait IterableShape: Shape {
    /// True if the value of a task is a list of items.
    const LISTS: bool;
}

impl IterableShape for Many {
    const LISTS: bool = false;
}

impl IterableShape for Chunks {
    const LISTS: bool = true;
}

impl<R: Transferable, S: IterableShape> Iterator for Items<R, S> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut item = None;
        let arrived = self.arrivals.next(type_name::<R>(), &mut |from| {
            item = Some(R::deserialize(from)?);
            Ok(())
        });
        match arrived? {
            Ok(()) => item.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: Transferable, S: IterableShape> AsyncResult<R, S> {
    /// Returns an iterator over the items as they arrive.
    pub fn iter(&self) -> Items<R, S> {
        Items {
            arrivals: Arrivals::of(&self.handle, self.ordered, S::LISTS),
            values: PhantomData,
        }
    }
}

impl<R: Transferable, S: IterableShape> IntoIterator for &AsyncResult<R, S> {
    type Item = Result<R, Error>;
    type IntoIter = Items<R, S>;

    fn into_iter(self) -> Items<R, S> {
        self.iter()
    }
}

impl<R: Transferable, S: IterableShape> IntoIterator for AsyncResult<R, S> {
    type Item = Result<R, Error>;
    type IntoIter = Items<R, S>;

    fn into_iter(self) -> Items<R, S> {
        self.iter()
    }
}
