//! The types whose values can be sent to engines.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose values can be sent between the notebook and engines: every type that implements
/// serde's `Serialize` and `Deserialize` and borrows nothing.
///
/// ```no_run
/// use phalanx::prelude::*;
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
/// fn mirror(point: Point) -> Point {
///     Point { x: -point.x, ..point }
/// }
/// let mirrored = Client::connect()?.view(0).apply_sync_with(mirror, Point { x: 1.0, y: 2.0 })?;
/// assert_eq!(mirrored, Point { x: -1.0, y: 2.0 });
/// # Ok::<(), phalanx::Error>(())
/// ```
#[cfg(not(rust_analyzer))]
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` cannot be sent to engines and back",
    label = "this is neither serialized nor deserialized by serde",
    note = "for a type of your own, derive serde's traits: `#[derive(Serialize, Deserialize)]`",
    note = "with `%%px --local` as the first line of the cell that declares the type, engines have it too",
    note = "types of other crates often need their crate's `serde` feature: `:dep ndarray = {{ version = \"0.17\", features = [\"serde\"] }}`",
    note = "results must be owned: `String` instead of `&str`, `Vec<T>` instead of `&[T]`"
)]
pub trait Transferable: Serialize + DeserializeOwned + 'static {}

#[cfg(not(rust_analyzer))]
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Transferable for T {}

/// The definition for evcxr's rust-analyzer, which infers the types of a cell's variables without
/// expanding derives: a type of the notebook would not seem to implement serde's traits, and the
/// type of a function's result would be unknown. rustc checks the actual bounds.
#[cfg(rust_analyzer)]
pub trait Transferable {}

#[cfg(rust_analyzer)]
impl<T> Transferable for T {}

/// A type whose values can be sent to engines: every type that implements serde's `Serialize`,
/// borrowed or not.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let view = Client::connect()?.view(0);
/// view.push("greeting", "hello")?; // a `str` arrives as a `String`
/// assert_eq!(view.pull::<String>("greeting")?, "hello");
/// # Ok::<(), phalanx::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` cannot be sent to engines",
    label = "this is not serialized by serde",
    note = "for a type of your own, derive serde's traits: `#[derive(Serialize, Deserialize)]`",
    note = "with `%%px --local` as the first line of the cell that declares the type, engines have it too",
    note = "types of other crates often need their crate's `serde` feature: `:dep ndarray = {{ version = \"0.17\", features = [\"serde\"] }}`"
)]
pub trait SerializableArg: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> SerializableArg for T {}
