//! evcxr's store, in which the variables are between cells.
//!
//! Every cell that has variables brings evcxr's own definition of it, and compiles it: the larger
//! part of the time such a cell takes. This is the same, made once; the evaluator puts it in
//! that one's place. Follows `evcxr_internal_runtime.rs` of evcxr 0.22.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::panic;
use std::sync::Arc;

/// The line a cell prints, followed by a variable's name, if the variable has another type than it
/// was compiled for.
pub const VARIABLE_CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
/// The line a cell prints when an error has left it through `?`.
pub const USER_ERROR_OCCURRED: &str = "EVCXR_ERROR_OCCURRED";

/// The variables, by name, each an `Option` in a box: it is taken out of it without unpacking a box, and
/// dropping one needs no knowledge of its type.
#[derive(Debug, Default)]
pub struct VariableStore {
    variables: HashMap<String, Box<dyn Any>>,
}

impl VariableStore {
    /// Keeps a variable's value.
    #[inline(never)]
    pub fn put_variable<T: 'static>(&mut self, name: &str, value: T) {
        self.put(name, Box::new(Some(value)));
    }

    /// Returns true if a variable is absent or of a type; notifies the kernel if it is not.
    #[inline(never)]
    pub fn check_variable<T: 'static>(&mut self, name: &str) -> bool {
        self.check(name, TypeId::of::<Option<T>>())
    }

    /// Gives a variable's value back.
    ///
    /// # Panics
    /// When it is not there, or was not checked.
    #[inline(never)]
    pub fn take_variable<T: 'static>(&mut self, name: &str) -> T {
        let taken = self.place(name).downcast_mut().and_then(Option::take);
        self.remove(name);
        match taken {
            Some(value) => value,
            None => changed_type(),
        }
    }

    /// Returns the value cells share under a name, created by the first that asks.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn lazy_arc<T: 'static, F: FnOnce() -> T>(&mut self, name: &str, create: F) -> Arc<T> {
        if !self.variables.contains_key(name) {
            self.put_variable(name, Arc::new(create()));
        }
        match self.place(name).downcast_ref::<Option<Arc<T>>>() {
            Some(Some(shared)) => Arc::clone(shared),
            _ => panic!("lazy_arc {name} changed type"),
        }
    }

    /// Takes all the variables of another store.
    pub fn merge(&mut self, mut other: VariableStore) {
        self.variables.extend(other.variables.drain());
    }

    #[inline(never)]
    fn put(&mut self, name: &str, value: Box<dyn Any>) {
        self.variables.insert(name.to_owned(), value);
    }

    #[inline(never)]
    fn check(&mut self, name: &str, expected: TypeId) -> bool {
        let there = self.variables.get(name);
        if there.is_none_or(|variable| variable.as_ref().type_id() == expected) {
            return true;
        }
        // The kernel says it to the user; evcxr's own words on stderr would be said twice.
        println!("{VARIABLE_CHANGED_TYPE}{name}");
        false
    }

    /// The place of a variable.
    #[inline(never)]
    fn place(&mut self, name: &str) -> &mut dyn Any {
        match self.variables.get_mut(name) {
            Some(place) => place.as_mut(),
            None => panic!("Variable '{name}' has gone missing"),
        }
    }

    #[inline(never)]
    fn remove(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Drops variables whose types the code that calls this does not know any more.
    pub(crate) fn drop_variables(&mut self, names: &[&str]) {
        for name in names {
            let variable = self.variables.remove(*name);
            // A panic is reported where panics are; the variable is gone all the same.
            let _ = panic::catch_unwind(panic::AssertUnwindSafe(|| drop(variable)));
        }
    }
}

#[cold]
#[inline(never)]
fn changed_type() -> ! {
    panic!("Variable changed type")
}

/// A store for all cells to come; it lives as long as the process.
pub fn create_variable_store() -> *mut VariableStore {
    Box::into_raw(Box::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_had_back_as_what_they_were() {
        let mut store = VariableStore::default();
        store.put_variable("größe", vec![1, 2]);
        assert!(store.check_variable::<Vec<i32>>("größe"));
        assert!(!store.check_variable::<Vec<u8>>("größe"));
        assert!(store.check_variable::<u8>("nothing"), "it will be missing");
        assert_eq!(store.take_variable::<Vec<i32>>("größe"), [1, 2]);
        let taken = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            store.take_variable::<Vec<i32>>("größe")
        }));
        assert!(taken.is_err(), "it is gone");
        let first = store.lazy_arc("runtime", || 7);
        assert_eq!(store.lazy_arc("runtime", || 8), first);
        store.drop_variables(&["runtime", "nothing"]);
        assert_eq!(*store.lazy_arc("runtime", || 8), 8);
    }
}
