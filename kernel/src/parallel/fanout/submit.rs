//! Submission of planned cells.

use super::error::only_elsewhere;
use super::notices::notices;
use super::supervise::{SupervisedFanout, supervise};
use super::{FanoutError, LateOutput, SilentWarning, States};
use crate::context::CellContext;
use crate::context::unresolved::unresolved;
use crate::magic::PxPlan;
use crate::magic::Targets;
use crate::parallel::compile::{Compilation, CompileTask, Compiler};
use crate::parallel::results::{Results, StoredResult};
use crate::report::notice;
use phalanx_client::render::Labels;
use phalanx_client::{AsyncResult, Client, Engine, EngineCell, Submission};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::output::StreamName;
use phalanx_protocol::parallel::{CellMetadata, CellRecord, EngineKind};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// The name of a cell's AsyncResult, as in ipyparallel.
pub const PX_NAME: &str = "%px";

/// The services that run cells on engines. Clones share them.
#[derive(Clone, Debug)]
pub struct Fanout {
    /// The compiler of cells for engines.
    pub compiler: Compiler,
    /// The expected states of the engines.
    pub states: States,
    /// The stored AsyncResults.
    pub results: Results,
    /// The display of output after the end of a cell.
    pub late: LateOutput,
    /// The last warning of engines that do not answer.
    pub silent: SilentWarning,
    /// The tasks that supervise submissions; each ends with its submission.
    pub supervisors: TaskTracker,
}

/// A source to compile for engines and run there: a user's cell or one of our own.
#[derive(Clone, Copy, Debug)]
pub struct EngineSource<'a> {
    /// The name of its AsyncResult.
    pub name: &'a str,
    /// The source.
    pub source: &'a str,
    /// The number of lines of the cell before it.
    pub lines_before: usize,
    /// The pushed value that it binds to a variable, if any.
    pub binds: Option<&'a str>,
    /// The name of its text in locations of failures, unless the source is one of our own.
    pub text: Option<&'a str>,
}

/// A source that was compiled for all of its engines.
struct CompiledSource<'a> {
    source: Arc<str>,
    name: &'a str,
    lines_before: usize,
    binds: Option<&'a str>,
    text: Option<&'a str>,
    execution_count: usize,
}

/// A submitted cell.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The AsyncResult.
    pub stored: StoredResult,
    /// The client that has submitted it.
    pub client: Client,
    /// Its engines.
    pub engines: Vec<EngineId>,
}

impl Fanout {
    /// Compiles a cell for the engines of a plan and submits it by
    /// [`submit_source`](Self::submit_source); stores the result.
    ///
    /// Nothing runs unless the cell compiles for all engines.
    ///
    /// # Errors
    /// Returns an error if the cell does not compile, an engine is not a Rust engine, or the cell
    /// is interrupted.
    pub async fn submit_planned(
        &self,
        client: Client,
        plan: &PxPlan,
        work: EngineSource<'_>,
        context: &CellContext,
    ) -> Result<Submitted, Failure> {
        let targets = &plan.targets;
        let result = self.submit_source(&client, work, targets, context).await?;
        let labels = match plan.named {
            Targets::Id(_) => Labels::None,
            _ => Labels::Engines,
        };
        let stored = self.results.store(result, labels);
        let sink = context.sink().clone();
        self.late.belongs_to(&client, sink, labels);
        // No variable refers to it yet.
        self.results.release(&[stored.id]);
        Ok(Submitted {
            stored,
            client,
            engines: plan.targets.clone(),
        })
    }

    /// Compiles a source once for each state of the engines and submits it; returns without waiting
    /// for it to run. The result is not stored.
    ///
    /// # Errors
    /// Returns the errors of [`submit_planned`](Self::submit_planned).
    pub async fn submit_source(
        &self,
        client: &Client,
        work: EngineSource<'_>,
        ids: &[EngineId],
        context: &CellContext,
    ) -> Result<AsyncResult, Failure> {
        let engines = targets(client, ids)?;
        self.adopt(client, ids, context).await?;
        let bases = engines.iter().map(|engine| self.states.of(engine));
        let based: Vec<_> = engines.iter().zip(bases).collect();
        let source: Arc<str> = work.source.into();
        let compiled = self.compile_all(&based, &source, context).await?;
        let states: Vec<_> = based.iter().map(|(e, base)| (e.id, base.clone())).collect();
        for about in notices(&source, &states, &compiled) {
            let text = notice(&about);
            context.sink().text(StreamName::Stderr, text).await;
        }
        let cell = CompiledSource {
            source,
            name: work.name,
            lines_before: work.lines_before,
            binds: work.binds,
            text: work.text,
            execution_count: context.count(),
        };
        Ok(self.send(client, cell, &based, &compiled))
    }

    /// Sends each engine the compilation for its state, and spawns a task that supervises them. An
    /// engine whose state has changed since refuses the cell and gets another compilation.
    fn send(
        &self,
        client: &Client,
        cell: CompiledSource<'_>,
        engines: &[(&Engine, StateId)],
        compiled: &HashMap<StateId, Compilation>,
    ) -> AsyncResult {
        let (refused_tx, refused) = mpsc::unbounded_channel();
        let mut tasks = Vec::with_capacity(engines.len());
        let mut uuids = Vec::with_capacity(engines.len());
        let order = self.states.submission();
        for (engine, base) in engines {
            let Some(compilation) = compiled.get(base) else {
                continue;
            };
            let next = compilation.next.clone();
            self.states.sent(&engine.uuid, order, next);
            let mut task = engine_cell(engine.id, &cell.source, cell.lines_before, compilation);
            task.metadata.record.described = self
                .states
                .dependencies_to_describe(&engine.uuid, compilation);
            task.metadata.record.binds = cell.binds.map(str::to_owned);
            task.metadata.record.text = cell.text.map(str::to_owned);
            tasks.push(task.into());
            uuids.push(engine.uuid.clone());
        }
        let result = client.submit(Submission {
            name: cell.name.to_owned(),
            tasks,
            refused: refused_tx,
        });
        self.supervisors.spawn(supervise(SupervisedFanout {
            fanout: self.clone(),
            client: client.clone(),
            result: result.clone(),
            refused,
            source: cell.source,
            execution_count: cell.execution_count,
            lines_before: cell.lines_before,
            binds: cell.binds.map(str::to_owned),
            text: cell.text.map(str::to_owned),
            order,
            engines: uuids,
        }));
        result
    }

    /// Compiles a cell once for each state of the engines. Every state has a compilation.
    async fn compile_all(
        &self,
        engines: &[(&Engine, StateId)],
        source: &Arc<str>,
        context: &CellContext,
    ) -> Result<HashMap<StateId, Compilation>, Failure> {
        let mut compiled = HashMap::new();
        for (engine, base) in engines {
            if compiled.contains_key(base) {
                continue;
            }
            let task = CompileTask {
                base: base.clone(),
                source: Arc::clone(source),
                lost: Vec::new(),
                execution_count: context.count(),
            };
            let compilation = tokio::select! {
                compiled = self.compiler.compile(task, Some(context.clone())) => compiled,
                () = context.interrupted().cancelled() => {
                    return Err(Failure::Interrupted { lost: Vec::new() });
                }
            };
            let compilation = match compilation {
                Ok(compilation) => compilation,
                Err(failure) => {
                    return Err(self.with_affected_engines(failure, engines, base).await);
                }
            };
            fits(engine, &compilation)?;
            compiled.insert(base.clone(), compilation);
        }
        Ok(compiled)
    }

    /// Adds the affected engines to the failure of a name that only other engines have.
    async fn with_affected_engines(
        &self,
        failure: Failure,
        engines: &[(&Engine, StateId)],
        base: &StateId,
    ) -> Failure {
        let (these, others): (Vec<_>, Vec<_>) =
            engines.iter().partition(|(_, state)| state == base);
        let Failure::Compile { mut diagnostics } = failure else {
            return failure;
        };
        let last = diagnostics.iter_mut().rev();
        let mut named = last.filter_map(|diagnostic| {
            let name = unresolved(diagnostic)?.to_owned();
            Some((diagnostic, name))
        });
        let states = || others.iter().map(|(_, state)| state.clone()).collect();
        if let Some((unresolved, name)) = named.next()
            && self.compiler.any_defines(states(), name).await
        {
            let ids: Vec<EngineId> = these.iter().map(|(engine, _)| engine.id).collect();
            unresolved.help.push(only_elsewhere(&ids));
        }
        Failure::Compile { diagnostics }
    }
}

/// Returns the engines with these ids, all of which must be Rust engines.
fn targets(client: &Client, ids: &[EngineId]) -> Result<Vec<Engine>, FanoutError> {
    let all = client.engines();
    ids.iter()
        .map(|id| {
            let engine = all.iter().find(|engine| engine.id == *id);
            let engine = engine.ok_or(FanoutError::Gone(*id))?;
            match &engine.kind {
                EngineKind::Rust(_) => Ok(engine.clone()),
                EngineKind::OtherRelease(theirs) => Err(FanoutError::other_release(*id, theirs)),
                EngineKind::Foreign => Err(FanoutError::Foreign(*id)),
                EngineKind::Silent => Err(FanoutError::Silent(*id)),
            }
        })
        .collect()
}

/// Checks that an engine's machine can load code compiled here.
fn fits(engine: &Engine, compilation: &Compilation) -> Result<(), FanoutError> {
    let ours = &compilation.toolchain;
    let Some(theirs) = engine.handshake() else {
        return Ok(());
    };
    // The echo backend runs on any machine.
    if theirs.target != ours.target && ours.target != "echo" {
        return Err(FanoutError::OtherTarget {
            engine: engine.id,
            host: theirs.host.clone(),
            theirs: theirs.target.clone(),
            ours: ours.target.clone(),
        });
    }
    Ok(())
}

/// Returns a compiled cell for one engine, whose lines are those of the notebook's cell.
pub(super) fn engine_cell(
    engine: EngineId,
    source: &str,
    lines_before: usize,
    compilation: &Compilation,
) -> EngineCell {
    let cell = compilation.cell.as_ref();
    let lines_before = u32::try_from(lines_before).unwrap_or_default();
    let lines = cell.map_or(&[][..], |cell| &cell.lines[..]).iter();
    let lines = lines.map(|(compiled, line)| (*compiled, line + lines_before));
    EngineCell {
        engine,
        source: source.to_owned(),
        metadata: CellMetadata {
            abi: compilation.toolchain.rustc.clone(),
            host: phalanx_sys::machine::host_name(),
            base: compilation.base.clone(),
            next: compilation.next.clone(),
            entry: cell.map(|cell| cell.entry.clone()),
            has_result: cell.is_some_and(|cell| cell.has_result),
            lines: lines.collect(),
            artifacts: compilation
                .artifacts
                .iter()
                .map(|(hash, _)| hash.clone())
                .collect(),
            paths: Vec::new(),
            buffers: Vec::new(),
            record: Box::new(CellRecord {
                cell: compilation.execution_count,
                lost: compilation.lost.clone(),
                types: compilation.types.clone(),
                unchanged: compilation.unchanged,
                binds: None,
                text: None,
                dependencies: compilation.dependencies.0.clone(),
                described: None,
            }),
        },
        artifacts: compilation.artifacts.clone(),
    }
}
