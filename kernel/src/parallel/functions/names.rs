//! The contents of the engines' namespaces besides variables. Pure.
//!
//! A value can be in two places of an engine: it is a variable of its cells, or it is in bytes where
//! functions find it. Which is newer decides what has to be done before a cell or a function uses it.

use phalanx_protocol::apply::PushedName;
use phalanx_protocol::id::{EngineUuid, StateId};
use std::collections::{BTreeMap, HashMap};

/// A value that functions find.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FunctionValue {
    /// Put there by the notebook; no variable yet.
    Pushed { type_name: String },
    /// Copied from variables as they were in this state.
    Copied { state: StateId },
}

/// The names that functions find on each engine.
#[derive(Debug, Default)]
pub(super) struct EngineNames {
    engines: HashMap<EngineUuid, HashMap<String, FunctionValue>>,
}

impl EngineNames {
    /// The notebook puts a value there.
    pub(super) fn pushed(&mut self, engine: &EngineUuid, pushed: &PushedName) {
        let type_name = pushed.type_name.clone();
        self.of(engine)
            .insert(pushed.name.clone(), FunctionValue::Pushed { type_name });
    }

    /// An engine says which values the notebooks that use it have put there, and which of them have become
    /// variables. Those that are on their way it does not know of.
    pub(super) fn found(&mut self, engine: &EngineUuid, all: &[PushedName], bound: &[String]) {
        for name in bound {
            self.bound(engine, name);
        }
        for pushed in all {
            self.pushed(engine, pushed);
        }
    }

    /// A variable, or the value of an expression, was copied there.
    pub(super) fn copied(&mut self, engine: &EngineUuid, name: &str, state: StateId) {
        self.of(engine)
            .insert(name.to_owned(), FunctionValue::Copied { state });
    }

    /// A pushed value has become a variable.
    pub(super) fn bound(&mut self, engine: &EngineUuid, name: &str) {
        self.of(engine).remove(name);
    }

    /// Returns true if functions find the value as it is in this state.
    pub(super) fn is_current(&self, engine: &EngineUuid, name: &str, state: &StateId) -> bool {
        match self.engines.get(engine).and_then(|names| names.get(name)) {
            Some(FunctionValue::Pushed { .. }) => true,
            Some(FunctionValue::Copied { state: then }) => then == state,
            None => false,
        }
    }

    /// The pushed values that have to become variables of these engines before a cell that mentions
    /// those words is compiled: name and type, and the engines concerned.
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

    /// An engine is gone, or has forgotten everything.
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
    fn what_is_newer_counts() {
        let (engine, other) = (EngineUuid::new("a"), EngineUuid::new("b"));
        let (s, t) = (StateId::new("s"), StateId::new("t"));
        let mut names = EngineNames::default();
        assert!(!names.is_current(&engine, "x", &s));
        names.copied(&engine, "x", s.clone());
        assert!(names.is_current(&engine, "x", &s) && !names.is_current(&engine, "x", &t));
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
        names.found(&engine, std::slice::from_ref(&pushed), &[]);
        assert!(names.is_current(&engine, "x", &s));
        names.found(&engine, &[], &[]);
        assert!(names.is_current(&engine, "x", &s), "it is on its way");
        names.found(&engine, &[], &["x".to_owned()]);
        assert!(!names.is_current(&engine, "x", &s));
        names.pushed(&engine, &pushed);
        names.forget(&engine);
        assert!(names.to_bind(&engines, |_| true).is_empty());
    }
}
