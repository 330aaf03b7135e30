//! Adoption of states created by another client: the cells that led to them are compiled here, but
//! not run.

use super::actor::{CompilerActor, NoAnswer};
use super::error::CompilerError;
use super::leave_out::{NOTHING, ReducedCell};
use super::lineage::StateOrigin;
use crate::context::CellName;
use crate::report::{LeftOutCell, Notice};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::{Dependencies, Lineage, Package};
use phalanx_protocol::runtime::Outcome;

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
        if last_dependencies(lineage).is_some_and(|theirs| !self.is_in_order(theirs)) {
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

    /// Returns true if adding the missing dependencies here yields the engines' libraries: the first
    /// dependencies are the same, or all of their packages are here already.
    fn is_in_order(&self, theirs: &Dependencies) -> bool {
        let usable = |spec: &&String| !self.refused.contains(spec);
        let specs: Vec<&String> = theirs.specs.iter().filter(usable).collect();
        let ours = self.dependencies();
        let same = ours
            .iter()
            .zip(&specs)
            .all(|(ours, theirs)| ours == *theirs);
        let described = self.described();
        let is_built = || described.specs == ours && theirs.differences(described).is_empty();
        specs.is_empty() || (same && (ours.len() <= specs.len() || is_built()))
    }

    async fn replay(&mut self, lineage: &Lineage) -> Result<Result<(), Failure>, NoAnswer> {
        loop {
            let missing = match self.lineages.missing(&lineage.state) {
                Ok(missing) => missing,
                Err(unknown) => return Ok(Err(CompilerError::from(unknown).into())),
            };
            let mut refused = false;
            for (state, origin) in missing {
                let mut records = lineage.records.iter();
                let record = records.find(|record| record.state == state);
                let theirs =
                    record.and_then(|record| lineage.dependencies.get(&record.dependencies));
                let specs = theirs.map_or(&[][..], |theirs| theirs.specs.as_slice());
                match self.add_dependencies(specs, &origin.base).await? {
                    Ok(added) => refused = !added,
                    Err(failure) => return Ok(Err(failure)),
                }
                if refused {
                    // The evaluator has been replaced.
                    break;
                }
                let (cell, source) = (origin.cell, origin.source.clone());
                if let Err(failure) = self.repeat(state, origin, &[]).await? {
                    return Ok(Err(failure));
                }
                if let CellName::Foreign(count) = cell {
                    self.artifacts.adopt(count, source);
                }
            }
            if !refused {
                return Ok(Ok(()));
            }
        }
    }

    /// Adds dependencies of another client and builds them. If they cannot be built, a new evaluator
    /// is started without them, and the result is false.
    async fn add_dependencies(
        &mut self,
        specs: &[String],
        base: &StateId,
    ) -> Result<Result<bool, Failure>, NoAnswer> {
        let is_new =
            |spec: &&String| !self.dependencies().contains(spec) && !self.refused.contains(spec);
        let new: Vec<String> = specs.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(Ok(true));
        }
        let mut added = Ok(());
        for spec in &new {
            added = added.and(self.add_dependency(spec.clone()).await);
        }
        if added.is_ok() {
            let trial = StateId::fresh();
            let origin = StateOrigin {
                base: base.clone(),
                source: NOTHING.into(),
                cell: CellName::Foreign(0),
                types: None,
                outcome: Outcome::Completed,
            };
            added = self.step(trial.clone(), origin, &[]).await?.map(drop);
            self.lineages.forget([&trial].into_iter());
        }
        let diagnostics = match added {
            Ok(()) => return Ok(Ok(true)),
            Err(Failure::Compile { diagnostics }) => diagnostics,
            Err(failure) => return Ok(Err(failure)),
        };
        let first = diagnostics.into_iter().next();
        let why = first.map_or_else(String::new, |first| first.message);
        let is_named = |spec: &&String| why.contains(name_of(spec));
        let named: Vec<String> = new.iter().filter(is_named).cloned().collect();
        let wrong = if named.is_empty() { new } else { named };
        for spec in self.forget_dependencies() {
            if !wrong.contains(&spec) {
                self.keep_dependency(spec);
            }
        }
        for spec in wrong {
            self.refused.push(spec.clone());
            self.add_notice(Notice::DependencyLeftOut(spec, why.clone()));
        }
        Ok(self.ready().await.map(|_| false))
    }

    /// Compiles a cell that has run. Statements of another client's cell that do not compile here are
    /// left out.
    pub(super) async fn repeat(
        &mut self,
        next: StateId,
        origin: StateOrigin,
        rebuilt: &[String],
    ) -> Result<Result<(), Failure>, NoAnswer> {
        let mut reduced = ReducedCell::new(&origin.source);
        let mut why = None;
        loop {
            let attempt = StateOrigin {
                source: reduced.source.as_str().into(),
                ..origin.clone()
            };
            let failure = match self.step(next.clone(), attempt, rebuilt).await? {
                Ok(_) => break,
                Err(failure) => failure,
            };
            let (CellName::Foreign(_), Failure::Compile { diagnostics }) = (origin.cell, &failure)
            else {
                return Ok(Err(not_repeated(origin.cell, failure)));
            };
            if !reduced.reduce(diagnostics) {
                return Ok(Err(not_repeated(origin.cell, failure)));
            }
            let first = diagnostics.first().map(|first| first.message.clone());
            why = why.or(first);
        }
        if let Some(why) = why {
            let names = reduced.names;
            self.lineages.does_not_compile(&next, names.clone());
            let cell = origin.cell.to_string();
            self.add_notice(Notice::LeftOut(LeftOutCell { cell, names, why }));
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
        self.repeat(lineage.state.clone(), origin, &rebuilt).await
    }
}

/// Returns the dependencies with which the last cell of a lineage was compiled.
fn last_dependencies(lineage: &Lineage) -> Option<&Dependencies> {
    let last = lineage.records.last()?;
    lineage.dependencies.get(&last.dependencies)
}

/// Returns the name of the crate that an argument of `:dep` adds; the whole of a path.
fn name_of(spec: &str) -> &str {
    spec.split_once('=').map_or(spec, |(name, _)| name).trim()
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
