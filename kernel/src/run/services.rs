//! Everything a cell may use, as one handle.

use super::cluster::Cluster;
use super::compile::Compiler;
use super::fanout::{Fanout, States};
use super::local::CellCall;
use super::results::Results;
use super::{CellContext, Local, Programs};
use crate::magic::PxDefaults;
use phalanx_protocol::evaluator::{Completions, Documentation};
use phalanx_protocol::id::StateId;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Everything a cell may use; clones share it.
#[derive(Clone, Debug)]
pub struct Services {
    local: Local,
    cluster: Cluster,
    fanout: Fanout,
    /// What `%pxconfig` has set. Held for one look or change.
    defaults: Arc<Mutex<PxDefaults>>,
}

/// The owners of all processes; they end once no handle on the services is left.
#[derive(Debug)]
pub struct Owners {
    tasks: [JoinHandle<()>; 3],
    watchers: TaskTracker,
}

impl Services {
    /// Starts what is always there. `calls` takes what cells ask of the kernel.
    pub fn start(programs: &Programs, calls: mpsc::UnboundedSender<CellCall>) -> (Self, Owners) {
        let (local, local_task) = Local::start(programs.clone(), calls);
        let (cluster, cluster_task) = Cluster::new(programs.clone());
        let (compiler, compiler_task) = Compiler::start(programs.clone());
        let watchers = TaskTracker::new();
        let services = Self {
            local,
            cluster,
            fanout: Fanout {
                compiler,
                states: States::default(),
                results: Results::default(),
                watchers: watchers.clone(),
            },
            defaults: Arc::default(),
        };
        let owners = Owners {
            tasks: [cluster_task, local_task, compiler_task],
            watchers,
        };
        (services, owners)
    }

    /// The local namespace.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Cells on engines.
    pub fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// The AsyncResults of this session.
    pub fn results(&self) -> &Results {
        &self.fanout.results
    }

    /// What holds for `%px` where nothing is given.
    pub fn defaults(&self) -> PxDefaults {
        self.locked().clone()
    }

    /// Changes what holds for `%px` where nothing is given.
    pub fn set_defaults(&self, change: impl FnOnce(&mut PxDefaults)) {
        change(&mut self.locked());
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, PxDefaults> {
        self.defaults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completions in a cell for engines: as the first engine's namespace stands, else what the
    /// local one knows of Rust at large.
    pub async fn complete_for_engines(&self, source: String, offset: usize) -> Option<Completions> {
        let base = self.first_state().await;
        let compiler = &self.fanout.compiler;
        let found = compiler.complete(source.clone(), offset, base).await;
        match found.filter(|found| !found.items.is_empty()) {
            Some(found) => Some(found),
            None => self.local.complete(source, offset).await,
        }
    }

    /// Documentation in a cell for engines; likewise.
    pub async fn inspect_for_engines(
        &self,
        source: String,
        offset: usize,
    ) -> Option<Documentation> {
        let base = self.first_state().await;
        let compiler = &self.fanout.compiler;
        match compiler.inspect(source.clone(), offset, base).await {
            Some(found) => Some(found),
            None => self.local.inspect(source, offset).await,
        }
    }

    /// The names of the first engine's variables.
    pub async fn engine_variables(&self) -> Vec<String> {
        let state = self.first_state().await;
        self.fanout.compiler.variables(state).await
    }

    async fn first_state(&self) -> StateId {
        let client = self.cluster.client().await;
        let first = client.and_then(|client| client.engines().into_iter().next());
        first.map_or_else(StateId::empty, |engine| self.fanout.states.of(&engine))
    }

    /// Stops a running cell, whatever it is doing.
    pub fn interrupt(&self, context: &CellContext) {
        context.interrupted().cancel();
        self.local.interrupt();
    }
}

impl Owners {
    /// Waits until every process is gone; call it without a handle on the services.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the kernel ended before its time");
            }
        }
        self.watchers.close();
        self.watchers.wait().await;
    }
}
