//! The engines of a view.

use crate::Error;
use crate::async_result::{Many, One, Shape};
use crate::error::LibraryError;
use crate::requests::no_engine;
use phalanx_protocol::id::EngineId;
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// A value that selects engines: `0`, `-1` (the last), `1..3`, `..2`, `..`, `[0, 2]`, a list of
/// ids, `"all"`.
///
/// A number, or a number in a list, is an engine id; ranges are positions among the live engines,
/// like Python's slices of `rc.ids`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// assert_eq!(rc.view(..).targets()?, rc.ids());
/// assert_eq!(rc.view(-1).targets()?, rc.view([-1]).targets()?);
/// assert_eq!(rc.view(1..).targets()?.len(), rc.len() - 1);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no engines",
    note = "write `rc.view(0)`, `rc.view(1..3)`, `rc.view([0, 2])` or `rc.all()`; numbers are `i32` or `EngineId`"
)]
pub trait IntoTargets {
    /// The shape of results: one value, or one from each engine.
    type Shape: Shape;

    /// Selects engines among the live ones.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if one of the targets does not exist.
    fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error>;
}

/// Implemented for no other integer type, so that rustc infers the type of `0`, and with it the
/// shape of results.
impl IntoTargets for i32 {
    type Shape = One;

    fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
        let Ok(id) = u32::try_from(self) else {
            let distance = self.unsigned_abs() as usize;
            let id = ids
                .len()
                .checked_sub(distance)
                .and_then(|index| ids.get(index));
            return id.map(|id| vec![*id]).ok_or_else(|| no_such(self, ids));
        };
        EngineId(id).resolve(ids)
    }
}

impl IntoTargets for EngineId {
    type Shape = One;

    fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
        if ids.contains(&self) {
            Ok(vec![self])
        } else {
            Err(no_such(self, ids))
        }
    }
}

macro_rules! slices {
    ($($range:ty),*) => {$(
        impl IntoTargets for $range {
            type Shape = Many;

            fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
                let bound = |bound: std::ops::Bound<&i32>, from: bool| {
                    let count = ids.len();
                    let index = |bound: i32| match usize::try_from(bound) {
                        Ok(index) => index.min(count),
                        Err(_) => count.saturating_sub(bound.unsigned_abs() as usize),
                    };
                    match bound {
                        std::ops::Bound::Included(&bound) if from => index(bound),
                        std::ops::Bound::Included(&-1) => count,
                        std::ops::Bound::Included(&bound) => index(bound.saturating_add(1)),
                        std::ops::Bound::Excluded(&bound) => index(bound),
                        std::ops::Bound::Unbounded if from => 0,
                        std::ops::Bound::Unbounded => count,
                    }
                };
                use std::ops::RangeBounds;
                let from = bound(RangeBounds::<i32>::start_bound(&self), true);
                let to = bound(RangeBounds::<i32>::end_bound(&self), false);
                Ok(ids.get(from..to).unwrap_or_default().to_vec())
            }
        }
    )*};
}

slices!(
    Range<i32>,
    RangeFrom<i32>,
    RangeTo<i32>,
    RangeInclusive<i32>,
    RangeToInclusive<i32>,
    RangeFull
);

/// Every n-th engine: `rc.view((..).step_by(2))` is `rc[::2]`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// assert_eq!(rc.view((..).step_by(2)).targets()?.len(), rc.len().div_ceil(2));
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SteppedRange(usize);

/// `step_by` for `..`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// assert_eq!(rc.view((..).step_by(2)).targets()?[0], rc.ids()[0]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub trait StepBy {
    /// Selects every `step`-th engine, starting with the first.
    fn step_by(self, step: usize) -> SteppedRange;
}

impl StepBy for RangeFull {
    fn step_by(self, step: usize) -> SteppedRange {
        SteppedRange(step.max(1))
    }
}

impl IntoTargets for SteppedRange {
    type Shape = Many;

    fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
        Ok(ids.iter().step_by(self.0).copied().collect())
    }
}

macro_rules! lists {
    ($([$($generic:tt)*] $list:ty),*) => {$(
        impl<$($generic)*> IntoTargets for $list
        where
            T: IntoTargets<Shape = One> + Clone,
        {
            type Shape = Many;

            fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
                let mut all = Vec::new();
                for one in self.iter().cloned() {
                    all.extend(one.resolve(ids)?);
                }
                Ok(all)
            }
        }
    )*};
}

lists!([T, const N: usize] [T; N], [T] Vec<T>, [T] &[T], [T] &Vec<T>);

impl IntoTargets for &str {
    type Shape = Many;

    fn resolve(self, ids: &[EngineId]) -> Result<Vec<EngineId>, Error> {
        if self == "all" {
            return Ok(ids.to_vec());
        }
        Err(LibraryError::Targets(self).into())
    }
}

fn no_such(target: impl std::fmt::Display, ids: &[EngineId]) -> Error {
    if ids.is_empty() {
        return no_engine();
    }
    LibraryError::NoEngine {
        target: &target,
        ids,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(targets: impl IntoTargets) -> Vec<u32> {
        let ids = [0, 2, 5, 7].map(EngineId);
        let engines = targets.resolve(&ids).unwrap_or_default();
        engines.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn indices_and_ranges_are_those_of_python() {
        assert_eq!((of(5), of(-1), of(1)), (vec![5], vec![7], vec![]));
        assert_eq!(
            (of(1..3), of(..-1), of(-2..)),
            (vec![2, 5], vec![0, 2, 5], vec![5, 7])
        );
        assert_eq!(
            (of(..), of(..=1), of(2..2)),
            (vec![0, 2, 5, 7], vec![0, 2], vec![])
        );
        assert_eq!(
            (of([0, 7]), of(vec![EngineId(5)]), of("all").len()),
            (vec![0, 7], vec![5], 4)
        );
        assert_eq!(of(StepBy::step_by(.., 2)), [0, 5]);
    }
}
