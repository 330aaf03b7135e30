//! Parameters that are references: `fn norm(xs: &[f64]) -> f64`.

use super::call::IncomingCall;
use super::invoke::{IntoFunction, Invoke};
use super::located::Captures;
use super::{Function, Located, trampoline};
use crate::Error;
use crate::codec::Transferable;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// A type that functions on engines may borrow: every [`Transferable`] type, `[T]`, `str` and
/// `Path`. The caller passes an owned value: a `String` for a `&str`, a `Vec` or an array for a
/// slice.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn shout(text: &str) -> String {
///     text.to_uppercase()
/// }
/// assert_eq!(Client::connect()?.view(0).apply_sync_with(shout, "hi".to_owned())?, "HI");
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "engines cannot call a function that borrows a `{Self}`",
    label = "nothing that owns it can travel",
    note = "a function that engines call may borrow what serde can write and read, a slice of it, a `str` or a `Path`"
)]
pub trait Lend {
    /// The owned type that is sent, and kept on the engine while the function runs.
    type Owned: Transferable;

    /// Borrows the parameter from the owned value.
    fn lend(owned: &Self::Owned) -> &Self;
}

impl<T: Transferable> Lend for T {
    type Owned = T;

    fn lend(owned: &T) -> &T {
        owned
    }
}

impl<T: Transferable> Lend for [T] {
    type Owned = Vec<T>;

    fn lend(owned: &Vec<T>) -> &[T] {
        owned
    }
}

impl Lend for str {
    type Owned = String;

    fn lend(owned: &String) -> &str {
        owned
    }
}

impl Lend for Path {
    type Owned = PathBuf;

    fn lend(owned: &PathBuf) -> &Path {
        owned
    }
}

/// Marks a parameter `&B` in [`IntoFunction`]; callers pass a `B` or the type that owns one.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn norm(xs: &[f64]) -> f64 {
///     xs.iter().map(|x| x * x).sum::<f64>().sqrt()
/// }
/// assert_eq!(Client::connect()?.view(0).apply_sync_with(norm, [3.0, 4.0])?, 5.0);
/// # Ok::<(), phalanx::Error>(())
/// ```
pub struct ByRef<B: ?Sized>(PhantomData<fn(&B)>);

/// Marks a parameter that is passed by value.
pub struct ByValue;

/// A function without captures that borrows the parameters marked by `M`.
struct Lent<F, M>(F, PhantomData<M>);

/// `impl_lent!(ref P1, own P2)`: implementations for functions such as `fn(&P1, P2) -> R`.
macro_rules! impl_lent {
    (@sorted [$($bound:tt)*] [$($mark:ty,)*] [$($owned:ty,)*] [$($arg:ty,)*] [$($call:expr,)*] [$($name:ident)*]) => {
        #[cfg(not(rust_analyzer))]
        #[diagnostic::do_not_recommend]
        impl<F, R, $($bound)*> IntoFunction<($($owned,)*), ($($mark,)*)> for F
        where
            F: Fn($($arg),*) -> R + Copy,
            R: Transferable,
        {
            type Output = R;

            fn into_function(self) -> Result<Function<($($owned,)*), R>, Error> {
                trampoline::captures_nothing::<F>();
                let name = std::any::type_name::<F>();
                Function::locate::<Lent<F, ($($mark,)*)>>(name, Captures::none())
            }

            fn into_single(self) -> Result<Located, Error> {
                trampoline::captures_nothing::<F>();
                let name = std::any::type_name::<F>();
                Located::single(name, trampoline::single::<Lent<F, ($($mark,)*)>, ($($owned,)*)>)
            }

            fn into_many(self) -> Result<Located, Error> {
                trampoline::captures_nothing::<F>();
                let name = std::any::type_name::<F>();
                Located::many(name, trampoline::many::<Lent<F, ($($mark,)*)>, ($($owned,)*)>)
            }
        }

        impl<F, R, $($bound)*> Invoke<($($owned,)*)> for Lent<F, ($($mark,)*)>
        where
            F: Fn($($arg),*) -> R + Copy,
            R: Transferable,
        {
            type Output = R;

            fn prepare(_: &mut IncomingCall<'_>) -> Option<Self> {
                Some(Self(trampoline::zst_instance::<F>(), PhantomData))
            }

            #[allow(non_snake_case)]
            fn invoke(&self, ($($name,)*): ($($owned,)*)) -> R {
                (self.0)($($call),*)
            }
        }
    };
    (@sort [$($bound:tt)*] [$($mark:tt)*] [$($owned:tt)*] [$($arg:tt)*] [$($call:tt)*] [$($name:ident)*] own $one:ident, $($rest:tt)*) => {
        impl_lent!(@sort [$($bound)* $one: Transferable,] [$($mark)* ByValue,] [$($owned)* $one,] [$($arg)* $one,] [$($call)* $one,] [$($name)* $one] $($rest)*);
    };
    (@sort [$($bound:tt)*] [$($mark:tt)*] [$($owned:tt)*] [$($arg:tt)*] [$($call:tt)*] [$($name:ident)*] ref $one:ident, $($rest:tt)*) => {
        impl_lent!(@sort [$($bound)* $one: Lend + ?Sized,] [$($mark)* ByRef<$one>,] [$($owned)* $one::Owned,] [$($arg)* &$one,] [$($call)* $one::lend(&$one),] [$($name)* $one] $($rest)*);
    };
    (@sort $bounds:tt $marks:tt $helds:tt $args:tt $calls:tt $names:tt) => {
        impl_lent!(@sorted $bounds $marks $helds $args $calls $names);
    };
    ($($kind:tt $param:ident),*) => {
        impl_lent!(@sort [] [] [] [] [] [] $($kind $param,)*);
    };
}

impl_lent!(ref P1);
impl_lent!(ref P1, own P2);
impl_lent!(own P1, ref P2);
impl_lent!(ref P1, ref P2);
impl_lent!(ref P1, own P2, own P3);
impl_lent!(own P1, ref P2, own P3);
impl_lent!(own P1, own P2, ref P3);
impl_lent!(ref P1, ref P2, own P3);
impl_lent!(ref P1, own P2, ref P3);
impl_lent!(own P1, ref P2, ref P3);
impl_lent!(ref P1, ref P2, ref P3);
impl_lent!(ref P1, own P2, own P3, own P4);
impl_lent!(own P1, ref P2, own P3, own P4);
impl_lent!(own P1, own P2, ref P3, own P4);
impl_lent!(own P1, own P2, own P3, ref P4);
impl_lent!(ref P1, ref P2, own P3, own P4);
impl_lent!(ref P1, own P2, ref P3, own P4);
impl_lent!(ref P1, own P2, own P3, ref P4);
impl_lent!(own P1, ref P2, ref P3, own P4);
impl_lent!(own P1, ref P2, own P3, ref P4);
impl_lent!(own P1, own P2, ref P3, ref P4);
impl_lent!(ref P1, ref P2, ref P3, own P4);
impl_lent!(ref P1, ref P2, own P3, ref P4);
impl_lent!(ref P1, own P2, ref P3, ref P4);
impl_lent!(own P1, ref P2, ref P3, ref P4);
impl_lent!(ref P1, ref P2, ref P3, ref P4);

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;

    /// Returns the names of the parameter types that engines call it with.
    fn parameters<P, M, F: IntoFunction<P, M>>(_: F) -> &'static str {
        type_name::<P>()
    }

    fn norm(xs: &[f64]) -> f64 {
        xs.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    #[test]
    fn borrowed_parameters_are_sent_as_owned_types() {
        assert_eq!(parameters(norm), type_name::<(Vec<f64>,)>());
        assert_eq!(parameters(|x: f64| x), type_name::<(f64,)>());
        assert_eq!(parameters(|x: &f64| *x), type_name::<(f64,)>());
        let three = |xs: &[f64], by: f64, names: &Vec<String>| names.len() as f64 * by * xs[0];
        let expected = type_name::<(Vec<f64>, f64, Vec<String>)>();
        assert_eq!(parameters(three), expected);
        let four = |_: u8, xs: &[u64], _: u8, ys: &[u64]| xs.len() + ys.len();
        let expected = type_name::<(u8, Vec<u64>, u8, Vec<u64>)>();
        assert_eq!(parameters(four), expected);
    }

    #[test]
    fn functions_borrow_received_values() {
        fn call<F, M, P, R: Transferable>(_: F, args: P) -> R
        where
            Lent<F, M>: Invoke<P, Output = R>,
            F: IntoFunction<P, M> + Copy,
        {
            Lent::<F, M>(trampoline::zst_instance::<F>(), PhantomData).invoke(args)
        }
        assert_eq!(call(norm, (vec![3.0, 4.0],)), 5.0);
        let scaled = |by: f64, xs: &[f64]| xs.iter().map(|x| by * x).collect::<Vec<_>>();
        assert_eq!(call(scaled, (2.0, vec![1.0, 2.0])), [2.0, 4.0]);
        let of_text = |text: &str, path: &Path| text.len() + path.as_os_str().len();
        let args = ("größe".to_owned(), PathBuf::from("/tmp"));
        let lent = Lent::<_, (ByRef<str>, ByRef<Path>)>(of_text, PhantomData);
        assert_eq!(lent.invoke(args), 11);
    }

    #[test]
    fn tasks_borrow_received_values() {
        // Outside a cell, only the parameter types can be tested.
        let task = crate::task!([] |xs: &[f64], by: f64, text: &'static str,| xs.len() as f64 * by + text.len() as f64);
        fn takes<P>(_: &Result<Function<P, f64>, Error>) -> &'static str {
            type_name::<P>()
        }
        assert_eq!(takes(&task), type_name::<(Vec<f64>, f64, String)>());
    }
}
