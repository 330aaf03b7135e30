//! Arguments of functions: values and references.

use crate::Error;
use crate::codec::{Parts, SerializedValue, StoredValue, Transferable, Write, put, take, word};
use crate::opaque::opaque;
use crate::shared::memory::{ALIGN, StableBytes};
use crate::shared::out_of_band::{OutOfBandAreas, OutOfBandSource};
use phalanx_protocol::native::arguments::ELSEWHERE;
use serde::Serialize;
use std::any::type_name;
use std::fmt;

/// The value of a name in an engine's namespace, or of an expression over its variables: an
/// argument that may differ between engines.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let dv = Client::connect()?.all();
/// dv.scatter("xs", vec![1.0, 2.0, 3.0, 4.0]).wait()?;
/// let sums: Vec<f64> = dv.apply_sync_with(|xs: Vec<f64>| xs.iter().sum::<f64>(), Reference("xs"))?;
/// assert_eq!(sums.iter().sum::<f64>(), 10.0);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference(pub &'static str);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Reference: '{}'>", self.0)
    }
}

opaque! {
    /// Serialized arguments, with their out-of-band data.
    pub struct EncodedArgs of EncodedParts
}

/// The content of [`EncodedArgs`].
#[doc(hidden)]
#[derive(Default)]
pub struct EncodedParts {
    pub(super) bytes: Vec<u8>,
    pub(super) areas: OutOfBandAreas,
    pub(crate) references: Vec<String>,
    /// The first error in serializing an argument.
    failed: Option<Error>,
}

impl EncodedArgs {
    #[inline(never)]
    pub(crate) fn new() -> Self {
        Self::wrap(EncodedParts::default())
    }

    /// Returns all arguments, unless one could not be serialized.
    pub(crate) fn finish(mut self) -> Result<EncodedParts, Error> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(self.into_content()),
        }
    }

    /// Appends a value of type `type_name`, serialized by `write`.
    #[inline(never)]
    pub(crate) fn write(&mut self, type_name: &str, write: &Write<'_>) {
        match Parts::written(type_name, write) {
            Ok(parts) => self.value(parts),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    #[inline(never)]
    fn write_reference(&mut self, name: &str) {
        self.reference(name);
    }
}

impl EncodedParts {
    /// Appends a serialized value.
    pub(crate) fn value(&mut self, parts: Parts) {
        if parts.bytes.len() < OUT_OF_BAND_THRESHOLD {
            let at = self.areas.append(parts.areas);
            self.bytes.push(VALUE);
            self.bytes.extend_from_slice(&at.to_le_bytes());
            put(&mut self.bytes, &parts.bytes);
        } else {
            // Written from its own buffer, followed by its out-of-band data.
            let len = parts.bytes.len() as u64;
            let at = self.areas.add(StableBytes::of(parts.bytes));
            self.areas.append_here(parts.areas);
            self.bytes.push(FAR_VALUE);
            self.bytes.extend_from_slice(&at.to_le_bytes());
            self.bytes.extend_from_slice(&len.to_le_bytes());
        }
    }

    /// Appends a value that is stored at another offset of the same file.
    pub(super) fn elsewhere(&mut self, from: u64, len: u64) {
        self.bytes.push(ELSEWHERE);
        self.bytes.extend_from_slice(&from.to_le_bytes());
        self.bytes.extend_from_slice(&len.to_le_bytes());
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
/// A value whose bytes are stored out of band because of their size.
const FAR_VALUE: u8 = 2;

/// The size in bytes from which data is stored out of band.
const OUT_OF_BAND_THRESHOLD: usize = 1 << 16;

/// A value that can be passed for a parameter of type `A`: an `A`, a borrowed form of one (`&A`,
/// `&str` for a `String`, a slice or an array for a `Vec`), or a [`Reference`] to one on the
/// engine.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn letters(text: String) -> usize {
///     text.chars().count()
/// }
/// assert_eq!(Client::connect()?.view(0).apply_sync_with(letters, "größe")?, 5);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a parameter of type `{A}`",
    label = "no `{A}` that serde can serialize, and no `Reference` to one"
)]
pub trait Argument<A> {
    /// Appends the argument.
    #[doc(hidden)]
    fn encode(&self, to: &mut EncodedArgs);
}

fn write<T: Serialize + ?Sized>(to: &mut EncodedArgs, value: &T) {
    to.write(type_name::<T>(), &|to| value.serialize(to));
}

/// Implements `Argument` for types with the serialized form of the parameter's type.
macro_rules! written {
    ($([$($generic:tt)*] $arg:ty => $param:ty, |$this:ident| $value:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generic)*> Argument<$param> for $arg {
            fn encode(&self, to: &mut EncodedArgs) {
                let $this = self;
                write(to, $value);
            }
        }
    )*};
}

written! {
    [A: Transferable] A => A, |value| value;
    [A: Transferable] &A => A, |value| *value;
    [A: Transferable] &&A => A, |value| **value;
    [] &str => String, |text| *text;
    [] &&str => String, |text| **text;
    [T: Transferable] &[T] => Vec<T>, |items| *items;
    [T: Transferable, const N: usize] [T; N] => Vec<T>, |items| items.as_slice();
    [T: Transferable, const N: usize] &[T; N] => Vec<T>, |items| items.as_slice();
    [] &[&str] => Vec<String>, |items| *items;
    [] Vec<&str> => Vec<String>, |items| items;
    [] &Vec<&str> => Vec<String>, |items| *items;
    [const N: usize] [&str; N] => Vec<String>, |items| items.as_slice();
    [const N: usize] &[&str; N] => Vec<String>, |items| items.as_slice();
}

impl<A> Argument<A> for Reference {
    fn encode(&self, to: &mut EncodedArgs) {
        to.write_reference(self.0);
    }
}

/// The arguments for parameters `P`: `()` for none, a value for one, a tuple for several.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn scale(factor: f64, xs: Vec<f64>) -> Vec<f64> {
///     xs.into_iter().map(|x| factor * x).collect()
/// }
/// let xs = vec![1.0, 2.0];
/// let scaled = Client::connect()?.view(0).apply_sync_with(scale, (2.0, &xs))?;
/// assert_eq!(scaled, [2.0, 4.0]);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for the parameters `{P}`",
    label = "not what the function takes",
    note = "an argument is a value of its parameter's type, borrowed or not, or a `Reference`; the type is a serde type",
    note = "types of other crates often need their crate's `serde` feature: `:dep ndarray = {{ version = \"0.17\", features = [\"serde\"] }}`",
    note = "several arguments are given as a tuple: `(1.0, Reference(\"id\"))`"
)]
pub trait Arguments<P> {
    /// Appends all arguments.
    #[doc(hidden)]
    fn encode_all(&self, to: &mut EncodedArgs);
}

impl Arguments<()> for () {
    fn encode_all(&self, _: &mut EncodedArgs) {}
}

impl<A, X: Argument<A>> Arguments<(A,)> for X {
    fn encode_all(&self, to: &mut EncodedArgs) {
        self.encode(to);
    }
}

macro_rules! arguments {
    ($($param:ident $arg:ident),*) => {
        impl<$($param, $arg: Argument<$param>),*> Arguments<($($param,)*)> for ($($arg,)*) {
            #[allow(non_snake_case)]
            fn encode_all(&self, to: &mut EncodedArgs) {
                let ($($arg,)*) = self;
                $($arg.encode(to);)*
            }
        }
    };
}

arguments!(A X, B Y);
arguments!(A X, B Y, C Z);
arguments!(A X, B Y, C Z, D W);
arguments!(A X, B Y, C Z, D W, E V);
arguments!(A X, B Y, C Z, D W, E V, F U);

/// Reads received arguments one by one.
pub(super) struct ArgumentReader<'a> {
    pub(super) rest: &'a [u8],
    pub(super) buffers: &'a ArgumentBuffers<'a>,
}

/// The out-of-band data of received arguments.
pub(super) struct ArgumentBuffers<'a> {
    pub(super) bytes: &'a [u8],
    /// The same bytes, if they can be kept beyond the call.
    pub(super) chunk: Option<StableBytes>,
}

impl<'a> ArgumentBuffers<'a> {
    fn from(&'a self, at: usize) -> Option<OutOfBandSource<'a>> {
        let bytes = self.bytes.get(at..)?;
        Some(match &self.chunk {
            Some(chunk) => OutOfBandSource::Chunk(chunk.part(at..chunk.len())?),
            None => OutOfBandSource::Passing(bytes),
        })
    }
}

/// A received argument.
pub(super) enum DecodedArgument<'a> {
    Value(SerializedValue<'a>),
    Reference(&'a [u8]),
}

impl<'a> ArgumentReader<'a> {
    /// Copies or shares a value so that it outlives the call.
    pub(super) fn keep(&self, value: SerializedValue<'_>) -> StoredValue {
        let chunk = |bytes: &[u8]| {
            let from = bytes
                .as_ptr()
                .addr()
                .wrapping_sub(self.buffers.bytes.as_ptr().addr());
            let chunk = self.buffers.chunk.as_ref();
            let chunk = chunk.and_then(|chunk| chunk.part(from..from.checked_add(bytes.len())?));
            chunk.unwrap_or_else(|| StableBytes::copy(bytes))
        };
        let out_of_band = match value.out_of_band {
            OutOfBandSource::Chunk(out_of_band) => out_of_band,
            OutOfBandSource::Passing(bytes) => StableBytes::copy(bytes),
            OutOfBandSource::Areas(_) => StableBytes::copy(&[]),
        };
        StoredValue::Chunks(chunk(value.bytes), out_of_band)
    }

    /// Takes the next argument; `None` if the data is truncated.
    #[inline(never)]
    pub(super) fn next(&mut self) -> Option<DecodedArgument<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        if tag == REFERENCE {
            return Some(DecodedArgument::Reference(take(&mut self.rest)?));
        }
        let at = usize::try_from(word(self.rest)?).ok()?;
        self.rest = self.rest.get(8..)?;
        if tag == VALUE {
            let bytes = take(&mut self.rest)?;
            // Usually there is no out-of-band data.
            let out_of_band = self
                .buffers
                .from(at)
                .unwrap_or(OutOfBandSource::Passing(&[]));
            return Some(DecodedArgument::Value(SerializedValue {
                bytes,
                out_of_band,
            }));
        }
        let end = at.checked_add(usize::try_from(word(self.rest)?).ok()?)?;
        self.rest = self.rest.get(8..)?;
        let rest = self.buffers.from(end.next_multiple_of(ALIGN));
        Some(DecodedArgument::Value(SerializedValue {
            bytes: self.buffers.bytes.get(at..end)?,
            out_of_band: rest.unwrap_or(OutOfBandSource::Passing(&[])),
        }))
    }
}
