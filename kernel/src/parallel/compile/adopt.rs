//! Adoption of states created by another client: the cells that led to them are compiled here, but
//! not run.

use super::actor::{CompilerActor, NoAnswer};
use super::error::CompilerError;
use crate::context::CellName;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{Dependencies, Lineage, Package};

/// The crates whose statics hold the variables of a namespace: another build of them has none.
const HOLDING_VARIABLES: [&str; 2] = ["phalanx", "phalanx_protocol"];

impl CompilerActor {
    /// Compiles the cells of a lineage, on a second evaluator if the first one dies.
    pub(super) async fn adopt(&mut self, lineage: Lineage) -> Result<(), Failure> {
        match self.try_adopt(&lineage).await {
            Ok(result) => result,
            Err(NoAnswer::Closing) => Err(super::ending()),
            Err(NoAnswer::Gone(_)) => match self.try_adopt(&lineage).await {
                Ok(result) => result,
                Err(NoAnswer::Closing) => Err(super::ending()),
                Err(NoAnswer::Gone(failure)) => Err(failure),
            },
        }
    }

    async fn try_adopt(&mut self, lineage: &Lineage) -> Result<Result<(), Failure>, NoAnswer> {
        let toolchain = match self.ready().await {
            Ok(toolchain) => toolchain,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut compilers = lineage.records.iter().map(|record| &record.abi);
        if let Some(theirs) = compilers.find(|theirs| **theirs != toolchain.rustc) {
            let error = CompilerError::OtherRustc {
                theirs: theirs.clone(),
                ours: toolchain.rustc,
            };
            return Ok(Err(error.into()));
        }
        let new: Vec<StateId> = lineage
            .records
            .iter()
            .map(|record| record.state.clone())
            .filter(|state| self.lineages.missing(state).is_err())
            .collect();
        self.lineages.adopt(lineage.records.clone());
        let mut adopted = self.replay_with_dependencies(lineage).await?;
        if let Ok(()) = adopted {
            adopted = self.check_packages(lineage).await?;
        }
        if adopted.is_err() {
            self.lineages.forget(new.iter());
        }
        Ok(adopted)
    }

    /// Compiles the missing cells, each with its own dependencies. The dependencies of this kernel
    /// are added afterwards, so that the same libraries result as on the engines, with a single
    /// copy of each static.
    async fn replay_with_dependencies(
        &mut self,
        lineage: &Lineage,
    ) -> Result<Result<(), Failure>, NoAnswer> {
        let mut own = Vec::new();
        let theirs = last_dependencies(lineage);
        let is_extended = |theirs: &Dependencies| {
            theirs.specs.is_empty() || theirs.specs.starts_with(self.dependencies())
        };
        if !theirs.is_none_or(is_extended) {
            own = self.forget_dependencies();
        }
        let mut replayed = match self.ready().await {
            Ok(_) => self.replay(lineage).await,
            Err(failure) => Ok(Err(failure)),
        };
        for spec in own {
            // Even after a failure, since the notebook has requested it.
            if let Err(failure) = self.add_dependency(spec.clone()).await {
                self.keep_dependency(spec);
                replayed = replayed.map(|replayed| replayed.and(Err(failure)));
            }
        }
        replayed
    }

    async fn replay(&mut self, lineage: &Lineage) -> Result<Result<(), Failure>, NoAnswer> {
        let missing = match self.lineages.missing(&lineage.state) {
            Ok(missing) => missing,
            Err(unknown) => return Ok(Err(CompilerError::from(unknown).into())),
        };
        for (state, origin) in missing {
            let mut records = lineage.records.iter();
            let record = records.find(|record| record.state == state);
            let specs = record.and_then(|record| lineage.dependencies.get(&record.dependencies));
            for spec in specs.iter().flat_map(|theirs| &theirs.specs) {
                if let Err(failure) = self.add_dependency(spec.clone()).await {
                    return Ok(Err(failure));
                }
            }
            let (cell, source) = (origin.cell, origin.source.clone());
            if let Err(failure) = self.step(state, origin, &[]).await? {
                return Ok(Err(not_replayed(cell, failure)));
            }
            if let CellName::Foreign(count) = cell {
                self.artifacts.adopt(count, source);
            }
        }
        Ok(Ok(()))
    }

    /// Compares the packages of the engines' variables with those here. Variables whose types
    /// depend on a different package are dropped by the next cell.
    async fn check_packages(&mut self, lineage: &Lineage) -> Result<Result<(), Failure>, NoAnswer> {
        let Some(theirs) = last_dependencies(lineage) else {
            return Ok(Ok(()));
        };
        let ours = self.described();
        let differences = theirs.differences(ours);
        let holding = |(theirs, _): &&(&Package, Option<&Package>)| {
            HOLDING_VARIABLES.contains(&theirs.name.as_str())
        };
        if let Some((theirs, ours)) = differences.iter().find(holding) {
            let error = CompilerError::OtherLibrary {
                theirs: (*theirs).clone(),
                ours: ours.cloned(),
            };
            return Ok(Err(error.into()));
        }
        let names = differences.iter().map(|(theirs, _)| theirs.name.clone());
        let rebuilt: Vec<String> = names.collect();
        if rebuilt.is_empty() {
            return Ok(Ok(()));
        }
        let Some(origin) = self.lineages.origin(&lineage.state) else {
            return Ok(Ok(()));
        };
        let cell = origin.cell;
        let state = lineage.state.clone();
        let again = self.step(state, origin, &rebuilt).await?;
        Ok(again
            .map(drop)
            .map_err(|failure| not_replayed(cell, failure)))
    }
}

/// Returns the dependencies with which the last cell of a lineage was compiled.
fn last_dependencies(lineage: &Lineage) -> Option<&Dependencies> {
    let last = lineage.records.last()?;
    lineage.dependencies.get(&last.dependencies)
}

/// Returns the failure of a cell that another notebook has run and that does not compile here.
fn not_replayed(cell: CellName, failure: Failure) -> Failure {
    match &failure {
        Failure::Compile { diagnostics } => match diagnostics.first() {
            Some(first) => CompilerError::NotReplayed {
                cell,
                why: first.message.clone(),
            }
            .into(),
            None => failure,
        },
        _ => failure,
    }
}
