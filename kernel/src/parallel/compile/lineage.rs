//! The states engines can be in, and the origin of each. Pure.
//!
//! A state is the outcome of one cell in another state, so every state has a lineage back to the
//! empty one. What the evaluator has not compiled yet is compiled when a cell needs it. Engines tell of
//! the cells of other clients.

use crate::context::MissingVariables;
use phalanx_protocol::evaluator::UnkeptVariable;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::StateRecord;
use phalanx_protocol::runtime::Outcome;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The origin of a state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StateOrigin {
    /// From which state.
    pub(super) base: StateId,
    /// By which cell.
    pub(super) source: Arc<str>,
    /// Its execution count.
    pub(super) cell: usize,
    /// The types of the variables it declares without writing them, once it has been compiled.
    pub(super) types: Option<Vec<(String, String)>>,
    /// That ended how.
    pub(super) outcome: Outcome,
}

/// A state that no known cell has made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is known of the cells that led to state {0}")]
pub(super) struct UnknownState(pub(super) StateId);

/// All states that are known.
#[derive(Debug)]
pub(super) struct Lineages {
    origins: HashMap<StateId, StateOrigin>,
    /// Those the evaluator has.
    compiled: HashSet<StateId>,
    /// The names of their variables.
    variables: HashMap<StateId, Vec<String>>,
    /// The variables that are gone because cells have moved them.
    moved: HashMap<StateId, MissingVariables>,
}

impl Lineages {
    /// Knows the empty state alone.
    pub(super) fn new() -> Self {
        Self {
            origins: HashMap::new(),
            compiled: HashSet::from([StateId::empty()]),
            variables: HashMap::new(),
            moved: HashMap::new(),
        }
    }

    /// Lists what has to be compiled, in this order, before a cell can be compiled from `state`.
    ///
    /// # Errors
    /// When the state's lineage leads to one that is not known.
    pub(super) fn missing(
        &self,
        state: &StateId,
    ) -> Result<Vec<(StateId, StateOrigin)>, UnknownState> {
        let mut steps = Vec::new();
        let mut at = state.clone();
        while !self.compiled.contains(&at) {
            let origin = self.origin(&at).ok_or_else(|| UnknownState(at.clone()))?;
            let base = origin.base.clone();
            steps.push((at, origin));
            at = base;
        }
        steps.reverse();
        Ok(steps)
    }

    /// Takes over the cells of another client.
    pub(super) fn adopt(&mut self, records: Vec<StateRecord>) {
        for record in records {
            let origin = StateOrigin {
                base: record.base,
                source: record.source.into(),
                cell: record.cell,
                types: Some(record.types),
                outcome: record.outcome,
            };
            self.origins.entry(record.state).or_insert(origin);
        }
    }

    /// Forgets the cells of another client.
    pub(super) fn forget<'a>(&mut self, states: impl Iterator<Item = &'a StateId>) {
        for state in states {
            self.origins.remove(state);
            self.compiled.remove(state);
        }
    }

    /// The cells that led to a state, the first one first, as far as they are known.
    pub(super) fn sources(&self, state: &StateId) -> Vec<Arc<str>> {
        let mut sources = Vec::new();
        let mut at = state.clone();
        while let Some(origin) = self.origin(&at) {
            // A cell that was abandoned has left nothing behind.
            if !matches!(origin.outcome, Outcome::Died { .. }) {
                sources.push(origin.source);
            }
            at = origin.base;
        }
        sources.reverse();
        sources
    }

    /// The evaluator has compiled a cell: `state` is the one it leads to, with these variables and
    /// without those that the cell moves.
    pub(super) fn add(
        &mut self,
        state: StateId,
        origin: StateOrigin,
        variables: Vec<String>,
        moved: &[String],
    ) {
        let mut gone = self.moved(&origin.base);
        gone.record(origin.cell, moved, variables.iter().map(String::as_str));
        self.moved.insert(state.clone(), gone);
        self.compiled.insert(state.clone());
        self.variables.insert(state.clone(), variables);
        self.origins.insert(state, origin);
    }

    /// Notes the variables that the cell which leads to a state does not leave.
    pub(super) fn leave_out(&mut self, state: &StateId, unkept: &[UnkeptVariable]) {
        let cell = self.origins.get(state).map(|origin| origin.cell);
        if let (Some(cell), Some(moved)) = (cell, self.moved.get_mut(state)) {
            moved.unkept(cell, unkept.iter().map(|variable| &variable.name));
        }
    }

    /// The names of a state's variables.
    pub(super) fn variables(&self, state: &StateId) -> Vec<String> {
        self.variables.get(state).cloned().unwrap_or_default()
    }

    /// The cells that have moved the variables that are gone in a state.
    pub(super) fn moved(&self, state: &StateId) -> MissingVariables {
        self.moved.get(state).cloned().unwrap_or_default()
    }

    /// The evaluator is a new one, which has only the empty state.
    pub(super) fn forget_compiled(&mut self) {
        self.compiled = HashSet::from([StateId::empty()]);
    }

    /// The origin of a state.
    pub(super) fn origin(&self, state: &StateId) -> Option<StateOrigin> {
        if let Some(origin) = self.origins.get(state) {
            return Some(origin.clone());
        }
        // The same cell from the same base, with another outcome than was assumed.
        unfinished().into_iter().find_map(|outcome| {
            let assumed = self.origins.iter().find(|(next, origin)| {
                state.as_str().starts_with(next.as_str())
                    && !matches!(origin.outcome, Outcome::Died { .. })
                    && StateId::after(next, &outcome).as_ref() == Some(state)
            });
            let (_, origin) = assumed?;
            Some(StateOrigin {
                outcome,
                ..origin.clone()
            })
        })
    }
}

/// Every outcome that leads to a state of its own, apart from completion.
fn unfinished() -> [Outcome; 4] {
    [
        Outcome::Returned,
        Outcome::Panicked(Panic {
            message: String::new(),
            location: None,
        }),
        Outcome::Errored {
            message: String::new(),
            failure: None,
            location: None,
        },
        Outcome::Died {
            status: String::new(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::DependenciesId;

    fn state(name: &str) -> StateId {
        StateId::new(name)
    }

    fn completed(base: &str, source: &str) -> StateOrigin {
        StateOrigin {
            base: state(base),
            source: source.into(),
            cell: 1,
            types: None,
            outcome: Outcome::Completed,
        }
    }

    fn steps(lineages: &Lineages, name: &str) -> Vec<String> {
        let steps = lineages.missing(&state(name)).unwrap();
        let told = steps.iter().map(|(state, origin)| {
            let outcome = format!("{:?}", origin.outcome);
            let outcome = outcome.split([' ', '(']).next().unwrap().to_owned();
            format!("{} + {} -> {state} ({outcome})", origin.base, origin.source)
        });
        told.collect()
    }

    #[test]
    fn outcomes_that_occurred_are_compiled_when_they_are_needed() {
        let mut lineages = Lineages::new();
        lineages.add(state("a"), completed("empty", "A"), vec![], &[]);
        assert!(steps(&lineages, "a").is_empty());
        assert_eq!(
            steps(&lineages, "a~panicked"),
            ["empty + A -> a~panicked (Panicked)"]
        );
        assert_eq!(
            steps(&lineages, "a~error"),
            ["empty + A -> a~error (Errored)"]
        );
        let (name, origin) = lineages.missing(&state("a~died")).unwrap().remove(0);
        lineages.add(name, origin, vec![], &[]);
        lineages.add(state("b"), completed("a~died", "B"), vec![], &[]);
        assert!(steps(&lineages, "b").is_empty());
    }

    #[test]
    fn a_new_evaluator_learns_a_whole_lineage() {
        let mut lineages = Lineages::new();
        lineages.add(state("a"), completed("empty", "A"), vec![], &[]);
        lineages.add(state("b"), completed("a", "B"), vec![], &[]);
        lineages.forget_compiled();
        assert_eq!(
            steps(&lineages, "b~error"),
            ["empty + A -> a (Completed)", "a + B -> b~error (Errored)"]
        );
    }

    #[test]
    fn what_a_cell_has_moved_is_known_in_later_states() {
        let mut lineages = Lineages::new();
        let second = |base, source| StateOrigin {
            cell: 2,
            ..completed(base, source)
        };
        lineages.add(state("a"), completed("empty", "A"), vec!["v".into()], &[]);
        lineages.add(state("b"), second("a", "B"), vec![], &["v".into()]);
        lineages.add(state("c"), second("b", "C"), vec![], &[]);
        assert_eq!(lineages.moved(&state("a")).by("v"), None);
        assert_eq!(lineages.moved(&state("c")).by("v"), Some(2));
    }

    #[test]
    fn states_of_others_are_known_once_their_cells_are() {
        let mut lineages = Lineages::new();
        assert_eq!(lineages.missing(&state("x")), Err(UnknownState(state("x"))));
        assert_eq!(
            lineages.missing(&state("x~died")),
            Err(UnknownState(state("x~died")))
        );
        let record = |from: &str, to: &str, outcome| StateRecord {
            state: state(to),
            base: state(from),
            source: to.to_uppercase(),
            cell: 1,
            types: Vec::new(),
            binds: None,
            outcome,
            abi: String::new(),
            dependencies: DependenciesId::new(""),
        };
        let died = Outcome::Died {
            status: String::new(),
        };
        let records = vec![
            record("empty", "w", Outcome::Completed),
            record("w", "x~died", died),
        ];
        lineages.adopt(records.clone());
        assert_eq!(
            steps(&lineages, "x~died"),
            ["empty + W -> w (Completed)", "w + X~DIED -> x~died (Died)"]
        );
        lineages.forget(records.iter().map(|record| &record.state));
        assert!(lineages.missing(&state("w")).is_err());
    }
}
