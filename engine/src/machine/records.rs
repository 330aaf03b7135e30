//! The cells that led to the state of the namespace, for clients that did not send them.

use phalanx_protocol::apply::PushedName;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::id::{DependenciesId, StateId};
use phalanx_protocol::parallel::{CellMetadata, CellRecord, Dependencies, Lineage, StateRecord};
use phalanx_protocol::runtime::Outcome;
use std::collections::BTreeMap;

/// The records of a namespace.
#[derive(Debug, Default)]
pub(super) struct StateRecords {
    cells: Vec<StateRecord>,
    /// True if the last cell has left the namespace unchanged.
    ends_unchanged: bool,
    dependencies: BTreeMap<DependenciesId, Dependencies>,
    /// The types of pushed values that functions find and that are not variables yet, by name.
    pushed: BTreeMap<String, String>,
}

impl StateRecords {
    /// Stores the dependencies that a request describes.
    pub(super) fn describe(&mut self, cell: &mut CellRecord) {
        if let Some(described) = cell.described.take() {
            let id = cell.dependencies.clone();
            self.dependencies.insert(id, described);
        }
    }

    /// Records a cell that led to a state.
    pub(super) fn add(
        &mut self,
        source: &str,
        cell: &CellMetadata,
        state: StateId,
        outcome: &Outcome,
    ) {
        let completed = *outcome == Outcome::Completed;
        let record = &cell.record;
        if completed && let Some(name) = &record.binds {
            self.pushed.remove(name);
        }
        if matches!(outcome, Outcome::Died { .. }) {
            self.pushed.clear();
        }
        let unchanged = completed && record.unchanged;
        // Repeated runs of a cell take a single record.
        let replaced = (unchanged && self.ends_unchanged).then(|| self.cells.pop());
        let base = replaced.flatten().map(|last| last.base);
        self.ends_unchanged = unchanged;
        self.cells.push(StateRecord {
            state,
            base: base.unwrap_or_else(|| cell.base.clone()),
            source: source.to_owned(),
            cell: record.cell,
            types: record.types.clone(),
            binds: record.binds.clone().filter(|_| completed),
            outcome: match completed && !record.lost.is_empty() {
                true => Outcome::VariablesLost(record.lost.clone()),
                false => bare(outcome),
            },
            abi: cell.abi.clone(),
            dependencies: record.dependencies.clone(),
        });
    }

    /// Records pushed values.
    pub(super) fn push(&mut self, pushed: &[PushedName]) {
        for PushedName { name, type_name } in pushed {
            self.pushed.insert(name.clone(), type_name.clone());
        }
    }

    /// Clears the records: the namespace is empty.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.ends_unchanged = false;
        self.pushed.clear();
    }

    /// Returns the lineage of `state`, the namespace's current state.
    pub(super) fn lineage(&self, state: StateId) -> Lineage {
        let pushed = self.pushed.iter().map(|(name, type_name)| PushedName {
            name: name.clone(),
            type_name: type_name.clone(),
        });
        Lineage {
            state,
            records: self.cells.clone(),
            dependencies: self.dependencies.clone(),
            pushed: pushed.collect(),
        }
    }
}

/// Returns an outcome without the details that do not affect the state.
fn bare(outcome: &Outcome) -> Outcome {
    let (message, status) = (String::new(), RuntimeExit::Unknown);
    match outcome {
        Outcome::Panicked(_) => Outcome::Panicked(Panic {
            message,
            location: None,
        }),
        Outcome::Errored { .. } => Outcome::Errored {
            message,
            failure: None,
            location: None,
        },
        Outcome::Died { .. } => Outcome::Died { status },
        Outcome::Completed
        | Outcome::Returned
        | Outcome::VariablesLost(_)
        | Outcome::Abandoned { .. } => outcome.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::metadata;

    fn describe(records: &StateRecords) -> Vec<String> {
        let lineage = records.lineage(StateId::new("now"));
        let cells = lineage.records.iter().map(|record| {
            let outcome = format!("{:?}", record.outcome);
            let outcome = outcome.split([' ', '(']).next().unwrap();
            let (base, state) = (&record.base, &record.state);
            format!("{base} + {} -> {state} {outcome}", record.source)
        });
        let pushed = lineage.pushed.iter();
        let pushed = pushed.map(|pushed| format!("{}: {}", pushed.name, pushed.type_name));
        cells.chain(pushed).collect()
    }

    #[test]
    fn every_cell_that_led_to_the_state_is_kept() {
        let mut records = StateRecords::default();
        let mut add = |source: &str, cell: &CellMetadata, outcome: Outcome| {
            let state = StateId::after(&cell.next, &outcome).unwrap();
            records.add(source, cell, state, &outcome);
        };
        add("A", &metadata("empty", "a"), Outcome::Completed);
        let panicked = Outcome::Panicked(Panic {
            message: "größer".to_owned(),
            location: None,
        });
        add("B", &metadata("a", "b"), panicked);
        let mut lost = metadata("b~panicked", "c");
        lost.record.lost = vec!["x".to_owned()];
        add("C", &lost, Outcome::Completed);
        assert_eq!(
            describe(&records),
            [
                "empty + A -> a Completed",
                "a + B -> b~panicked Panicked",
                "b~panicked + C -> c VariablesLost"
            ]
        );
        records.clear();
        assert_eq!(describe(&records), [""; 0]);
    }

    #[test]
    fn a_cell_that_is_run_again_and_again_takes_one_record() {
        let mut records = StateRecords::default();
        let first = metadata("empty", "0");
        records.add(
            "let x = 1;",
            &first,
            first.next.clone(),
            &Outcome::Completed,
        );
        for run in 0..100 {
            let mut cell = metadata(&run.to_string(), &(run + 1).to_string());
            cell.record.unchanged = true;
            records.add("x += 1;", &cell, cell.next.clone(), &Outcome::Completed);
        }
        let last = metadata("100", "101");
        records.add("drop(x)", &last, last.next.clone(), &Outcome::Completed);
        assert_eq!(
            describe(&records),
            [
                "empty + let x = 1; -> 0 Completed",
                "0 + x += 1; -> 100 Completed",
                "100 + drop(x) -> 101 Completed"
            ]
        );
    }

    #[test]
    fn pushed_values_are_recorded_until_they_are_variables() {
        let mut records = StateRecords::default();
        let pushed = |name: &str| PushedName {
            name: name.to_owned(),
            type_name: "f64".to_owned(),
        };
        records.push(&[pushed("x"), pushed("y")]);
        assert_eq!(describe(&records), ["x: f64", "y: f64"]);
        let mut binding = metadata("empty", "a");
        binding.record.binds = Some("x".to_owned());
        records.add("let x", &binding, binding.next.clone(), &Outcome::Completed);
        assert_eq!(
            describe(&records),
            ["empty + let x -> a Completed", "y: f64"]
        );
    }

    #[test]
    fn dependencies_are_kept_from_the_cell_that_describes_them() {
        let mut records = StateRecords::default();
        let dependencies = Dependencies {
            specs: vec!["serde".to_owned()],
            packages: Vec::new(),
        };
        let mut cell = CellRecord {
            dependencies: dependencies.id(),
            described: Some(dependencies.clone()),
            ..CellRecord::default()
        };
        records.describe(&mut cell);
        assert_eq!(cell.described, None);
        let lineage = records.lineage(StateId::empty());
        assert_eq!(lineage.dependencies[&cell.dependencies], dependencies);
    }
}
