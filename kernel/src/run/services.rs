//! Everything a cell may use, as one handle.

use super::cluster::Cluster;
use super::compile::Compiler;
use super::fanout::{Fanout, States};
use super::local::CellCall;
use super::results::Results;
use super::{CellContext, Local, Programs};
use crate::magic::{MagicSets, Targets};
use phalanx_client::Engine;
use phalanx_protocol::evaluator::{Completions, Documentation};
use phalanx_protocol::id::{EngineId, StateId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Everything a cell may use; clones share it.
#[derive(Clone, Debug)]
pub struct Services {
    local: Local,
    cluster: Cluster,
    fanout: Fanout,
    /// What the sets of magics remember. Held for one look or change.
    sets: Arc<Mutex<MagicSets>>,
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
            sets: Arc::default(),
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

    /// What the sets of magics remember; not to be held across an await.
    pub fn sets(&self) -> MutexGuard<'_, MagicSets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completions in a cell for engines: as the namespace of the first of them stands, else what
    /// the local one knows of Rust at large.
    pub async fn complete_for_engines(
        &self,
        source: String,
        offset: usize,
        targets: &Targets,
    ) -> Option<Completions> {
        let base = self.first_state(targets).await;
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
        targets: &Targets,
    ) -> Option<Documentation> {
        let base = self.first_state(targets).await;
        let compiler = &self.fanout.compiler;
        match compiler.inspect(source.clone(), offset, base).await {
            Some(found) => Some(found),
            None => self.local.inspect(source, offset).await,
        }
    }

    /// The names of the variables of the first of these engines.
    pub async fn engine_variables(&self, targets: &Targets) -> Vec<String> {
        let state = self.first_state(targets).await;
        self.fanout.compiler.variables(state).await
    }

    /// The engines that are there.
    pub async fn engines(&self) -> Vec<Engine> {
        let client = self.cluster.client().await;
        client.map_or_else(Vec::new, |client| client.engines())
    }

    async fn first_state(&self, targets: &Targets) -> StateId {
        let engines = self.engines().await;
        let ids: Vec<EngineId> = engines.iter().map(|engine| engine.id).collect();
        let meant = targets.resolve(&ids).unwrap_or(ids);
        let first = engines
            .iter()
            .find(|engine| meant.first() == Some(&engine.id));
        first.map_or_else(StateId::empty, |engine| self.fanout.states.of(engine))
    }

    /// Stops a running cell, whatever it is doing; once more, and nothing is waited for.
    pub fn interrupt(&self, context: &CellContext) {
        if context.interrupted().is_cancelled() {
            context.insisted().cancel();
        }
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
