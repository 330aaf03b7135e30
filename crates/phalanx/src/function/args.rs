//! Values and references on their way to a function's parameters.

use super::codec::{decode, encode, put, take};
use crate::Error;
use crate::namespace;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// What can travel between the notebook and engines: every type that implements serde's `Serialize`
/// and `Deserialize` and borrows nothing.
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` cannot travel to engines and back",
    label = "this is neither serialised nor deserialised by serde",
    note = "derive it for a type of your own: `#[derive(Serialize, Deserialize)]`",
    note = "parameters and results of functions that engines call are owned: `String` instead of `&str`, `Vec<T>` instead of `&[T]`"
)]
pub trait Travels: Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Travels for T {}

/// What an engine's namespace holds under a name, or the value of an expression over its variables:
/// an argument that may be another value on every engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub &'static str);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Reference: '{}'>", self.0)
    }
}

/// Arguments as bytes.
#[derive(Debug, Default)]
pub struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) references: Vec<String>,
}

impl Encoded {
    /// Appends a value that is in bytes already.
    pub(crate) fn value(&mut self, bytes: &[u8]) {
        self.bytes.push(VALUE);
        put(&mut self.bytes, bytes);
    }

    /// Appends a reference.
    pub(crate) fn reference(&mut self, name: &str) {
        self.bytes.push(REFERENCE);
        put(&mut self.bytes, name.as_bytes());
        self.references.push(name.to_owned());
    }
}

const VALUE: u8 = 0;
const REFERENCE: u8 = 1;

/// What can be given for a parameter of type `A`: a value of it, or a [`Reference`] to one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a parameter of type `{A}`",
    label = "not a `{A}`, and no `Reference` to one"
)]
pub trait Argument<A> {
    /// Appends it.
    #[doc(hidden)]
    fn encode(&self, to: &mut Encoded) -> Result<(), Error>;
}

#[diagnostic::do_not_recommend]
impl<A: Serialize> Argument<A> for A {
    fn encode(&self, to: &mut Encoded) -> Result<(), Error> {
        to.value(&encode(self)?);
        Ok(())
    }
}

impl<A> Argument<A> for Reference {
    fn encode(&self, to: &mut Encoded) -> Result<(), Error> {
        to.reference(self.0);
        Ok(())
    }
}

/// What can be given for parameters `P`: nothing for none, one value for one, a tuple for several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for the parameters `{P}`",
    note = "several arguments are given as a tuple: `(1.0, Reference(\"id\"))`"
)]
pub trait Arguments<P> {
    /// All of them.
    #[doc(hidden)]
    fn encode_all(&self) -> Result<Encoded, Error>;
}

impl Arguments<()> for () {
    fn encode_all(&self) -> Result<Encoded, Error> {
        Ok(Encoded::default())
    }
}

impl<A, X: Argument<A>> Arguments<(A,)> for X {
    fn encode_all(&self) -> Result<Encoded, Error> {
        let mut to = Encoded::default();
        self.encode(&mut to)?;
        Ok(to)
    }
}

macro_rules! arguments {
    ($($param:ident $given:ident),*) => {
        impl<$($param, $given: Argument<$param>),*> Arguments<($($param,)*)> for ($($given,)*) {
            #[allow(non_snake_case)]
            fn encode_all(&self) -> Result<Encoded, Error> {
                let mut to = Encoded::default();
                let ($($given,)*) = self;
                $($given.encode(&mut to)?;)*
                Ok(to)
            }
        }
    };
}

arguments!(A X, B Y);
arguments!(A X, B Y, C Z);

/// Items for a map: as many as go with one task.
pub(crate) fn encode_items<A: Serialize>(items: &[A]) -> Result<Vec<u8>, Error> {
    encode(items)
}

/// The argument for the parameter at this place, as the engine reads it.
pub(super) fn read<A: DeserializeOwned + 'static>(
    from: &mut &[u8],
    place: usize,
) -> Result<A, Failed> {
    let broken = || Failed::unreadable::<A>(place, "it is cut off");
    let (&tag, rest) = from.split_first().ok_or_else(broken)?;
    *from = rest;
    let bytes = take(from).ok_or_else(broken)?;
    if tag == VALUE {
        return decode(bytes).map_err(|why| Failed::unreadable::<A>(place, &why));
    }
    let name = String::from_utf8_lossy(bytes);
    namespace::read::<A>(&name).map_err(|error| Failed {
        ename: error.ename,
        evalue: error.evalue,
    })
}

/// Why a function was not called.
pub(super) struct Failed {
    pub(super) ename: &'static str,
    pub(super) evalue: String,
}

impl Failed {
    pub(super) fn unreadable<A>(place: usize, why: &str) -> Self {
        Self {
            ename: "DeserializeError",
            evalue: format!(
                "argument {} cannot be read as {}: {why}",
                place + 1,
                std::any::type_name::<A>()
            ),
        }
    }
}
