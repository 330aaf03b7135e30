//! Functions for engines: code of the notebook as (library, offset), with its captures.
//!
//! | file | contents |
//! |---|---|
//! | `invoke.rs` | callable types and their parameters |
//! | `borrow.rs` | parameters that are references |
//! | `trampoline.rs` | the C functions that engines call, and their location: unsafe |
//! | `located.rs` | the location of a function, independent of its types |
//! | `call.rs` | one call, on the engine |
//! | `transfer.rs` | the functions by which engines store and return values of their namespace |
//! | `args.rs` | arguments: values and references |
//! | `frame.rs` | arguments and values in transit |

mod args;
mod borrow;
mod call;
mod frame;
mod invoke;
mod located;
mod trampoline;
mod transfer;

pub use args::{Argument, Arguments, Reference};
pub use borrow::{ByRef, Lend};
pub use invoke::{IntoFunction, Invoke, WithCaptures};

pub use located::Located;

pub(crate) use args::{EncodedArgs, EncodedParts};
pub(crate) use frame::ArgumentFrames;
pub(crate) use trampoline::raise;
pub(crate) use transfer::{fetcher, receiver};

use crate::Error;
use crate::codec::Transferable;
use invoke::ParameterTypes;
use located::Captures;
use std::fmt;
use std::marker::PhantomData;

/// A function that engines can call, with parameters `P` (a tuple) and result `R`.
///
/// Made from any `fn` or closure that captures nothing, and by [`task!`](crate::task!) from one
/// that captures. It consists of an offset in the library of the defining cell and the captures;
/// each engine receives the library once. Cheap to clone; may be kept in a variable.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let k = 3.0;
/// let scale: Function<(f64,), f64> = task!([k] |x: f64| k * x)?;
/// assert_eq!(rc.view(0).apply_sync_with(scale.clone(), 2.0)?, 6.0);
/// assert_eq!(rc.all().map_sync(scale, [1.0, 2.0])?, [3.0, 6.0]);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct Function<P, R> {
    located: Located,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Function<P, R> {
    /// Locates the trampolines of `I`; `captures` are the values from which the engine constructs
    /// it.
    fn locate<I: Invoke<P, Output = R>>(
        name: &'static str,
        captures: Captures,
    ) -> Result<Self, Error>
    where
        P: ParameterTypes + Transferable,
        R: Transferable,
    {
        let (single, many) = (trampoline::single::<I, P>, trampoline::many::<I, P>);
        Ok(Self {
            located: Located::both(name, single, many, captures)?,
            types: PhantomData,
        })
    }

    pub(crate) fn located(&self) -> &Located {
        &self.located
    }

    pub(crate) fn into_located(self) -> Located {
        self.located
    }

    /// Returns the function's name, which AsyncResults show.
    pub fn name(&self) -> &str {
        self.located.name()
    }
}

impl<P, R> Clone for Function<P, R> {
    fn clone(&self) -> Self {
        Self {
            located: self.located.clone(),
            ..*self
        }
    }
}

impl<P, R> fmt::Debug for Function<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.located.describe(f)
    }
}

/// A closure with its captures, named and serialized: `task!([k] |x: f64| k * x)`.
///
/// Captured variables are copied when the task is made. Within the closure each is a value, cloned
/// for every call; with `&name` it is a reference instead, which suits large data:
///
/// ```no_run
/// use phalanx::prelude::*;
/// let (k, table) = (3.0, vec![1.0, 2.0, 4.0]);
/// let lbv = Client::connect()?.load_balanced_view();
/// let ys = lbv.map_sync(task!([k, &table] |x: usize| k * table[x]), 0..3usize)?;
/// assert_eq!(ys, [3.0, 6.0, 12.0]);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[macro_export]
macro_rules! task {
    ([$($captures:tt)*] $($closure:tt)*) => {
        $crate::__task!(@captures [] [] [$($captures)*] $($closure)*)
    };
}

/// The expansion steps of [`task!`](crate::task!).
#[doc(hidden)]
#[macro_export]
macro_rules! __task {
    (@captures [$($value:expr,)*] [$($bind:tt)*] [& $name:ident $(, $($rest:tt)*)?] $($closure:tt)*) => {
        $crate::__task!(@captures [$($value,)* $crate::WithCaptures::captured($name.to_owned()),] [$($bind)* (ref $name)] [$($($rest)*)?] $($closure)*)
    };
    (@captures [$($value:expr,)*] [$($bind:tt)*] [$name:ident $(, $($rest:tt)*)?] $($closure:tt)*) => {
        $crate::__task!(@captures [$($value,)* $crate::WithCaptures::captured($name.to_owned()),] [$($bind)* (own $name)] [$($($rest)*)?] $($closure)*)
    };
    (@captures [$($value:expr,)*] [$($bind:tt)*] [] move $($closure:tt)*) => {
        $crate::__task!(@captures [$($value,)*] [$($bind)*] [] $($closure)*)
    };
    (@captures [$($value:expr,)*] [$($bind:tt)*] [] || $body:expr) => {
        $crate::__task!(@call [$($value,)*] [$($bind)*] [] [] $body)
    };
    (@captures [$($value:expr,)*] [$($bind:tt)*] [] | $($params:tt)*) => {
        $crate::__task!(@params [$($value,)*] [$($bind)*] [] [] $($params)*)
    };
    (@params $values:tt $bind:tt $param:tt $lent:tt | $body:expr) => {
        $crate::__task!(@call $values $bind $param $lent $body)
    };
    (@params $values:tt $bind:tt $param:tt $lent:tt $p:tt : & $life:lifetime $($rest:tt)*) => {
        $crate::__task!(@params $values $bind $param $lent $p : & $($rest)*)
    };
    (@params $values:tt $bind:tt [$($param:tt)*] [$($lent:tt)*] $p:tt : & mut $($rest:tt)*) => {
        compile_error!("parameters of functions that engines call are values, or borrowed as `&T`: there is nothing of the caller's to change")
    };
    (@params $values:tt $bind:tt [$($param:tt)*] [$($lent:tt)*] $p:tt : & $t:ty $(, $($rest:tt)*)?) => {
        // By macro hygiene, `owned` is a distinct name in every round.
        $crate::__task!(@params $values $bind [$($param)* (owned: <$t as $crate::Lend>::Owned)] [$($lent)* (owned $p $t)] $($($rest)*)?)
    };
    (@params $values:tt $bind:tt [$($param:tt)*] [$($lent:tt)*] $p:tt : & $t:ty | $body:expr) => {
        $crate::__task!(@call $values $bind [$($param)* (owned: <$t as $crate::Lend>::Owned)] [$($lent)* (owned $p $t)] $body)
    };
    (@params $values:tt $bind:tt [$($param:tt)*] $lent:tt $p:tt $(: $t:ty)? , $($rest:tt)*) => {
        $crate::__task!(@params $values $bind [$($param)* ($p $(: $t)?)] $lent $($rest)*)
    };
    (@params $values:tt $bind:tt [$($param:tt)*] $lent:tt $p:tt $(: $t:ty)? | $body:expr) => {
        $crate::__task!(@call $values $bind [$($param)* ($p $(: $t)?)] $lent $body)
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task0(($($value,)*), |captured| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task1(($($value,)*), |captured, $p1 $(: $t1)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?) ($p2:tt $(: $t2:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task2(($($value,)*), |captured, $p1 $(: $t1)?, $p2 $(: $t2)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?) ($p2:tt $(: $t2:ty)?) ($p3:tt $(: $t3:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task3(($($value,)*), |captured, $p1 $(: $t1)?, $p2 $(: $t2)?, $p3 $(: $t3)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?) ($p2:tt $(: $t2:ty)?) ($p3:tt $(: $t3:ty)?) ($p4:tt $(: $t4:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task4(($($value,)*), |captured, $p1 $(: $t1)?, $p2 $(: $t2)?, $p3 $(: $t3)?, $p4 $(: $t4)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?) ($p2:tt $(: $t2:ty)?) ($p3:tt $(: $t3:ty)?) ($p4:tt $(: $t4:ty)?) ($p5:tt $(: $t5:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task5(($($value,)*), |captured, $p1 $(: $t1)?, $p2 $(: $t2)?, $p3 $(: $t3)?, $p4 $(: $t4)?, $p5 $(: $t5)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@call [$($value:expr,)*] [$($bind:tt)*] [($p1:tt $(: $t1:ty)?) ($p2:tt $(: $t2:ty)?) ($p3:tt $(: $t3:ty)?) ($p4:tt $(: $t4:ty)?) ($p5:tt $(: $t5:ty)?) ($p6:tt $(: $t6:ty)?)] [$(($owned:ident $lent:tt $borrowed:ty))*] $body:expr) => {
        $crate::WithCaptures::task6(($($value,)*), |captured, $p1 $(: $t1)?, $p2 $(: $t2)?, $p3 $(: $t3)?, $p4 $(: $t4)?, $p5 $(: $t5)?, $p6 $(: $t6)?| {
            $crate::__task!(@bind captured [] [$($bind)*]);
            $(let $lent: &$borrowed = <$borrowed as $crate::Lend>::lend(&$owned);)*
            $body
        })
    };
    (@bind $captured:ident [$($pattern:ident)*] [(ref $name:ident) $($rest:tt)*]) => {
        $crate::__task!(@bind $captured [$($pattern)* $name] [$($rest)*]);
    };
    (@bind $captured:ident [$($pattern:ident)*] [(own $name:ident) $($rest:tt)*]) => {
        $crate::__task!(@bind $captured [$($pattern)* $name] [$($rest)*]);
        #[allow(unused_variables)]
        let $name = $name.clone();
    };
    (@bind $captured:ident [$($pattern:ident)*] []) => {
        #[allow(unused_variables)]
        let ($($pattern,)*) = $captured;
    };
}
