//! The states of engines and their origins. Pure.
//!
//! A state is the outcome of one cell in another state, so each has a lineage back to the empty
//! state. Cells that the evaluator has not compiled are compiled when needed. Engines report the
//! cells of other clients.

use crate::cell::{CellItem, items};
use crate::context::unresolved::occurs;
use crate::context::{CellName, MissingCause, MissingVariables, missing_name};
use crate::report::Notice;
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::{EarlierItem, Failure, Panic};
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::StateRecord;
use phalanx_protocol::runtime::Outcome;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The origin of a state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StateOrigin {
    /// The state before the cell.
    pub(super) base: StateId,
    /// The source of the cell.
    pub(super) source: Arc<str>,
    /// The name of the cell.
    pub(super) cell: CellName,
    /// The types of variables declared without type annotations, once the cell has been compiled.
    pub(super) types: Option<Vec<(String, String)>>,
    /// The outcome of the cell.
    pub(super) outcome: Outcome,
}

/// The error of a state whose cell is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cells that led to state {0} are unknown")]
pub(super) struct UnknownState(pub(super) StateId);

/// All known states. A name like `a~panicked` is known if `a` is: see [`StateId::after`].
#[derive(Debug)]
pub(super) struct Lineages {
    origins: HashMap<StateId, StateOrigin>,
    /// The states that the evaluator has compiled.
    compiled: HashSet<StateId>,
    /// The names of variables in compiled states.
    variables: HashMap<StateId, Vec<String>>,
    /// The variables that cells have moved or not kept, in compiled states.
    missing_variables: HashMap<StateId, MissingVariables>,
    /// The definitions of other clients that do not compile here, by the state after their cell.
    left_out: HashMap<StateId, Vec<String>>,
}

impl Lineages {
    /// Creates lineages with only the empty state.
    pub(super) fn new() -> Self {
        Self {
            origins: HashMap::new(),
            compiled: HashSet::from([StateId::empty()]),
            variables: HashMap::new(),
            missing_variables: HashMap::new(),
            left_out: HashMap::new(),
        }
    }

    /// Returns the cells to compile, in this order, before a cell can be compiled from `state`.
    ///
    /// # Errors
    /// Returns an error if the lineage contains a state that is not known.
    pub(super) fn uncompiled(
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

    /// Adds the cells of another client.
    pub(super) fn adopt(&mut self, records: Vec<StateRecord>) {
        for record in records {
            let origin = StateOrigin {
                base: record.base,
                source: record.source.into(),
                cell: CellName::Foreign(record.cell),
                types: Some(record.types),
                outcome: record.outcome,
            };
            self.origins.entry(record.state).or_insert(origin);
        }
    }

    /// Removes the cells of another client.
    pub(super) fn forget<'a>(&mut self, states: impl Iterator<Item = &'a StateId>) {
        for state in states {
            self.origins.remove(state);
            self.compiled.remove(state);
        }
    }

    /// Returns the sources of the cells that led to a state, oldest first, as far as they are
    /// known.
    pub(super) fn sources(&self, state: &StateId) -> Vec<Arc<str>> {
        let mut sources = Vec::new();
        let mut at = state.clone();
        while let Some(origin) = self.origin(&at) {
            // A cell whose process died has left nothing behind.
            if !matches!(origin.outcome, Outcome::Died { .. }) {
                sources.push(origin.source);
            }
            at = origin.base;
        }
        sources.reverse();
        sources
    }

    /// Returns true if a name exists in a state, as far as its cells are known.
    pub(super) fn defines(&self, state: &StateId, name: &str) -> bool {
        let mut variables = self.variables.get(state).into_iter().flatten();
        // A name that a cell has moved or dropped is in its source.
        variables.any(|variable| variable == name)
            || (!self.missing_variables(state).contains(name)
                && self
                    .sources(state)
                    .iter()
                    .any(|source| occurs(source, name)))
    }

    /// Adds a compiled cell, which leads to `state` with these variables and without those it
    /// moves.
    pub(super) fn add(
        &mut self,
        state: StateId,
        origin: StateOrigin,
        variables: Vec<String>,
        moved: &[String],
    ) {
        let mut missing = self.missing_variables(&origin.base);
        let there = variables.iter().map(String::as_str);
        let (cell, source) = (origin.cell, &origin.source);
        match &origin.outcome {
            Outcome::Died { .. } => {
                // The evaluator reports all of them as moved by the cell.
                let before = self.variables(&origin.base);
                missing.ended_early(cell, MissingCause::Failed, source, &variables);
                let lost = before.iter().filter(|name| !variables.contains(name));
                missing.lost(cell, MissingCause::Died, lost);
            }
            Outcome::Panicked(_) | Outcome::Errored { .. } => {
                missing.record(cell, source, moved, there);
                missing.ended_early(cell, MissingCause::Failed, source, &variables);
            }
            Outcome::Returned => {
                missing.record(cell, source, moved, there);
                missing.ended_early(cell, MissingCause::Returned, source, &variables);
            }
            Outcome::Completed | Outcome::VariablesLost(_) | Outcome::Abandoned { .. } => {
                missing.record(cell, source, moved, there);
            }
        }
        if let Some(names) = self.left_out.get(&state) {
            missing.left_out(origin.cell, names);
        }
        self.missing_variables.insert(state.clone(), missing);
        self.compiled.insert(state.clone());
        self.variables.insert(state.clone(), variables);
        self.origins.insert(state, origin);
    }

    /// Records variables that the cell which leads to a state drops or does not keep.
    pub(super) fn leave_out(&mut self, state: &StateId, code: &CompiledCell) {
        let cell = self.origins.get(state).map(|origin| origin.cell);
        if let (Some(cell), Some(missing)) = (cell, self.missing_variables.get_mut(state)) {
            let there = self.variables.get(state);
            missing.dropped(cell, &code.dropped, there.map_or(&[], Vec::as_slice));
            missing.unkept(cell, &code.unkept);
        }
    }

    /// Records a cell that does not compile from its base.
    pub(super) fn not_compiled(&mut self, origin: &StateOrigin) {
        let variables = self.variables(&origin.base);
        let missing = self
            .missing_variables
            .entry(origin.base.clone())
            .or_default();
        missing.not_compiled(origin.cell, &origin.source, &variables);
    }

    /// Adds the causes to errors about names that do not exist in a state.
    pub(super) fn explain(&self, state: &StateId, failure: Failure) -> Failure {
        let known = self.missing_variables(state);
        let mut failure = known.explain(failure);
        if let Failure::Compile { diagnostics } = &mut failure {
            for error in diagnostics {
                // Help that names the missing name is the evaluator's explanation.
                let is_explained = |name: &str| {
                    let name = format!("`{name}`");
                    error.help.iter().any(|help| help.contains(&name))
                };
                let name = missing_name(error);
                let name = name.filter(|name| !known.contains(name) && !is_explained(name));
                let why = name.and_then(|name| {
                    let cell = self.defining(name)?;
                    Some(format!("`{name}` is a variable of {cell}, which these engines have not completed, or had before they were restarted or cleared"))
                });
                if let Some(why) = why {
                    error.help = vec![why];
                }
            }
        }
        failure
    }

    /// Returns the notices about items of the cells before a state that no longer compile, since
    /// `source` redefines what they use.
    pub(super) fn misfits(
        &self,
        state: &StateId,
        source: &str,
        found: &[EarlierItem],
    ) -> Vec<Notice> {
        let defined = items(source);
        let notice = |item: &EarlierItem| {
            let mut defined = defined.iter().filter_map(CellItem::defined);
            Some(Notice::Misfit {
                item: item.lines.clone(),
                cell: self.cell_of(state, &item.lines)?.to_string(),
                redefined: defined.find(|name| item.names.contains(*name))?.to_owned(),
            })
        };
        found.iter().filter_map(notice).collect()
    }

    /// The newest cell before a state that contains a line.
    fn cell_of(&self, state: &StateId, line: &str) -> Option<CellName> {
        let mut at = state.clone();
        while let Some(origin) = self.origin(&at) {
            let mut lines = origin.source.lines();
            if lines.any(|known| known.trim() == line.trim()) {
                return Some(origin.cell);
            }
            at = origin.base;
        }
        None
    }

    /// Returns the last cell that leads from a state without this variable to one with it.
    fn defining(&self, name: &str) -> Option<CellName> {
        let has = |state: &StateId| {
            let variables = self.variables.get(state);
            variables.is_some_and(|variables| variables.iter().any(|known| known == name))
        };
        let origins = self.origins.iter();
        let defining = origins.filter(|(state, origin)| has(state) && !has(&origin.base));
        defining.map(|(_, origin)| origin.cell).max()
    }

    /// Records the definitions that do not compile here of another client's cell, which leads to a
    /// state.
    pub(super) fn does_not_compile(&mut self, state: &StateId, names: Vec<String>) {
        let cell = self.origins.get(state).map(|origin| origin.cell);
        if let (Some(cell), Some(missing)) = (cell, self.missing_variables.get_mut(state)) {
            missing.left_out(cell, &names);
        }
        self.left_out
            .entry(state.clone())
            .or_default()
            .extend(names);
    }

    /// Returns the names of a state's variables.
    pub(super) fn variables(&self, state: &StateId) -> Vec<String> {
        self.variables.get(state).cloned().unwrap_or_default()
    }

    /// Returns the missing variables in a state, with their causes.
    pub(super) fn missing_variables(&self, state: &StateId) -> MissingVariables {
        self.missing_variables
            .get(state)
            .cloned()
            .unwrap_or_default()
    }

    /// Handles a new evaluator, which has only the empty state.
    pub(super) fn forget_compiled(&mut self) {
        self.compiled = HashSet::from([StateId::empty()]);
    }

    /// Returns the origin of a state.
    pub(super) fn origin(&self, state: &StateId) -> Option<StateOrigin> {
        if let Some(origin) = self.origins.get(state) {
            return Some(origin.clone());
        }
        // The state is `next~panicked` or the like: the cell that was assumed to lead to `next` has
        // ended otherwise, so that the state has the same base and source.
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

/// Returns all outcomes other than completion that lead to a state of their own.
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
            status: RuntimeExit::Unknown,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Diagnostic;
    use phalanx_protocol::id::DependenciesId;

    fn state(name: &str) -> StateId {
        StateId::new(name)
    }

    fn completed(base: &str, source: &str) -> StateOrigin {
        StateOrigin {
            base: state(base),
            source: source.into(),
            cell: CellName::Own(1),
            types: None,
            outcome: Outcome::Completed,
        }
    }

    fn steps(lineages: &Lineages, name: &str) -> Vec<String> {
        let steps = lineages.uncompiled(&state(name)).unwrap();
        let lines = steps.iter().map(|(state, origin)| {
            let outcome = format!("{:?}", origin.outcome);
            let outcome = outcome.split([' ', '(']).next().unwrap().to_owned();
            format!("{} + {} -> {state} ({outcome})", origin.base, origin.source)
        });
        lines.collect()
    }

    #[test]
    fn states_after_failed_cells_are_compiled_on_demand() {
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
        let (name, origin) = lineages.uncompiled(&state("a~died")).unwrap().remove(0);
        lineages.add(name, origin, vec![], &[]);
        lineages.add(state("b"), completed("a~died", "B"), vec![], &[]);
        assert!(steps(&lineages, "b").is_empty());
    }

    #[test]
    fn a_new_evaluator_is_sent_the_whole_lineage() {
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
    fn moved_variables_are_known_in_later_states() {
        let mut lineages = Lineages::new();
        let second = |base, source| StateOrigin {
            cell: CellName::Own(2),
            ..completed(base, source)
        };
        lineages.add(state("a"), completed("empty", "A"), vec!["v".into()], &[]);
        lineages.add(state("b"), second("a", "B"), vec![], &["v".into()]);
        lineages.add(state("c"), second("b", "C"), vec![], &[]);
        assert_eq!(lineages.missing_variables(&state("a")).by("v"), None);
        assert_eq!(
            lineages.missing_variables(&state("c")).by("v"),
            Some(CellName::Own(2))
        );
    }

    #[test]
    fn states_define_variables_and_items_that_are_not_missing() {
        let mut lineages = Lineages::new();
        let items = completed("empty", "fn area() {}\nlet v = w();");
        lineages.add(state("a"), items, vec!["v".into()], &[]);
        lineages.add(
            state("b"),
            completed("a", "drop(v);"),
            vec![],
            &["v".into()],
        );
        for (name, in_a, in_b) in [
            ("v", true, false),
            ("area", true, true),
            ("are", false, false),
        ] {
            let defines = |id| lineages.defines(&state(id), name);
            assert_eq!((defines("a"), defines("b")), (in_a, in_b), "{name}");
        }
        assert!(!lineages.defines(&state("unknown"), "v"));
    }

    #[test]
    fn variables_of_an_ended_process_are_not_said_to_be_moved() {
        let mut lineages = Lineages::new();
        let second = |outcome| StateOrigin {
            cell: CellName::Own(2),
            outcome,
            ..completed("a", "let b = 1;")
        };
        let kept = ["v".to_owned()];
        lineages.add(state("a"), completed("empty", "A"), kept.to_vec(), &[]);
        let missing = |lineages: &Lineages, name: &str| {
            let failure = Failure::Compile {
                diagnostics: vec![Diagnostic {
                    message: format!("cannot find value `{name}` in this scope"),
                    code: Some("E0425".into()),
                    spans: Vec::new(),
                    help: Vec::new(),
                    rendered: None,
                    earlier: None,
                }],
            };
            match lineages.explain(&state("b"), failure) {
                Failure::Compile { mut diagnostics } => {
                    diagnostics.remove(0).help.pop().unwrap_or_default()
                }
                other => panic!("{other:?}"),
            }
        };
        let died = Outcome::Died {
            status: RuntimeExit::Unknown,
        };
        lineages.add(state("b"), second(died), vec![], &kept);
        let why = missing(&lineages, "v");
        assert!(
            why.starts_with("`v` was lost when its process ended in In[2]"),
            "{why}"
        );
        let errored = Outcome::Errored {
            message: String::new(),
            failure: None,
            location: None,
        };
        for (outcome, expected) in [
            (errored, "In[2] failed, so `b`"),
            (Outcome::Returned, "In[2] returned before its end, so `b`"),
        ] {
            lineages.add(state("b"), second(outcome), kept.to_vec(), &[]);
            let why = missing(&lineages, "b");
            assert!(why.starts_with(expected), "{why}");
        }
    }

    #[test]
    fn an_item_that_no_longer_compiles_is_named_with_its_cell_and_the_cause() {
        let mut lineages = Lineages::new();
        let second = |base, source| StateOrigin {
            cell: CellName::Own(2),
            ..completed(base, source)
        };
        let function = "let a = 1;\n  fn f(m: &M) -> bool {\n    m.x\n}";
        lineages.add(state("a"), completed("empty", "struct M;"), vec![], &[]);
        lineages.add(state("b"), second("a", function), vec![], &[]);
        let item = |line: &str| EarlierItem {
            lines: line.to_owned(),
            names: ["M", "f"].map(str::to_owned).into(),
        };
        let found = [item("fn f(m: &M) -> bool {"), item("fn of_nobody() {")];
        let misfit = Notice::Misfit {
            item: "fn f(m: &M) -> bool {".to_owned(),
            cell: "In[2]".to_owned(),
            redefined: "M".to_owned(),
        };
        let source = "struct Other;\nstruct M { x: u8 }";
        assert_eq!(lineages.misfits(&state("b"), source, &found), [misfit]);
        assert!(lineages.misfits(&state("a"), source, &found).is_empty());
    }

    #[test]
    fn states_of_other_clients_are_known_once_their_cells_are_recorded() {
        let mut lineages = Lineages::new();
        assert_eq!(
            lineages.uncompiled(&state("x")),
            Err(UnknownState(state("x")))
        );
        assert_eq!(
            lineages.uncompiled(&state("x~died")),
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
            status: RuntimeExit::Unknown,
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
        assert!(lineages.uncompiled(&state("w")).is_err());
    }
}
