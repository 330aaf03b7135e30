//! Values to and from the engines' namespaces.

use super::DirectView;
use super::scatter::{IntoSpread, Scatter};
use super::submit::Args;
use crate::async_result::{AsyncMapResult, AsyncResult, Chunks, Many, One, Shape};
use crate::function::{
    Argument, Encoded, Function, IntoFunction, Parts, Sendable, Travels, Undecoded,
};
use crate::{Error, namespace};
use phalanx_protocol::apply::Pushed;

/// Puts a value under a name: what an engine does with what is pushed.
fn receive(name: String, type_name: String, Undecoded(value): Undecoded) {
    namespace::put(&name, &type_name, value);
}

/// What an engine does when a name is pulled: the value goes back as it came.
fn fetch(name: String, type_name: String) -> Undecoded {
    match namespace::kept(&name, &type_name) {
        Ok(kept) => Undecoded(kept),
        Err(unknown) => crate::engine::raise(unknown.ename, unknown.evalue),
    }
}

/// A name, a type's name, and a value.
pub(super) type Parcel = (String, String, Undecoded);

pub(super) fn receiver() -> Result<Function<Parcel, ()>, Error> {
    let receive: Function<Parcel, ()> = IntoFunction::<Parcel>::into_function(receive)?;
    Ok(receive.named("push"))
}

/// A value that is on its way under a name.
pub(super) fn parcel(name: &str, type_name: &str, value: Parts) -> Result<Encoded, Error> {
    let mut parcel = Encoded::default();
    name.to_owned().encode(&mut parcel)?;
    type_name.to_owned().encode(&mut parcel)?;
    parcel.value(value);
    Ok(parcel)
}

/// The type that is pushed for a value of type `T`, where the two differ: what borrows arrives as
/// what owns, a `str` as `String`.
pub(super) fn pushed_type<T: ?Sized>() -> String {
    let name = std::any::type_name::<T>().trim_start_matches('&');
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
    /// Gives a name in every engine's namespace a value; waits until all have it. Later `%%px` cells
    /// that mention the name have it as a variable.
    ///
    /// # Errors
    /// When it cannot be serialised or submitted.
    pub fn push<T: Sendable + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        self.push_async(name, value)?.get().map(drop)
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// As there.
    pub fn push_async<T: Sendable + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<AsyncResult<(), S>, Error> {
        let type_name = pushed_type::<T>();
        let parcel = parcel(name, &type_name, Parts::of(value)?)?;
        let pushed = Pushed {
            name: name.to_owned(),
            type_name,
        };
        self.send(&receiver()?, Args::Shared(parcel), vec![pushed])
    }

    /// Another name of [`push`](Self::push).
    ///
    /// # Errors
    /// As there.
    pub fn update<T: Sendable + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        self.push(name, value)
    }

    /// What the engines' namespaces hold under a name, or the values of an expression there; waits.
    ///
    /// # Errors
    /// When an engine does not have it, or not as a `T`.
    pub fn pull<T: Travels>(&self, name: &str) -> Result<S::All<T>, Error> {
        self.pull_async(name)?.get()
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn pull_async<T: Travels>(&self, name: &str) -> Result<AsyncResult<T, S>, Error> {
        let fetch: Function<(String, String), Undecoded> =
            IntoFunction::<(String, String)>::into_function(fetch)?;
        let mut args = Encoded::default();
        name.to_owned().encode(&mut args)?;
        std::any::type_name::<T>().to_owned().encode(&mut args)?;
        args.references.push(name.to_owned());
        let fetched = self.call_encoded(&fetch.named("pull"), args)?;
        Ok(AsyncResult::of(fetched.handle()))
    }

    /// Another name of [`pull`](Self::pull).
    ///
    /// # Errors
    /// As there.
    pub fn get<T: Travels>(&self, name: &str) -> Result<S::All<T>, Error> {
        self.pull(name)
    }

    /// Spreads items over the engines, in runs of equal length: each gets its part as a `Vec` under
    /// the name, or of [`Shared`](crate::Shared) data as `Shared`.
    pub fn scatter<I: IntoSpread>(&self, name: &str, items: I) -> Scatter<I::Spread, S> {
        Scatter::new(self.clone(), name, items.into_spread())
    }

    /// The lists that engines hold under a name, put together in the order of engines; iterates as
    /// they arrive.
    ///
    /// # Errors
    /// When it cannot be submitted.
    pub fn gather<T: Travels>(&self, name: &str) -> Result<AsyncMapResult<T>, Error> {
        let view = DirectView::<Many>::new(Some(self.targets()?));
        let lists: AsyncResult<Vec<T>, Many> = view.pull_async(name)?;
        Ok(lists.as_chunks())
    }
}

impl DirectView<One> {
    /// The list that the engine holds under a name.
    ///
    /// # Errors
    /// When it does not have it, or not as a list of `T`.
    pub fn gather_sync<T: Travels>(&self, name: &str) -> Result<Vec<T>, Error> {
        self.gather(name)?.get()
    }
}

impl<R: Travels> AsyncResult<Vec<R>, Many> {
    /// The lists of all tasks as one.
    fn as_chunks(&self) -> AsyncResult<R, Chunks> {
        AsyncResult::of(self.handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_borrows_arrives_as_what_owns() {
        assert_eq!(pushed_type::<&str>(), "alloc::string::String");
        assert_eq!(pushed_type::<[u8]>(), "alloc::vec::Vec<u8>");
        assert_eq!(pushed_type::<[[u8; 3]]>(), "alloc::vec::Vec<[u8; 3]>");
        assert_eq!(pushed_type::<&[[u8; 3]; 2]>(), "[[u8; 3]; 2]");
        assert_eq!(pushed_type::<(u8, [u8; 3])>(), "(u8, [u8; 3])");
    }
}
