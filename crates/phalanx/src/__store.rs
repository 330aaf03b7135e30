//! evcxr's variable store, which holds variables between cells.
//!
//! Every cell with variables contains evcxr's own definition of the store, and compiling it takes
//! most of the time of such a cell. This is the same store, compiled once; the evaluator
//! substitutes it for evcxr's. Follows `evcxr_internal_runtime.rs` of evcxr 0.22.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::panic;
use std::sync::Arc;

/// The line a cell prints, followed by a variable's name, if the variable's type is not the one the
/// cell was compiled for.
pub const VARIABLE_CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
/// The line a cell prints when it was left by an error through `?`.
pub const USER_ERROR_OCCURRED: &str = "EVCXR_ERROR_OCCURRED";

/// The variables by name. Each is an `Option` in a box: a value is taken out without unboxing, and
/// is dropped without knowledge of its type.
#[derive(Debug, Default)]
pub struct VariableStore {
    variables: HashMap<String, Box<dyn Any>>,
}

impl VariableStore {
    /// Stores a variable's value.
    #[inline(never)]
    pub fn put_variable<T: 'static>(&mut self, name: &str, value: T) {
        self.put(name, Box::new(Some(value)));
    }

    /// Returns true if a variable is absent or of type `T`; otherwise prints
    /// [`VARIABLE_CHANGED_TYPE`].
    #[inline(never)]
    pub fn check_variable<T: 'static>(&mut self, name: &str) -> bool {
        self.check(name, TypeId::of::<Option<T>>())
    }

    /// Takes a variable's value out of the store.
    ///
    /// # Panics
    /// If the variable is missing, or was not checked before.
    #[inline(never)]
    pub fn take_variable<T: 'static>(&mut self, name: &str) -> T {
        let value = self.slot(name).downcast_mut().and_then(Option::take);
        self.remove(name);
        match value {
            Some(value) => value,
            None => changed_type(),
        }
    }

    /// Returns the value that cells share under a name; the first call creates it.
    ///
    /// # Panics
    /// If the value is of another type.
    pub fn lazy_arc<T: 'static, F: FnOnce() -> T>(&mut self, name: &str, create: F) -> Arc<T> {
        if !self.variables.contains_key(name) {
            self.put_variable(name, Arc::new(create()));
        }
        match self.slot(name).downcast_ref::<Option<Arc<T>>>() {
            Some(Some(shared)) => Arc::clone(shared),
            _ => panic!("lazy_arc {name} changed type"),
        }
    }

    /// Moves all variables of another store into this one.
    pub fn merge(&mut self, mut other: VariableStore) {
        self.variables.extend(other.variables.drain());
    }

    #[inline(never)]
    fn put(&mut self, name: &str, value: Box<dyn Any>) {
        self.variables.insert(name.to_owned(), value);
    }

    #[inline(never)]
    fn check(&mut self, name: &str, expected: TypeId) -> bool {
        let stored = self.variables.get(name);
        if stored.is_none_or(|variable| variable.as_ref().type_id() == expected) {
            return true;
        }
        // The kernel reports this to the user; evcxr's own message on stderr would be a duplicate.
        println!("{VARIABLE_CHANGED_TYPE}{name}");
        false
    }

    /// Returns the slot of a variable.
    #[inline(never)]
    fn slot(&mut self, name: &str) -> &mut dyn Any {
        match self.variables.get_mut(name) {
            Some(slot) => slot.as_mut(),
            None => panic!("Variable '{name}' has gone missing"),
        }
    }

    #[inline(never)]
    fn remove(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Drops variables whose types are unknown to the calling code.
    pub(crate) fn drop_variables(&mut self, names: &[&str]) {
        for name in names {
            let variable = self.variables.remove(*name);
            // The panic hook reports a panic; the variable is removed in any case.
            let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| drop(variable)));
        }
    }
}

#[cold]
#[inline(never)]
fn changed_type() -> ! {
    panic!("Variable changed type")
}

/// Creates the store for all later cells; it lives as long as the process.
pub fn create_variable_store() -> *mut VariableStore {
    Box::into_raw(Box::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_variables_keep_their_types() {
        let mut store = VariableStore::default();
        store.put_variable("größe", vec![1, 2]);
        assert!(store.check_variable::<Vec<i32>>("größe"));
        assert!(!store.check_variable::<Vec<u8>>("größe"));
        assert!(store.check_variable::<u8>("nothing"), "it will be missing");
        assert_eq!(store.take_variable::<Vec<i32>>("größe"), [1, 2]);
        let taken_again = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            store.take_variable::<Vec<i32>>("größe")
        }));
        assert!(taken_again.is_err(), "it is gone");
        let first = store.lazy_arc("runtime", || 7);
        assert_eq!(store.lazy_arc("runtime", || 8), first);
        store.drop_variables(&["runtime", "nothing"]);
        assert_eq!(*store.lazy_arc("runtime", || 8), 8);
    }
}
