//! How the values of tasks make up a result.

use super::outcomes::{Outcomes, Successes, no_task};
use crate::Error;
use crate::function::Travels;
use std::any::type_name;

/// How the values of an AsyncResult's tasks make up its result.
pub trait Shape: Clone + 'static {
    /// What one task yields.
    type Task<R: Travels>;
    /// What all of them yield.
    type All<R: Travels>;
    /// How the values of one of the tasks make up a result.
    type Part: Shape;
    /// How the values of several such results make up one.
    type Joined: Shape;

    /// Whether there is one task, whose value is the result.
    #[doc(hidden)]
    const IS_ONE: bool = false;

    /// Takes what came of the next task.
    #[doc(hidden)]
    fn next<R: Travels>(outcomes: &mut Outcomes) -> Option<Result<Self::Task<R>, Error>>;

    /// Puts the tasks' values together.
    #[doc(hidden)]
    fn all<R: Travels>(values: Result<Successes, Error>) -> Result<Self::All<R>, Error>;
}

/// One task: its value is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct One;

/// A value from every task, in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Many;

/// A list from every task, put together to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks;

fn next<R: Travels>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
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
    type Task<R: Travels> = R;
    type All<R: Travels> = R;
    type Part = Self;
    type Joined = Many;
    const IS_ONE: bool = true;

    fn next<R: Travels>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
        next(outcomes)
    }

    fn all<R: Travels>(values: Result<Successes, Error>) -> Result<R, Error> {
        let mut all = None;
        Successes::read(values, type_name::<R>(), &mut |from| {
            all = Some(R::deserialize(from)?);
            Ok(())
        })?;
        all.ok_or_else(no_task)
    }
}

impl Shape for Many {
    type Task<R: Travels> = R;
    type All<R: Travels> = Vec<R>;
    type Part = One;
    type Joined = Self;

    fn next<R: Travels>(outcomes: &mut Outcomes) -> Option<Result<R, Error>> {
        next(outcomes)
    }

    fn all<R: Travels>(values: Result<Successes, Error>) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        Successes::read(values, type_name::<R>(), &mut |from| {
            all.push(R::deserialize(from)?);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Shape for Chunks {
    type Task<R: Travels> = Vec<R>;
    type All<R: Travels> = Vec<R>;
    type Part = Self;
    type Joined = Self;

    fn next<R: Travels>(outcomes: &mut Outcomes) -> Option<Result<Vec<R>, Error>> {
        next(outcomes)
    }

    fn all<R: Travels>(values: Result<Successes, Error>) -> Result<Vec<R>, Error> {
        let mut all = Vec::new();
        Successes::read_items(values, type_name::<R>(), &mut |from| {
            all.push(R::deserialize(from)?);
            Ok(())
        })?;
        Ok(all)
    }
}
