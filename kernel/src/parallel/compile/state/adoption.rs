//! The adoption of a state created by another client: the cells that led to it are compiled here,
//! but not run.

use super::super::dependencies::DependencySet;
use super::super::error::CompilerError;
use super::super::leave_out::NOTHING;
use super::super::lineage::StateOrigin;
use super::repeat::RepeatedCell;
use super::requests::CellPurpose;
use super::{CompileJobResult, CompilerCommand, CompilerState, JobStep};
use crate::context::CellName;
use crate::report::Notice;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{Dependencies, Lineage, Package};
use phalanx_protocol::runtime::Outcome;
use std::collections::VecDeque;

/// The crates whose statics hold the variables of a namespace: another build of them has none.
const HOLDING_VARIABLES: [&str; 2] = ["phalanx", "phalanx_protocol"];

/// An adoption.
#[derive(Debug)]
pub(super) struct Adoption {
    lineage: Lineage,
    phase: AdoptionPhase,
    /// The states that were not known before, once they are recorded.
    new: Option<Vec<StateId>>,
    /// The dependencies of this kernel, while those of the lineage are added first.
    own: VecDeque<String>,
    /// The dependencies of the next cell, while they are added.
    adding: Option<AddedDependencies>,
    /// The failure with which it will end.
    failure: Option<Failure>,
}

/// The phases of an adoption, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdoptionPhase {
    Begin,
    /// The missing cells are compiled, each with its own dependencies.
    Replay,
    /// The dependencies of this kernel are added again: after those of the lineage, so that the
    /// same libraries result as on the engines, with a single copy of each static. Even after a
    /// failure, since the notebook has requested them.
    Restore,
    /// The packages of the engines' variables are compared with those here.
    Check,
}

/// Dependencies of another client that are being added, and tried by a cell that does nothing.
#[derive(Debug)]
struct AddedDependencies {
    all: Vec<String>,
    unsent: VecDeque<String>,
    /// The state from which they are tried.
    base: StateId,
    failure: Option<Failure>,
}

impl Adoption {
    /// Creates the adoption of a lineage.
    pub(super) fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            phase: AdoptionPhase::Begin,
            new: None,
            own: VecDeque::new(),
            adding: None,
            failure: None,
        }
    }

    /// Returns the phase.
    pub(super) fn phase(&self) -> AdoptionPhase {
        self.phase
    }

    /// Returns the states that were not known before.
    pub(super) fn new_states(&self) -> &[StateId] {
        self.new.as_deref().unwrap_or_default()
    }

    /// Handles the end of the evaluator: all is compiled again by the next one.
    pub(super) fn restart(&mut self, dependencies: &mut DependencySet) {
        self.phase = AdoptionPhase::Begin;
        self.adding = None;
        self.own.drain(..).for_each(|spec| dependencies.add(spec));
    }

    /// Handles a failure that ends the adoption, unless the dependencies of this kernel have to be
    /// added again first.
    pub(super) fn failed(&mut self, failure: Failure) -> JobStep {
        match self.phase {
            AdoptionPhase::Begin | AdoptionPhase::Check => JobStep::Finish(Err(failure)),
            AdoptionPhase::Replay | AdoptionPhase::Restore => {
                self.phase = AdoptionPhase::Restore;
                self.adding = None;
                self.failure.get_or_insert(failure);
                JobStep::Continue
            }
        }
    }

    /// Handles the evaluator's reply to a new dependency.
    pub(super) fn dependency_added(
        &mut self,
        spec: String,
        result: Result<(), Failure>,
        dependencies: &mut DependencySet,
    ) {
        match &mut self.adding {
            Some(adding) => match result {
                Ok(()) => dependencies.add(spec),
                Err(failure) => drop(adding.failure.get_or_insert(failure)),
            },
            None => {
                // One of this kernel that could not be added is left to the next evaluator.
                dependencies.add(spec);
                if let Err(failure) = result {
                    self.failure.get_or_insert(failure);
                }
            }
        }
    }

    /// Handles the result of the cell that tries new dependencies.
    pub(super) fn dependencies_tried(&mut self, result: Result<(), Failure>) {
        match (result, &mut self.adding) {
            (Err(failure), Some(adding)) => adding.failure = Some(failure),
            _ => self.adding = None,
        }
    }
}

impl CompilerState {
    /// Restores the dependencies of this kernel without an evaluator; the next one adds them.
    /// Returns the last step of an adoption that has failed.
    pub(super) fn restore_at_once(&mut self, adoption: &mut Adoption) -> Option<JobStep> {
        if adoption.phase != AdoptionPhase::Restore {
            return None;
        }
        let own = adoption.own.drain(..);
        own.for_each(|spec| self.dependencies.add(spec));
        let failure = adoption.failure.take()?;
        Some(JobStep::Finish(Err(failure)))
    }

    /// Takes the next step of an adoption; the evaluator is ready.
    pub(super) fn adopt(
        &mut self,
        adoption: &mut Adoption,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        match adoption.phase {
            AdoptionPhase::Begin => self.begin_adoption(adoption, commands),
            AdoptionPhase::Replay => match &mut adoption.adding {
                Some(_) => self.add_their_dependencies(adoption, commands),
                None => self.replay(adoption, commands),
            },
            AdoptionPhase::Restore => match (adoption.own.pop_front(), adoption.failure.take()) {
                (Some(spec), failure) => {
                    adoption.failure = failure;
                    if self.dependencies.contains(&spec) {
                        return JobStep::Continue;
                    }
                    self.request_dependency(spec, commands)
                }
                (None, Some(failure)) => JobStep::Finish(Err(failure)),
                (None, None) => {
                    adoption.phase = AdoptionPhase::Check;
                    JobStep::Continue
                }
            },
            AdoptionPhase::Check => self.check_packages(adoption, commands),
        }
    }

    fn begin_adoption(
        &mut self,
        adoption: &mut Adoption,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let lineage = &adoption.lineage;
        let ours = self.toolchain().rustc;
        let mut compilers = lineage.records.iter().map(|record| &record.abi);
        if let Some(theirs) = compilers.find(|theirs| **theirs != ours) {
            let theirs = theirs.clone();
            let error = CompilerError::OtherRustc { theirs, ours };
            return JobStep::Finish(Err(error.into()));
        }
        if adoption.new.is_none() {
            let states = lineage.records.iter().map(|record| &record.state);
            let new = states.filter(|state| self.lineages.uncompiled(state).is_err());
            adoption.new = Some(new.cloned().collect());
        }
        self.lineages.adopt(lineage.records.clone());
        if last_dependencies(lineage).is_some_and(|theirs| !self.dependencies.is_in_order(theirs)) {
            adoption.own = self.dependencies.take().into();
            self.kill_evaluator(commands);
        }
        adoption.phase = AdoptionPhase::Replay;
        JobStep::Continue
    }

    /// Compiles the next missing cell, once its dependencies are there.
    fn replay(&mut self, adoption: &mut Adoption, commands: &mut Vec<CompilerCommand>) -> JobStep {
        let missing = match self.lineages.uncompiled(&adoption.lineage.state) {
            Ok(missing) => missing,
            Err(unknown) => return adoption.failed(CompilerError::from(unknown).into()),
        };
        let Some((state, origin)) = missing.into_iter().next() else {
            adoption.phase = AdoptionPhase::Restore;
            return JobStep::Continue;
        };
        let new = self
            .dependencies
            .missing(specs_of(&adoption.lineage, &state));
        if new.is_empty() {
            let cell = RepeatedCell::new(state, origin, Vec::new());
            return self.request_repetition(cell, commands);
        }
        adoption.adding = Some(AddedDependencies {
            unsent: new.clone().into(),
            all: new,
            base: origin.base,
            failure: None,
        });
        JobStep::Continue
    }

    /// Adds the next dependency of a cell; at last, tries whether all of them can be built. If not,
    /// a new evaluator is started without them.
    fn add_their_dependencies(
        &mut self,
        adoption: &mut Adoption,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let Some(adding) = &mut adoption.adding else {
            return JobStep::Continue;
        };
        if let Some(spec) = adding.unsent.pop_front() {
            if self.dependencies.contains(&spec) {
                return JobStep::Continue;
            }
            return self.request_dependency(spec, commands);
        }
        let why = match adding.failure.take() {
            None => {
                let origin = StateOrigin {
                    base: adding.base.clone(),
                    source: NOTHING.into(),
                    cell: CellName::Foreign(0),
                    types: None,
                    outcome: Outcome::Completed,
                };
                let purpose = CellPurpose::Trial;
                return self.request_cell(StateId::fresh(), origin, &[], purpose, commands);
            }
            Some(Failure::Compile { diagnostics }) => {
                let first = diagnostics.into_iter().next();
                first.map_or_else(String::new, |first| first.message)
            }
            Some(failure) => return adoption.failed(failure),
        };
        for spec in self.dependencies.refuse(&adding.all, &why) {
            self.add_notice(Notice::DependencyLeftOut(spec, why.clone()));
        }
        adoption.adding = None;
        self.kill_evaluator(commands);
        JobStep::Continue
    }

    /// Compares the packages of the engines' variables with those here. Variables whose types
    /// depend on a different package are dropped by the next cell.
    fn check_packages(
        &mut self,
        adoption: &Adoption,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        const DONE: JobStep = JobStep::Finish(Ok(CompileJobResult::Done));
        let lineage = &adoption.lineage;
        let Some(theirs) = last_dependencies(lineage) else {
            return DONE;
        };
        let (_, ours) = &**self.dependencies.described();
        let differences = theirs.differences(ours);
        let holding = |(theirs, _): &&(&Package, Option<&Package>)| {
            HOLDING_VARIABLES.contains(&theirs.name.as_str())
        };
        if let Some((theirs, ours)) = differences.iter().find(holding) {
            let error = CompilerError::OtherLibrary {
                theirs: (*theirs).clone(),
                ours: ours.cloned(),
            };
            return JobStep::Finish(Err(error.into()));
        }
        let names = differences.iter().map(|(theirs, _)| theirs.name.clone());
        let rebuilt: Vec<String> = names.collect();
        let origin = self.lineages.origin(&lineage.state);
        match origin.filter(|_| !rebuilt.is_empty()) {
            Some(origin) => {
                let cell = RepeatedCell::new(lineage.state.clone(), origin, rebuilt);
                self.request_repetition(cell, commands)
            }
            None => DONE,
        }
    }
}

/// Returns the dependencies with which the last cell of a lineage was compiled.
fn last_dependencies(lineage: &Lineage) -> Option<&Dependencies> {
    let last = lineage.records.last()?;
    lineage.dependencies.get(&last.dependencies)
}

/// Returns the arguments of `:dep` with which the cell that leads to a state was compiled.
fn specs_of<'a>(lineage: &'a Lineage, state: &StateId) -> &'a [String] {
    let record = lineage.records.iter().find(|record| record.state == *state);
    let theirs = record.and_then(|record| lineage.dependencies.get(&record.dependencies));
    theirs.map_or(&[], |theirs| theirs.specs.as_slice())
}
