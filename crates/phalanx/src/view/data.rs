//! Values to and from the engines' namespaces.

use super::DirectView;
use super::submit::Args;
use crate::async_result::{AsyncMapResult, AsyncResult, Chunks, Many, One, Shape};
use crate::function::{Argument, Encoded, Function, IntoFunction, Travels, encode};
use crate::{Error, namespace};
use phalanx_protocol::apply::Pushed;
use serde::Serialize;
use std::time::Duration;

/// Puts bytes under a name: what an engine does with what is pushed.
fn receive(name: String, type_name: String, bytes: Vec<u8>) {
    namespace::put(&name, &type_name, bytes);
}

/// A name, a type's name, and bytes.
type Parcel = (String, String, Vec<u8>);

fn receiver() -> Result<Function<Parcel, ()>, Error> {
    let receive: Function<Parcel, ()> = IntoFunction::<Parcel>::into_function(receive)?;
    Ok(receive.named("push"))
}

/// A value that is on its way under a name.
fn parcel(name: &str, type_name: &str, bytes: &[u8]) -> Result<Encoded, Error> {
    let mut parcel = Encoded::default();
    name.to_owned().encode(&mut parcel)?;
    type_name.to_owned().encode(&mut parcel)?;
    // As a `Vec<u8>` is written: its length, then itself.
    let mut whole = encode(&bytes.len())?;
    whole.extend_from_slice(bytes);
    parcel.value(&whole);
    Ok(parcel)
}

/// The type that is pushed for a value of type `T`, where the two differ: a `str` arrives as `String`.
fn pushed_type<T: ?Sized>() -> String {
    let name = std::any::type_name::<T>().trim_start_matches('&');
    match name {
        "str" => std::any::type_name::<String>().to_owned(),
        slice if slice.starts_with('[') && !slice.contains(';') => {
            format!("alloc::vec::Vec<{}>", &slice[1..slice.len() - 1])
        }
        name => name.to_owned(),
    }
}

impl<S: Shape> DirectView<S> {
    /// Gives a name in every engine's namespace a value; waits until all have it. Later `%%px` cells
    /// that mention the name have it as a variable.
    ///
    /// # Errors
    /// When it cannot be serialised or submitted.
    pub fn push<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        self.push_async(name, value)?.get().map(drop)
    }

    /// The same; returns at once.
    ///
    /// # Errors
    /// As there.
    pub fn push_async<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<AsyncResult<(), S>, Error> {
        let type_name = pushed_type::<T>();
        let parcel = parcel(name, &type_name, &encode(value)?)?;
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
    pub fn update<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
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
        fn same<T>(value: T) -> T {
            value
        }
        let function: Function<(T,), T> = IntoFunction::<(T,)>::into_function(same::<T>)?;
        let mut args = Encoded::default();
        args.reference(name);
        self.call_encoded(&function.named("pull"), args)
    }

    /// Another name of [`pull`](Self::pull).
    ///
    /// # Errors
    /// As there.
    pub fn get<T: Travels>(&self, name: &str) -> Result<S::All<T>, Error> {
        self.pull(name)
    }

    /// Spreads items over the engines, in runs of equal length: each gets its part as a `Vec` under
    /// the name.
    pub fn scatter<T, I>(&self, name: &str, items: I) -> Scatter<T, S>
    where
        T: Serialize,
        I: IntoIterator<Item = T>,
    {
        Scatter {
            view: self.clone(),
            name: name.to_owned(),
            items: items.into_iter().collect(),
            flatten: false,
        }
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

/// Items on their way to engines; [`submit`](Self::submit) or [`wait`](Self::wait) sends them.
#[must_use = "nothing is sent before `submit()` or `wait()`"]
pub struct Scatter<T, S: Shape> {
    view: DirectView<S>,
    name: String,
    items: Vec<T>,
    flatten: bool,
}

impl<T: Serialize, S: Shape> Scatter<T, S> {
    /// Whether an engine that gets a single item gets it bare rather than in a list. There must be
    /// as many items as engines then.
    pub fn flatten(mut self, flatten: bool) -> Self {
        self.flatten = flatten;
        self
    }

    /// Sends the items; returns at once.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn submit(self) -> Result<AsyncResult<(), Many>, Error> {
        let engines = self.view.targets()?;
        let parts = super::map::partition(self.items.len(), engines.len());
        let bare = self.flatten && parts.iter().all(|part| part.len() == 1);
        let type_name = if bare {
            pushed_type::<T>()
        } else {
            format!("alloc::vec::Vec<{}>", std::any::type_name::<T>())
        };
        let mut tasks = Vec::new();
        for part in parts {
            let items = &self.items[part];
            let bytes = match items {
                [item] if bare => encode(item)?,
                items => encode(items)?,
            };
            tasks.push(parcel(&self.name, &type_name, &bytes)?);
        }
        let pushed = Pushed {
            name: self.name,
            type_name,
        };
        let view = DirectView::<Many>::new(Some(engines));
        view.send(&receiver()?, Args::Each(tasks), vec![pushed])
    }

    /// Sends the items and waits until the engines have them.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn wait(self) -> Result<(), Error> {
        self.submit()?.get().map(drop)
    }

    /// The same, at most for that long; whether they have them.
    ///
    /// # Errors
    /// When they cannot be serialised or submitted.
    pub fn wait_timeout(self, timeout: Duration) -> Result<bool, Error> {
        self.submit()?.wait_timeout(timeout)
    }
}

impl<R: Travels> AsyncResult<Vec<R>, Many> {
    /// The lists of all tasks as one.
    fn as_chunks(&self) -> AsyncResult<R, Chunks> {
        AsyncResult::of(self.handle())
    }
}
