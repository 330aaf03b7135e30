//! The shapes of results: single values, lists, maps.

use super::outcomes::{Outcomes, Successes, no_task};
use crate::Error;
use crate::codec::Transferable;
use std::any::type_name;

/// The way the values of an AsyncResult's tasks form its result: [`One`], [`Many`] or [`Chunks`].
///
/// Determined at compile time by the targets of a view: `rc.view(0)` is one engine; `rc.view(0..1)`
/// and `rc.all()` are several, regardless of their number.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let one: u32 = rc.view(0).apply_sync(|| std::process::id())?;
/// let many: Vec<u32> = rc.view(0..1).apply_sync(|| std::process::id())?;
/// assert_eq!(many, [one]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub trait Shape: Clone + 'static {
    /// The value of one task.
    type Task<R: Transferable>;
    /// The value of all tasks.
    type All<R: Transferable>;
    /// The shape of one of the tasks alone.
    type Part: Shape;
    /// The shape of several joined results.
    type Joined: Shape;

    /// True if there is one task, whose value is the result.
    #[doc(hidden)]
    const IS_ONE: bool = false;

    /// Reads the outcome of the next task.
    #[doc(hidden)]
    fn next<R: Transferable>(outcomes: &mut Outcomes) -> Option<Result<Self::Task<R>, Error>>;

    /// Combines the tasks' values into the result.
    #[doc(hidden)]
    fn all<R: Transferable>(values: Result<Successes, Error>) -> Result<Self::All<R>, Error>;
}

/// The shape of one task: its value is the result.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let pid: u32 = Client::connect()?.view(0).apply_sync(|| std::process::id())?;
/// assert!(pid > 0);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct One;

/// The shape of several tasks: a list of their values.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let pids: Vec<u32> = Client::connect()?.view([0, 1]).apply_sync(|| std::process::id())?;
/// assert_eq!(pids.len(), 2);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Many;

/// The shape of a map: the lists of all tasks, concatenated.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let squares: Vec<u64> = Client::connect()?.all().map_sync(|x: u64| x * x, 0..4u64)?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks;

fn next<R: Transferable>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
    let mut value = None;
    let read = outcomes.read(type_name::<R>(), &mut |from| {
        value = Some(R::deserialize(from)?);
        Ok(())
    });
    match read? {
        Ok(()) => value.map(Ok),
        Err(error) => Some(Err(error)),
    }
}

impl Shape for One {
    type Task<R: Transferable> = R;
    type All<R: Transferable> = R;
    type Part = Self;
    type Joined = Many;
    const IS_ONE: bool = true;

    fn next<R: Transferable>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
        next(outcomes)
    }

    fn all<R: Transferable>(values: Result<Successes, Error>) -> Result<R, Error> {
        let mut all = None;
        Successes::read(values, type_name::<R>(), &mut |from| {
            all = Some(R::deserialize(from)?);
            Ok(())
        })?;
        all.ok_or_else(no_task)
    }
}

impl Shape for Many {
    type Task<R: Transferable> = R;
    type All<R: Transferable> = Vec<R>;
    type Part = One;
    type Joined = Self;

    fn next<R: Transferable>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
        next(outcomes)
    }

    fn all<R: Transferable>(values: Result<Successes, Error>) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        Successes::read(values, type_name::<R>(), &mut |from| {
            all.push(R::deserialize(from)?);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Shape for Chunks {
    type Task<R: Transferable> = Vec<R>;
    type All<R: Transferable> = Vec<R>;
    type Part = Self;
    type Joined = Self;

    fn next<R: Transferable>(outcomes: &mut Outcomes) -> Option<Result<Vec<R>, Error>> {
        next(outcomes)
    }

    fn all<R: Transferable>(values: Result<Successes, Error>) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        Successes::read_items(values, type_name::<R>(), &mut |from| {
            all.push(R::deserialize(from)?);
            Ok(())
        })?;
        Ok(all)
    }
}
