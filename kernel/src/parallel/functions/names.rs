//! The names in engines' namespaces that are not variables. Pure.
//!
//! An engine stores a value in a variable of cells or, for functions, serialized. The newer one
//! has to be copied before a cell or a function uses the other.

use crate::cell::check_variable_name;
use phalanx_protocol::apply::PushedName;
use phalanx_protocol::id::{EngineId, EngineUuid, StateId};
use std::collections::{BTreeMap, HashMap};

/// A serialized value, found by functions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FunctionValue {
    /// Pushed by the notebook; not a variable yet.
    Pushed { type_name: String },
    /// Copied from variables in this state.
    Copied { state: StateId },
}

/// The names of serialized values on each engine.
#[derive(Debug, Default)]
pub(super) struct EngineNames {
    engines: HashMap<EngineUuid, HashMap<String, FunctionValue>>,
}

impl EngineNames {
    /// Records a value pushed by this notebook.
    pub(super) fn pushed(&mut self, engine: &EngineUuid, pushed: &PushedName) {
        let type_name = pushed.type_name.clone();
        self.of(engine)
            .insert(pushed.name.clone(), FunctionValue::Pushed { type_name });
    }

    /// Records an engine's report: the values pushed by all notebooks, and those that have become
    /// variables. The report lacks values that are still on their way. A client of another release
    /// may have pushed a value under a name that no variable can have.
    pub(super) fn record_report(
        &mut self,
        engine: &EngineUuid,
        all: &[PushedName],
        bound: &[String],
    ) {
        for name in bound {
            self.bound(engine, name);
        }
        let named = |pushed: &&PushedName| check_variable_name(&pushed.name).is_ok();
        for pushed in all.iter().filter(named) {
            self.pushed(engine, pushed);
        }
    }

    /// Records a value copied from a variable or an expression.
    pub(super) fn copied(&mut self, engine: &EngineUuid, name: &str, state: StateId) {
        self.of(engine)
            .insert(name.to_owned(), FunctionValue::Copied { state });
    }

    /// Records that a pushed value has become a variable.
    pub(super) fn bound(&mut self, engine: &EngineUuid, name: &str) {
        self.of(engine).remove(name);
    }

    /// Returns those of these engines, each with its state, on which functions do not find the value of
    /// that state.
    pub(super) fn outdated(
        &self,
        name: &str,
        engines: &[(EngineId, EngineUuid, StateId)],
    ) -> Vec<EngineId> {
        engines
            .iter()
            .filter(|(_, uuid, state)| !self.is_current(uuid, name, state))
            .map(|(id, ..)| *id)
            .collect()
    }

    /// Returns true if functions find the value of this state.
    fn is_current(&self, engine: &EngineUuid, name: &str, state: &StateId) -> bool {
        match self.engines.get(engine).and_then(|names| names.get(name)) {
            Some(FunctionValue::Pushed { .. }) => true,
            Some(FunctionValue::Copied { state: then }) => then == state,
            None => false,
        }
    }

    /// Returns the pushed values that must become variables before a cell that contains these words
    /// is compiled: name and type, and the engines.
    pub(super) fn to_bind(
        &self,
        engines: &[EngineUuid],
        words: impl Fn(&str) -> bool,
    ) -> BTreeMap<(String, String), Vec<EngineUuid>> {
        let mut found: BTreeMap<_, Vec<EngineUuid>> = BTreeMap::new();
        for engine in engines {
            for (name, given) in self.engines.get(engine).into_iter().flatten() {
                if let FunctionValue::Pushed { type_name } = given
                    && words(name)
                {
                    let key = (name.clone(), type_name.clone());
                    found.entry(key).or_default().push(engine.clone());
                }
            }
        }
        found
    }

    /// Removes an engine that has ended or was cleared.
    pub(super) fn forget(&mut self, engine: &EngineUuid) {
        self.engines.remove(engine);
    }

    fn of(&mut self, engine: &EngineUuid) -> &mut HashMap<String, FunctionValue> {
        self.engines.entry(engine.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_of_variable_and_pushed_value_is_used() {
        let (engine, other) = (EngineUuid::new("a"), EngineUuid::new("b"));
        let (s, t) = (StateId::new("s"), StateId::new("t"));
        let mut names = EngineNames::default();
        assert!(!names.is_current(&engine, "x", &s));
        names.copied(&engine, "x", s.clone());
        assert!(names.is_current(&engine, "x", &s) && !names.is_current(&engine, "x", &t));
        let in_states = [(0, &engine, &s), (1, &engine, &t), (2, &other, &s)]
            .map(|(id, uuid, state)| (EngineId(id), uuid.clone(), state.clone()));
        assert_eq!(names.outdated("x", &in_states), [EngineId(1), EngineId(2)]);
        let pushed = PushedName {
            name: "x".to_owned(),
            type_name: "u8".to_owned(),
        };
        names.pushed(&engine, &pushed);
        assert!(names.is_current(&engine, "x", &t));
        let engines = [engine.clone(), other];
        assert!(names.to_bind(&engines, |word| word == "y").is_empty());
        let found = names.to_bind(&engines, |word| word == "x");
        let key = ("x".to_owned(), "u8".to_owned());
        assert!(found[&key].iter().eq([&engine]));
        names.bound(&engine, "x");
        assert!(!names.is_current(&engine, "x", &t));
        names.record_report(&engine, std::slice::from_ref(&pushed), &[]);
        assert!(names.is_current(&engine, "x", &s));
        names.record_report(&engine, &[], &[]);
        assert!(names.is_current(&engine, "x", &s), "it is on its way");
        names.record_report(&engine, &[], &["x".to_owned()]);
        assert!(!names.is_current(&engine, "x", &s));
        let keyword = PushedName {
            name: "fn".to_owned(),
            ..pushed.clone()
        };
        names.record_report(&engine, &[keyword], &[]);
        assert!(names.to_bind(&engines, |word| word == "fn").is_empty());
        names.pushed(&engine, &pushed);
        names.forget(&engine);
        assert!(names.to_bind(&engines, |_| true).is_empty());
    }
}
