//! The services available to a cell.

use super::analysis::{Analysis, ScopedAnalysis};
use super::dependency::Dependencies;
use super::introspection::Introspection;
use super::local::CellCall;
use super::local_cells::LocalCells;
use super::locked::Locked;
use super::logging::Logging;
use super::sources::CellSources;
use super::{Environment, Local};
use crate::context::{CellContext, Programs};
use crate::magic::MagicSets;
use crate::parallel::Parallel;
use crate::parallel::artifacts::Artifacts;
use crate::parallel::cluster::Cluster;
use crate::parallel::compile::Compiler;
use crate::parallel::fanout::{Fanout, LateOutput, SilentWarning, States};
use crate::parallel::functions::Functions;
use crate::parallel::results::Results;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A handle on all services available to a cell, for those who dispatch; they pass on the parts that
/// a directive needs. Clones share it.
#[derive(Clone, Debug)]
pub struct Services {
    local: Local,
    analysis: Analysis,
    parallel: Parallel,
    sources: CellSources,
    /// The state of the sets of magics.
    magic_sets: Locked<MagicSets>,
    environment: Environment,
    /// The logging state.
    logging: Locked<Logging>,
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
            magic_sets: Locked::default(),
            environment,
            logging: Locked::default(),
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

    /// Returns the logging state.
    pub(super) fn logging(&self) -> &Locked<Logging> {
        &self.logging
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
        self.magic_sets.lock()
    }

    /// Returns the parts that evaluate Rust locally.
    pub(super) fn local_cells(&self) -> LocalCells<'_> {
        LocalCells {
            local: &self.local,
            sources: &self.sources,
            results: self.parallel.results(),
        }
    }

    /// Returns the parts that add dependencies.
    pub(super) fn dependencies(&self) -> Dependencies<'_> {
        Dependencies {
            environment: &self.environment,
            local: &self.local,
            logging: &self.logging,
            compiler: &self.parallel.fanout().compiler,
        }
    }

    /// Returns the parts that complete and describe code.
    pub fn introspection(&self) -> Introspection {
        let (analysis, local) = (self.analysis.clone(), self.local.clone());
        Introspection {
            analysis: ScopedAnalysis::new(analysis, local.clone(), self.parallel.clone()),
            local,
            magic_sets: self.magic_sets.clone(),
            environment: self.environment.clone(),
        }
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
