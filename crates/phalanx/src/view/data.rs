//! Transfer of values to and from the engines' namespaces.

use super::DirectView;
use super::scatter::{IntoSpread, Scatter};
use crate::Error;
use crate::async_result::{AsyncMapResult, AsyncResult, One, Shape};
use crate::codec::{SerializableArg, Transferable};
use std::any::type_name;

/// Returns the name of the owned type that engines receive for a pushed value: `String` for `str`,
/// and so on.
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
        // An ndarray view.
        _ => name
            .replace("ndarray::ViewRepr<&mut ", "ndarray::ViewRepr<&")
            .replace("ndarray::ViewRepr<&", "ndarray::data_repr::OwnedRepr<"),
    }
}

impl<S: Shape> DirectView<S> {
    /// Stores a value under a name in every engine's namespace; waits until all have received it.
    /// In later `%%px` cells that mention the name, it is a variable.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if the value cannot be serialized,
    /// `EnvironmentError` if there is no memory for it. The failure of one engine keeps its name,
    /// several are a `CompositeError`.
    pub fn push<T: SerializableArg + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let write = |to: &mut _| value.serialize(to);
        self.group.push_now(name, type_name::<T>(), &write)
    }

    /// Like [`push`](Self::push), without waiting.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if the value cannot be serialized,
    /// `EnvironmentError` if there is no memory for it.
    pub fn push_async<T: SerializableArg + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<AsyncResult<(), S>, Error> {
        let write = |to: &mut _| value.serialize(to);
        AsyncResult::submitted(self.group.push(name, type_name::<T>(), &write))
    }

    /// Alias of [`push`](Self::push), as in ipyparallel.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn update<T: SerializableArg + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        self.push(name, value)
    }

    /// Waits for the values of a name in the engines' namespaces, or of an expression there.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot evaluate the expression,
    /// the engine's failure if the name is not a `T` there (`CompositeError` for several engines).
    pub fn pull<T: Transferable>(&self, name: &str) -> Result<S::All<T>, Error> {
        S::all(self.group.pull_now(name, type_name::<T>()))
    }

    /// Like [`pull`](Self::pull), without waiting.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot evaluate the expression.
    pub fn pull_async<T: Transferable>(&self, name: &str) -> Result<AsyncResult<T, S>, Error> {
        AsyncResult::submitted(self.group.pull(name, type_name::<T>()))
    }

    /// Alias of [`pull`](Self::pull).
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub fn get<T: Transferable>(&self, name: &str) -> Result<S::All<T>, Error> {
        self.pull(name)
    }

    /// Distributes items over the engines in contiguous parts of equal length; each engine stores
    /// its part under the name, as a `Vec`, or as `Shared` for [`Shared`](crate::Shared) data.
    pub fn scatter<I: IntoSpread>(&self, name: &str, items: I) -> Scatter<I::Spread, S> {
        Scatter::new(&self.group, name, items.into_spread())
    }

    /// Concatenates the lists that engines hold under a name, in engine order; iteration yields
    /// items as they arrive.
    ///
    /// # Errors
    /// `NoEngines` if there are no engines, `UsageError` if engines cannot evaluate the name.
    pub fn gather<T: Transferable>(&self, name: &str) -> Result<AsyncMapResult<T>, Error> {
        AsyncResult::submitted(self.group.gather(name, type_name::<T>()))
    }
}

impl DirectView<One> {
    /// Waits for the list that the engine holds under a name.
    ///
    /// # Errors
    /// As [`gather`](Self::gather); the engine's failure if the name is not a list of `T` there.
    pub fn gather_sync<T: Transferable>(&self, name: &str) -> Result<Vec<T>, Error> {
        self.gather(name)?.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrowed_values_arrive_as_owned_types() {
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
