//! Callable functions, with their parameters.

use super::call::IncomingCall;
use super::located::Captures;
use super::{Function, Located, trampoline};
use crate::Error;
use crate::codec::{DecodeError, Transferable, ValueDecoder};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Code that is constructed on an engine from its captures, and called there.
#[doc(hidden)]
pub trait Invoke<P>: Sized {
    /// The return type.
    type Output: Transferable;

    /// Constructs it from its captures.
    fn prepare(call: &mut IncomingCall<'_>) -> Option<Self>;

    /// Calls it.
    fn invoke(&self, parameters: P) -> Self::Output;
}

/// A function without captures.
#[doc(hidden)]
pub struct WithoutCaptures<F>(F);

/// A function with captures.
#[doc(hidden)]
pub struct WithCaptures<F, C>(F, C);

/// A function that engines can call with parameters `P`: an `fn`, a closure that captures nothing,
/// a [`Function`], or the result of [`task!`](crate::task!). `M` marks borrowed parameters, as in
/// `fn norm(xs: &[f64]) -> f64`, whose `P` is `(Vec<f64>,)`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn double(x: u64) -> u64 {
///     2 * x
/// }
/// let view = Client::connect()?.view(0);
/// assert_eq!(view.apply_sync_with(double, 1u64)?, 2);
/// assert_eq!(view.apply_sync_with(|x: u64| x + 1, 1u64)?, 2);
/// let k = 5u64;
/// assert_eq!(view.apply_sync_with(task!([k] |x: u64| k * x), 1u64)?, 5);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "engines cannot call `{Self}`",
    label = "not a function whose parameters and result can be sent",
    note = "parameters and result must implement serde's traits: for a type of your own, `#[derive(Serialize, Deserialize)]`; types of other crates often need their `serde` feature",
    note = "up to four parameters may borrow (`xs: &[f64]`), but the result must be owned; a closure's parameters need their types: `|x: f64| …`",
    note = "variables that a closure captures must be named: `task!([k] |x: f64| k * x)`"
)]
pub trait IntoFunction<P, M = ()> {
    /// The return type.
    type Output: Transferable;

    /// Converts it into the form that engines call.
    ///
    /// # Errors
    /// `UsageError` if the code is not in a library that was compiled for the notebook.
    fn into_function(self) -> Result<Function<P, Self::Output>, Error>;

    /// Like [`into_function`](Self::into_function), for single calls only: a cell compiles no more
    /// than it needs.
    ///
    /// # Errors
    /// `UsageError` if the code is not in a library that was compiled for the notebook.
    #[doc(hidden)]
    fn into_single(self) -> Result<Located, Error>;

    /// Like [`into_function`](Self::into_function), for calls with a list of items only.
    ///
    /// # Errors
    /// `UsageError` if the code is not in a library that was compiled for the notebook.
    #[doc(hidden)]
    fn into_many(self) -> Result<Located, Error>;
}

impl<P, R: Transferable> IntoFunction<P> for Function<P, R> {
    type Output = R;

    fn into_function(self) -> Result<Function<P, R>, Error> {
        Ok(self)
    }

    fn into_single(self) -> Result<Located, Error> {
        Ok(self.into_located())
    }

    fn into_many(self) -> Result<Located, Error> {
        Ok(self.into_located())
    }
}

impl<P, R: Transferable> IntoFunction<P> for &Function<P, R> {
    type Output = R;

    fn into_function(self) -> Result<Function<P, R>, Error> {
        Ok(self.clone())
    }

    fn into_single(self) -> Result<Located, Error> {
        Ok(self.located().clone())
    }

    fn into_many(self) -> Result<Located, Error> {
        Ok(self.located().clone())
    }
}

/// Defers the error of [`task!`](crate::task!), so that its result can be passed as a function.
impl<P, R: Transferable> IntoFunction<P> for Result<Function<P, R>, Error> {
    type Output = R;

    fn into_function(self) -> Result<Function<P, R>, Error> {
        self
    }

    fn into_single(self) -> Result<Located, Error> {
        Ok(self?.into_located())
    }

    fn into_many(self) -> Result<Located, Error> {
        Ok(self?.into_located())
    }
}

impl WithCaptures<(), ()> {
    /// Copies a value captured by a closure.
    #[doc(hidden)]
    pub fn captured<T: Transferable>(value: T) -> T {
        value
    }
}

macro_rules! callable {
    ($task:ident $($param:ident $index:literal),*) => {
        #[diagnostic::do_not_recommend]
        impl<F, R, $($param),*> IntoFunction<($($param,)*)> for F
        where
            F: Fn($($param),*) -> R + Copy,
            R: Transferable,
            $($param: Transferable,)*
        {
            type Output = R;

            fn into_function(self) -> Result<Function<($($param,)*), R>, Error> {
                trampoline::captures_nothing::<F>();
                Function::locate::<WithoutCaptures<F>>(std::any::type_name::<F>(), Captures::none())
            }

            fn into_single(self) -> Result<Located, Error> {
                trampoline::captures_nothing::<F>();
                Located::single(
                    std::any::type_name::<F>(),
                    trampoline::single::<WithoutCaptures<F>, ($($param,)*)>,
                )
            }

            fn into_many(self) -> Result<Located, Error> {
                trampoline::captures_nothing::<F>();
                Located::many(
                    std::any::type_name::<F>(),
                    trampoline::many::<WithoutCaptures<F>, ($($param,)*)>,
                )
            }
        }

        #[allow(unused_variables)]
        impl<F, R, $($param),*> Invoke<($($param,)*)> for WithoutCaptures<F>
        where
            F: Fn($($param),*) -> R + Copy,
            R: Transferable,
            $($param: Transferable,)*
        {
            type Output = R;

            fn prepare(_: &mut IncomingCall<'_>) -> Option<Self> {
                Some(Self(trampoline::zst_instance::<F>()))
            }

            #[allow(non_snake_case)]
            fn invoke(&self, ($($param,)*): ($($param,)*)) -> R {
                (self.0)($($param),*)
            }
        }

        impl<F, C, R, $($param),*> Invoke<($($param,)*)> for WithCaptures<F, C>
        where
            F: Fn(&C, $($param),*) -> R + Copy,
            C: DeserializeOwned + 'static,
            R: Transferable,
            $($param: Transferable,)*
        {
            type Output = R;

            fn prepare(call: &mut IncomingCall<'_>) -> Option<Self> {
                let mut captures = None;
                call.captures(&mut |from| {
                    captures = Some(C::deserialize(from)?);
                    Ok(())
                })?;
                Some(Self(trampoline::zst_instance::<F>(), captures?))
            }

            #[allow(non_snake_case)]
            fn invoke(&self, ($($param,)*): ($($param,)*)) -> R {
                (self.0)(&self.1, $($param),*)
            }
        }

        impl WithCaptures<(), ()> {
            /// Combines a closure with its captures.
            #[doc(hidden)]
            pub fn $task<F, C, R, $($param),*>(
                captures: C,
                _: F,
            ) -> Result<Function<($($param,)*), R>, Error>
            where
                F: Fn(&C, $($param),*) -> R + Copy,
                C: Serialize + DeserializeOwned + 'static,
                R: Transferable,
                $($param: Transferable,)*
            {
                const {
                    assert!(
                        size_of::<F>() == 0,
                        "this closure captures variables that task! does not name: add them to the list in brackets"
                    );
                }
                let captures = Captures::of(std::any::type_name::<C>(), &|to| captures.serialize(to));
                Function::locate::<WithCaptures<F, C>>(std::any::type_name::<F>(), captures)
            }
        }

        #[allow(unused_variables, unused_mut)]
        impl<$($param: Transferable),*> ParameterTypes for ($($param,)*) {
            fn read(from: &mut IncomingCall<'_>) -> Option<Self> {
                Some(($(argument::<$param>(from, $index)?,)*))
            }

            fn item(from: &mut ValueDecoder<'_>) -> Result<Self, DecodeError> {
                Ok(($($param::deserialize(&mut *from)?,)*))
            }
        }
    };
}

/// A tuple of parameters.
pub(super) trait ParameterTypes: Sized {
    /// Deserializes the arguments.
    fn read(from: &mut IncomingCall<'_>) -> Option<Self>;

    /// Deserializes one item of a list; its parameters follow each other, as the elements of a
    /// tuple do.
    fn item(from: &mut ValueDecoder<'_>) -> Result<Self, DecodeError>;
}

/// Deserializes the argument for the parameter at `index`.
fn argument<A: DeserializeOwned>(from: &mut IncomingCall<'_>, index: usize) -> Option<A> {
    let mut argument = None;
    from.argument(index, std::any::type_name::<A>(), &mut |from| {
        argument = Some(A::deserialize(from)?);
        Ok(())
    })?;
    argument
}

callable!(task0);
callable!(task1 P1 0);
callable!(task2 P1 0, P2 1);
callable!(task3 P1 0, P2 1, P3 2);
callable!(task4 P1 0, P2 1, P3 2, P4 3);
callable!(task5 P1 0, P2 1, P3 2, P4 3, P5 4);
callable!(task6 P1 0, P2 1, P3 2, P4 3, P5 4, P6 5);
