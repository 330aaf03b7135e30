//! Everything a cell may use, as one handle.

use super::{CellContext, Local};
use phalanx_protocol::evaluator::{Completions, Documentation};

/// Everything a cell may use; clones share it.
#[derive(Clone, Debug)]
pub struct Services {
    local: Local,
}

impl Services {
    /// Services around a local namespace.
    pub fn new(local: Local) -> Self {
        Self { local }
    }

    /// The local namespace.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Completions in a cell for engines.
    pub async fn complete_for_engines(&self, source: String, offset: usize) -> Option<Completions> {
        self.local.complete(source, offset).await
    }

    /// Documentation in a cell for engines.
    pub async fn inspect_for_engines(
        &self,
        source: String,
        offset: usize,
    ) -> Option<Documentation> {
        self.local.inspect(source, offset).await
    }

    /// Stops a running cell, whatever it is doing.
    pub fn interrupt(&self, context: &CellContext) {
        context.interrupted().cancel();
        self.local.interrupt();
    }
}
