//! Values to and from the engines' namespaces.

use super::DirectView;
use super::scatter::{IntoSpread, Scatter};
use crate::Error;
use crate::async_result::{AsyncMapResult, AsyncResult, One, Shape};
use crate::function::{SerializableArg, Transferable};
use std::any::type_name;

/// The type that is pushed for a value of a type, where the two differ: what borrows arrives as
/// what owns, a `str` as `String`.
pub(super) fn pushed_type(type_name: &str) -> String {
    let name = type_name.trim_start_matches('&');
    if name == "str" {
        return std::any::type_name::<String>().to_owned();
    }
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_length = |it: &str| it.chars().all(|c| c.is_ascii_digit());
    match inner {
        Some(item) if !item.rsplit_once("; ").is_some_and(|(_, n)| is_length(n)) => {
            format!("alloc::vec::Vec<{item}>")
        }
        // An ndarray that borrows its items.
        _ => name
            .replace("ndarray::ViewRepr<&mut ", "ndarray::ViewRepr<&")
            .replace("ndarray::ViewRepr<&", "ndarray::data_repr::OwnedRepr<"),
    }
}

impl<S: Shape> DirectView<S> {
    /// Stores a value under a name in every engine's namespace; waits until all have it. Later
    /// `%%px` cells that mention the name have it as a variable.
    ///
    /// # Errors
    /// When it cannot be serialised or submitted.
    pub fn push<T: SerializableArg + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let write = |to: &mut _| value.serialize(to);
        self.group.push_now(name, type_name::<T>(), &write)
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// As there.
    pub fn push_async<T: SerializableArg + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<AsyncResult<(), S>, Error> {
        let write = |to: &mut _| value.serialize(to);
        AsyncResult::submitted(self.group.push(name, type_name::<T>(), &write))
    }

    /// Another name of [`push`](Self::push).
    ///
    /// # Errors
    /// As there.
    pub fn update<T: SerializableArg + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        self.push(name, value)
    }

    /// Waits for the values the engines' namespaces hold under a name, or of an expression there.
    ///
    /// # Errors
    /// When an engine does not have it, or not as a `T`.
    pub fn pull<T: Transferable>(&self, name: &str) -> Result<S::All<T>, Error> {
        S::all(self.group.pull_now(name, type_name::<T>()))
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn pull_async<T: Transferable>(&self, name: &str) -> Result<AsyncResult<T, S>, Error> {
        AsyncResult::submitted(self.group.pull(name, type_name::<T>()))
    }

    /// Another name of [`pull`](Self::pull).
    ///
    /// # Errors
    /// As there.
    pub fn get<T: Transferable>(&self, name: &str) -> Result<S::All<T>, Error> {
        self.pull(name)
    }

    /// Spreads items over the engines, in runs of equal length: each gets its part as a `Vec` under
    /// the name, or as `Shared` for [`Shared`](crate::Shared) data.
    pub fn scatter<I: IntoSpread>(&self, name: &str, items: I) -> Scatter<I::Spread, S> {
        Scatter::new(&self.group, name, items.into_spread())
    }

    /// Joins the lists that engines hold under a name, in the order of engines; iterates as they
    /// arrive.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn gather<T: Transferable>(&self, name: &str) -> Result<AsyncMapResult<T>, Error> {
        AsyncResult::submitted(self.group.gather(name, type_name::<T>()))
    }
}

impl DirectView<One> {
    /// Waits for the list that the engine holds under a name.
    ///
    /// # Errors
    /// When it does not have it, or not as a list of `T`.
    pub fn gather_sync<T: Transferable>(&self, name: &str) -> Result<Vec<T>, Error> {
        self.gather(name)?.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_borrows_arrives_as_what_owns() {
        assert_eq!(pushed_type(type_name::<&str>()), "alloc::string::String");
        assert_eq!(pushed_type(type_name::<[u8]>()), "alloc::vec::Vec<u8>");
        assert_eq!(
            pushed_type(type_name::<[[u8; 3]]>()),
            "alloc::vec::Vec<[u8; 3]>"
        );
        assert_eq!(pushed_type(type_name::<&[[u8; 3]; 2]>()), "[[u8; 3]; 2]");
        assert_eq!(pushed_type(type_name::<(u8, [u8; 3])>()), "(u8, [u8; 3])");
    }
}
