//! The services available to a cell.

use super::analysis::{Analysis, CellPosition};
use super::local::CellCall;
use super::logging::Logging;
use super::sources::CellSources;
use super::{Environment, Local};
use crate::context::{CellContext, Programs};
use crate::magic::{MagicSets, Targets};
use crate::parallel::Parallel;
use crate::parallel::artifacts::Artifacts;
use crate::parallel::cluster::Cluster;
use crate::parallel::compile::Compiler;
use crate::parallel::fanout::{Fanout, LateOutput, SilentWarning, States};
use crate::parallel::functions::Functions;
use crate::parallel::results::Results;
use phalanx_client::Engine;
use phalanx_protocol::analysis::{Completions, Documentation};
use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::runtime::Setting;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A handle on all services available to a cell. Clones share it.
#[derive(Clone, Debug)]
pub struct Services {
    local: Local,
    analysis: Analysis,
    parallel: Parallel,
    sources: CellSources,
    /// The state of the sets of magics. Locked for a lookup or a change.
    magic_sets: Arc<Mutex<MagicSets>>,
    environment: Environment,
    /// The logging state. Locked for a lookup or a change.
    logging: Arc<Mutex<Logging>>,
    /// True if every cell reports its running time.
    timing: Arc<AtomicBool>,
}

/// The owners of all processes; they end once no handle on the services is left.
#[derive(Debug)]
pub struct ProcessOwners {
    tasks: [JoinHandle<()>; 4],
    supervisors: TaskTracker,
}

impl Services {
    /// Starts the services. `calls` receives the cells' calls.
    pub fn start(
        programs: &Programs,
        calls: mpsc::UnboundedSender<CellCall>,
    ) -> (Self, ProcessOwners) {
        let (analysis, programs, analysis_task) = Analysis::start(programs);
        let environment = Environment::default();
        let (local, local_task) = Local::start(programs.clone(), environment.clone(), calls);
        let (cluster, cluster_task) = Cluster::new(programs.clone());
        let artifacts = Artifacts::default();
        let (compiler, compiler_task) = Compiler::start(programs.clone(), artifacts.clone());
        let supervisors = TaskTracker::new();
        let fanout = Fanout {
            compiler,
            states: States::default(),
            results: Results::default(),
            late: LateOutput::default(),
            silent: SilentWarning::default(),
            supervisors: supervisors.clone(),
        };
        let sources = CellSources::new(artifacts.clone());
        let services = Self {
            local,
            analysis,
            parallel: Parallel::new(cluster, fanout, Functions::new(artifacts)),
            sources,
            magic_sets: Arc::default(),
            environment,
            logging: Arc::default(),
            timing: Arc::default(),
        };
        let owners = ProcessOwners {
            tasks: [cluster_task, local_task, compiler_task, analysis_task],
            supervisors,
        };
        (services, owners)
    }

    /// Returns the local namespace.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Returns the engines and everything that runs on them.
    pub fn parallel(&self) -> &Parallel {
        &self.parallel
    }

    /// Returns the cells that have run.
    pub(super) fn sources(&self) -> &CellSources {
        &self.sources
    }

    /// Returns the working folder and environment variables of cells.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Changes the working folder or an environment variable of cells.
    pub fn set(&self, setting: Setting) {
        self.environment.set(setting.clone());
        self.local.set(setting);
    }

    /// Locks the logging state; the guard must not be held across an await.
    pub(super) fn logging(&self) -> MutexGuard<'_, Logging> {
        self.logging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if every cell reports its running time.
    pub fn timing(&self) -> bool {
        self.timing.load(Ordering::Relaxed)
    }

    /// Turns the reports of running times on or off; returns the new state.
    pub fn toggle_timing(&self) -> bool {
        !self.timing.fetch_not(Ordering::Relaxed)
    }

    /// Locks the sets of magics; the guard must not be held across an await.
    pub fn magic_sets(&self) -> MutexGuard<'_, MagicSets> {
        self.magic_sets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// Interrupts a running cell; the second interrupt takes effect without waiting.
    pub fn interrupt(&self, context: &CellContext) {
        if context.interrupted().is_cancelled() {
            context.insisted().cancel();
        }
        context.interrupted().cancel();
        self.local.interrupt();
    }
}

impl ProcessOwners {
    /// Waits until every process has ended; no handle on the services may be left.
    pub async fn ended(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the kernel ended early");
            }
        }
        self.supervisors.close();
        self.supervisors.wait().await;
    }
}
