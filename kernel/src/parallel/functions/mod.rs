//! Calls of the notebook's functions on engines.
//!
//! | file | contents |
//! |---|---|
//! | `names.rs` | the names in engines' namespaces that are not variables; pure |
//! | `namespace.rs` | variables for functions, and pushed values for cells |
//! | `query.rs` | the library's other requests about the cluster |
//! | `error.rs` | all that can fail, with its texts |

mod error;
mod names;
mod namespace;
mod query;

pub use namespace::bind_pushed;
pub use query::serve;

use super::artifacts::{Artifacts, NeededLibraries};
use super::fanout::FanoutError;
use super::results::StoredResult;
use crate::cell::{check_value_source, check_variable_name};
use crate::context::CellContext;
use crate::parallel::Parallel;
use error::FunctionsError;
use names::EngineNames;
use phalanx_client::render::Labels;
use phalanx_client::{Client, EngineCall, EngineTask, Placement, Submission};
use phalanx_protocol::apply::{Apply, ApplyPlacement};
use phalanx_protocol::evaluator::Toolchain;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::CallMetadata;
use phalanx_protocol::payload::Payload;
use phalanx_sys::segment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The libraries with functions, and the names that they find on engines. Clones share them.
#[derive(Clone, Debug)]
pub struct Functions {
    artifacts: Artifacts,
    /// Locked for a lookup or a change.
    names: Arc<Mutex<EngineNames>>,
}

impl Functions {
    pub(crate) fn new(artifacts: Artifacts) -> Self {
        Self {
            artifacts,
            names: Arc::default(),
        }
    }

    fn names(&self) -> MutexGuard<'_, EngineNames> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls a function, compiled by the toolchain of the local namespace, on engines; returns once the
/// tasks are submitted.
///
/// # Errors
/// Returns an error if there are no engines, the library of the function cannot be read, a name
/// cannot be that of a variable, or a referenced variable does not exist.
pub async fn apply(
    parallel: &Parallel,
    context: &CellContext,
    apply: Apply,
    args: Vec<Payload>,
    toolchain: Option<Toolchain>,
) -> Result<StoredResult, Failure> {
    check_names(&apply)?;
    // The library keeps the arguments alive until it receives the reply.
    let args = segment::hold(args).map_err(FunctionsError::Arguments)?;
    let client = client(parallel).await?;
    let toolchain = toolchain.ok_or(FunctionsError::NotStarted)?;
    let artifacts = &parallel.functions().artifacts;
    let artifacts = artifacts.of(&toolchain.libstd, &apply.artifact).await?;
    let engines = engines(&client, &apply.placement)?;
    if matches!(apply.placement, ApplyPlacement::Engines(_)) {
        let fanout = parallel.fanout();
        fanout.warn_of_silent(&client, &engines, context).await;
    }
    namespace::copy_references(parallel, context, &client, &engines, &apply.references).await?;
    let metadata = CallMetadata {
        abi: toolchain.rustc,
        host: phalanx_sys::machine::host_name(),
        offset: Some(apply.offset),
        artifacts: artifacts.iter().map(|(hash, _)| hash.clone()).collect(),
        paths: Vec::new(),
        buffers: Vec::new(),
        quiet: true,
        keep: false,
        pushes: apply.pushes.clone(),
    };
    let labels = match &apply.placement {
        ApplyPlacement::Engines(engines) if engines.len() == 1 => Labels::None,
        _ => Labels::Engines,
    };
    let tasks = tasks(apply.placement, metadata, &artifacts, apply.label, &args)?;
    for (engine, pushed) in engines
        .iter()
        .flat_map(|id| apply.pushes.iter().map(move |p| (id, p)))
    {
        if let Some(engine) = client.engines().iter().find(|e| e.id == *engine) {
            parallel.functions().names().pushed(&engine.uuid, pushed);
        }
    }
    let result = client.submit(Submission {
        name: apply.name,
        tasks,
        // Calls are refused for lack of artifacts alone, which the client sends itself.
        refused: mpsc::unbounded_channel().0,
    });
    Ok(parallel.results().store_items(result, labels, apply.sizes))
}

/// Checks the names that a call defines on engines, and those it refers to.
fn check_names(apply: &Apply) -> Result<(), FunctionsError> {
    for pushed in &apply.pushes {
        check_variable_name(&pushed.name)?;
    }
    for reference in &apply.references {
        check_value_source(reference)?;
    }
    Ok(())
}

/// Returns one task per engine, or the tasks for the scheduler.
fn tasks(
    placement: ApplyPlacement,
    metadata: CallMetadata,
    artifacts: &NeededLibraries,
    label: Option<String>,
    args: &[Payload],
) -> Result<Vec<EngineTask>, FunctionsError> {
    let placements: Vec<Placement> = match placement {
        ApplyPlacement::Engines(engines) => engines.into_iter().map(Placement::Engine).collect(),
        ApplyPlacement::Balanced { tasks, conditions } => {
            vec![Placement::Balanced(Arc::new(conditions)); tasks]
        }
    };
    if args.len() != 1 && args.len() != placements.len() {
        return Err(FunctionsError::Count {
            arguments: args.len(),
            tasks: placements.len(),
        });
    }
    let metadata = Arc::new(metadata);
    let label: Option<Arc<str>> = label.map(Into::into);
    let call = |(task, placement)| {
        let args = args.get(task).or(args.first()).cloned().unwrap_or_default();
        EngineTask::Call(EngineCall {
            placement,
            metadata: Arc::clone(&metadata),
            artifacts: Arc::clone(artifacts),
            args,
            label: label.clone(),
        })
    };
    Ok(placements.into_iter().enumerate().map(call).collect())
}

/// Returns the engines on which a function may be called.
fn engines(client: &Client, placement: &ApplyPlacement) -> Result<Vec<EngineId>, Failure> {
    let there = rust_engines(client);
    let wanted = match placement {
        ApplyPlacement::Engines(engines) => engines.clone(),
        ApplyPlacement::Balanced { conditions, .. } if conditions.targets.is_empty() => {
            there.clone()
        }
        ApplyPlacement::Balanced { conditions, .. } => conditions.targets.clone(),
    };
    if wanted.is_empty() {
        return Err(none_selected(client));
    }
    Ok(wanted)
}

/// Returns the failure of a request for no engine.
fn none_selected(client: &Client) -> Failure {
    match rust_engines(client) {
        there if there.is_empty() => FanoutError::no_engine(&client.engines()),
        there => FunctionsError::NoneSelected { there }.into(),
    }
}

/// Returns the engines on which functions can run.
fn rust_engines(client: &Client) -> Vec<EngineId> {
    let engines = client.rust_engines();
    engines.iter().map(|engine| engine.id).collect()
}

/// Returns the client of the running cluster.
async fn client(parallel: &Parallel) -> Result<Client, Failure> {
    if let Some(client) = parallel.cluster().client().await {
        return Ok(client);
    }
    parallel.cluster().check_stopped_elsewhere().await?;
    Err(FunctionsError::NoCluster.into())
}
