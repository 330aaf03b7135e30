//! The values that functions and cells of one runtime share by name: the engine's namespace for
//! functions. `push` stores into it, `pull` and [`Reference`](crate::Reference) read from it.

use crate::Error;
use crate::codec::{Parts, Read, StoredValue, Transferable, Write};
use crate::error::LibraryError;
use crate::loaded_cells::{LoadedCell, loaded};
use crate::type_names::{own, plain};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// The serialized values by name: types are not shared between the libraries of the process.
type Store = Mutex<BTreeMap<String, Entry>>;

struct Entry {
    type_name: String,
    value: StoredValue,
}

/// The reason why a name has no value of the requested type.
pub(crate) struct Unknown {
    pub(crate) ename: &'static str,
    pub(crate) evalue: String,
}

/// Reads a value from this engine's namespace.
///
/// # Errors
/// `UsageError` if there is none, or it is of another type.
pub fn get<T: Transferable>(name: &str) -> Result<T, Error> {
    let mut value = None;
    read(name, std::any::type_name::<T>(), &mut |from| {
        value = Some(T::deserialize(from)?);
        Ok(())
    })?;
    value.ok_or_else(nothing_read)
}

fn nothing_read() -> Error {
    LibraryError::NothingRead.into()
}

#[inline(never)]
fn read(name: &str, type_name: &str, read: &mut Read<'_>) -> Result<(), Error> {
    decode(name, type_name, read).map_err(|unknown| LibraryError::Namespace(&unknown.evalue).into())
}

/// Stores a value in this engine's namespace, for later functions and for `pull`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// fn count() -> Result<u64, phalanx::Error> {
///     let calls = phalanx::namespace::get("calls").unwrap_or(0u64) + 1;
///     phalanx::namespace::set("calls", &calls)?;
///     Ok(calls)
/// }
/// let view = Client::connect()?.view(0);
/// view.push("calls", &0u64)?;
/// assert_eq!((view.apply_sync(count)??, view.apply_sync(count)??), (1, 2));
/// assert_eq!(view.pull::<u64>("calls")?, 2);
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the value cannot be serialized.
pub fn set<T: Transferable>(name: &str, value: &T) -> Result<(), Error> {
    write(name, std::any::type_name::<T>(), &|to| value.serialize(to))
}

#[inline(never)]
fn write(name: &str, type_name: &str, write: &Write<'_>) -> Result<(), Error> {
    put(name, type_name, Parts::written(type_name, write)?.into());
    Ok(())
}

/// Returns the names of the values that [`set`] and `push` have stored.
pub fn names() -> Vec<String> {
    with(|store| store.keys().cloned().collect())
}

/// Removes a name from the namespace; returns true if it existed.
pub fn remove(name: &str) -> bool {
    changed();
    with(|store| store.remove(name).is_some())
}

pub(crate) fn put(name: &str, type_name: &str, value: StoredValue) {
    changed();
    let entry = Entry {
        type_name: type_name.to_owned(),
        value,
    };
    with(|store| store.insert(name.to_owned(), entry));
}

/// Deserializes the value of a name, which must be of type `type_name`.
pub(crate) fn decode(name: &str, type_name: &str, read: &mut Read<'_>) -> Result<(), Unknown> {
    stored_value(name, type_name)?
        .decode(read)
        .map_err(|why| Unknown {
            ename: "DeserializeError",
            evalue: format!("'{name}' cannot be read as {}: {why}", plain(type_name)),
        })
}

/// Returns the serialized value of a name, if it is of type `type_name`.
pub(crate) fn stored_value(name: &str, type_name: &str) -> Result<StoredValue, Unknown> {
    with(|store| {
        let entry = store.get(name).ok_or_else(|| Unknown {
            ename: "NameError",
            evalue: format!("name '{name}' is not defined on this engine"),
        })?;
        if own(&entry.type_name) != own(type_name) {
            return Err(Unknown {
                ename: "TypeError",
                evalue: format!(
                    "'{name}' is of type {} on this engine, and {} is wanted",
                    plain(&entry.type_name),
                    plain(type_name)
                ),
            });
        }
        Ok(entry.value.clone())
    })
}

/// Marks the namespace as changed, so that the runtime takes a new snapshot after this call.
fn changed() {
    if let Some(cell) = loaded() {
        cell.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn with<T>(act: impl FnOnce(&mut BTreeMap<String, Entry>) -> T) -> T {
    static ALONE: Store = Mutex::new(BTreeMap::new());
    let store = match loaded() {
        None => &ALONE,
        Some(LoadedCell { shared: slot, .. }) => {
            let mut store = slot.load(Ordering::Acquire).cast::<Store>();
            if store.is_null() {
                let new = Box::into_raw(Box::new(Store::default()));
                match slot.compare_exchange(
                    std::ptr::null_mut(),
                    new.cast(),
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => store = new,
                    Err(other) => {
                        // SAFETY: created above and not shared yet.
                        drop(unsafe { Box::from_raw(new) });
                        store = other.cast();
                    }
                }
            }
            // SAFETY: created above by this or another library of the process; all are compiled by
            // the same compiler and share the standard library, which defines all of its types.
            unsafe { &*store }
        }
    };
    act(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_name_and_type() {
        set("größe", &vec![1.5f64]).unwrap();
        assert_eq!(get::<Vec<f64>>("größe").unwrap(), [1.5]);
        let wrong = get::<Vec<f32>>("größe").unwrap_err().to_string();
        assert!(
            wrong.contains("Vec<f64>") && wrong.contains("Vec<f32>"),
            "{wrong}"
        );
        assert!(get::<u8>("nothing").is_err());
        assert!(names().contains(&"größe".to_owned()));
        assert!(remove("größe") && !remove("größe"));
    }
}
