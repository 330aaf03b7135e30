//! How the values of tasks make up a result.

use crate::Error;
use crate::function::{Travels, from_value};
use crate::host::Frame;
use phalanx_protocol::failure::Failure;

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

    /// What one task has yielded.
    #[doc(hidden)]
    fn task<R: Travels>(value: &Frame) -> Result<Self::Task<R>, Error>;

    /// Puts the tasks' values together.
    #[doc(hidden)]
    fn all<R: Travels>(tasks: Vec<Self::Task<R>>) -> Result<Self::All<R>, Error>;
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

impl Shape for One {
    type Task<R: Travels> = R;
    type All<R: Travels> = R;
    type Part = Self;
    type Joined = Many;
    const IS_ONE: bool = true;

    fn task<R: Travels>(value: &Frame) -> Result<R, Error> {
        from_value(value)
    }

    fn all<R: Travels>(tasks: Vec<R>) -> Result<R, Error> {
        tasks.into_iter().next().ok_or_else(|| {
            Error(Failure::Internal {
                message: "an AsyncResult has no task".to_owned(),
            })
        })
    }
}

impl Shape for Many {
    type Task<R: Travels> = R;
    type All<R: Travels> = Vec<R>;
    type Part = One;
    type Joined = Self;

    fn task<R: Travels>(value: &Frame) -> Result<R, Error> {
        from_value(value)
    }

    fn all<R: Travels>(tasks: Vec<R>) -> Result<Vec<R>, Error> {
        Ok(tasks)
    }
}

impl Shape for Chunks {
    type Task<R: Travels> = Vec<R>;
    type All<R: Travels> = Vec<R>;
    type Part = Self;
    type Joined = Self;

    fn task<R: Travels>(value: &Frame) -> Result<Vec<R>, Error> {
        from_value(value)
    }

    fn all<R: Travels>(tasks: Vec<Vec<R>>) -> Result<Vec<R>, Error> {
        Ok(tasks.into_iter().flatten().collect())
    }
}
