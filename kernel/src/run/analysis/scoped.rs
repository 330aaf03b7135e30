//! Analysis of code in the scope of cells that have run, here or on engines.

use super::{Analysis, CellPosition};
use crate::magic::Targets;
use crate::parallel::Parallel;
use crate::run::Local;
use phalanx_client::Engine;
use phalanx_protocol::analysis::{Completions, Documentation};
use phalanx_protocol::id::{EngineId, StateId};

/// The analysis process, with the namespaces whose cells are in scope.
#[derive(Clone, Debug)]
pub struct ScopedAnalysis {
    analysis: Analysis,
    local: Local,
    parallel: Parallel,
}

impl ScopedAnalysis {
    /// Creates the handle from its parts.
    pub fn new(analysis: Analysis, local: Local, parallel: Parallel) -> Self {
        Self {
            analysis,
            local,
            parallel,
        }
    }

    /// Completes a local cell.
    pub async fn complete(&self, source: String, offset: usize) -> Option<Completions> {
        let position = CellPosition::in_scope(self.local.scope().await, source, offset);
        self.analysis.complete(position).await
    }

    /// Documents a name in a local cell.
    pub async fn inspect(&self, source: String, offset: usize) -> Option<Documentation> {
        let position = CellPosition::in_scope(self.local.scope().await, source, offset);
        self.analysis.inspect(position).await
    }

    /// Completes a cell for engines, in the scope of the cells that the first of them has run.
    pub async fn complete_for_engines(
        &self,
        source: String,
        offset: usize,
        targets: &Targets,
    ) -> Option<Completions> {
        let position = self.position_on_engines(source, offset, targets).await;
        self.analysis.complete(position).await
    }

    /// Documents a name in a cell for engines, in the scope of the cells that the first of them has
    /// run.
    pub async fn inspect_for_engines(
        &self,
        source: String,
        offset: usize,
        targets: &Targets,
    ) -> Option<Documentation> {
        let position = self.position_on_engines(source, offset, targets).await;
        self.analysis.inspect(position).await
    }

    async fn position_on_engines(
        &self,
        source: String,
        offset: usize,
        targets: &Targets,
    ) -> CellPosition {
        let state = self.first_state(targets).await;
        let cells = self.parallel.fanout().compiler.sources(state).await;
        CellPosition::behind(&cells, source, offset)
    }

    /// Returns the names of the variables of the first of these engines.
    pub async fn engine_variables(&self, targets: &Targets) -> Vec<String> {
        let state = self.first_state(targets).await;
        self.parallel.fanout().compiler.variables(state).await
    }

    /// Returns the connected engines that run Rust.
    pub async fn engines(&self) -> Vec<Engine> {
        let client = self.parallel.cluster().client().await;
        client.map_or_else(Vec::new, |client| client.rust_engines())
    }

    async fn first_state(&self, targets: &Targets) -> StateId {
        let engines = self.engines().await;
        let ids: Vec<EngineId> = engines.iter().map(|engine| engine.id).collect();
        let meant = targets.resolve(&ids).unwrap_or(ids);
        let first = engines
            .iter()
            .find(|engine| meant.first() == Some(&engine.id));
        first.map_or_else(StateId::empty, |engine| {
            self.parallel.fanout().states.of(engine)
        })
    }
}
