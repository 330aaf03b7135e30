//! A cell that has run and is compiled again here, for a state that the evaluator does not have.

use super::super::error::CompilerError;
use super::super::leave_out::ReducedCell;
use super::super::lineage::StateOrigin;
use crate::context::CellName;
use crate::report::LeftOutCell;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;

/// A cell that has run. Statements of another client's cell that do not compile here are left out.
#[derive(Debug)]
pub(super) struct RepeatedCell {
    /// The state to which it leads.
    pub(super) next: StateId,
    pub(super) origin: StateOrigin,
    /// Crates of its base that differ here.
    pub(super) replaced: Vec<String>,
    reduced: ReducedCell,
    /// The first error for which statements were left out.
    why: Option<String>,
}

impl RepeatedCell {
    /// Creates a cell with all of its statements.
    pub(super) fn new(next: StateId, origin: StateOrigin, replaced: Vec<String>) -> Self {
        Self {
            next,
            reduced: ReducedCell::new(&origin.source),
            origin,
            replaced,
            why: None,
        }
    }

    /// Returns the origin of its state, without what is left out.
    pub(super) fn attempt(&self) -> StateOrigin {
        StateOrigin {
            source: self.reduced.source.as_str().into(),
            ..self.origin.clone()
        }
    }

    /// Leaves out the statements in which the errors of an attempt are.
    ///
    /// # Errors
    /// Returns the failure of the cell if nothing can be left out.
    pub(super) fn reduce(&mut self, failure: Failure) -> Result<(), Failure> {
        let cell = self.origin.cell;
        let (CellName::Foreign(_), Failure::Compile { diagnostics }) = (cell, &failure) else {
            return Err(not_repeated(cell, failure));
        };
        if !self.reduced.reduce(diagnostics) {
            return Err(not_repeated(cell, failure));
        }
        let first = diagnostics.first().map(|first| first.message.clone());
        self.why = self.why.take().or(first);
        Ok(())
    }

    /// Returns what was left out, if anything.
    pub(super) fn left_out(&self) -> Option<LeftOutCell> {
        Some(LeftOutCell {
            cell: self.origin.cell.to_string(),
            names: self.reduced.names.clone(),
            why: self.why.clone()?,
        })
    }
}

/// Returns the failure of a cell that has run and that does not compile here.
fn not_repeated(cell: CellName, failure: Failure) -> Failure {
    match &failure {
        Failure::Compile { diagnostics } => match diagnostics.first() {
            Some(first) => CompilerError::NotRepeated {
                cell,
                why: first.message.clone(),
            }
            .into(),
            None => failure,
        },
        _ => failure,
    }
}
