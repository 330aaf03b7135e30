//! The state of the compiler for engines: its evaluator, which may die, and the job that it is
//! doing. Pure.
//!
//! Each step of a job is planned from what the evaluator lacks: a process, dependencies, the cells
//! that led to a state. A new evaluator lacks all of them, so that a job simply goes on with it.
//!
//! | file | contents |
//! |---|---|
//! | `event.rs` | events, commands and jobs |
//! | `requests.rs` | the requests to the evaluator, and what becomes of its replies |
//! | `repeat.rs` | a cell that engines have run before |
//! | `adoption.rs` | the adoption of a state created by another client |

mod adoption;
mod event;
mod repeat;
mod requests;

pub(super) use event::{
    CompileJob, CompileJobId, CompileJobResult, CompilerCommand, CompilerEvent,
};

use super::dependencies::DependencySet;
use super::error::CompilerError;
use super::lineage::{Lineages, StateOrigin};
use super::{Compilation, CompileTask};
use crate::context::CellName;
use crate::report::Notice;
use adoption::{Adoption, AdoptionPhase};
use phalanx_protocol::evaluator::{
    Compiled, EvaluatorEvent, EvaluatorRequest, RequestId, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{ArtifactHash, StateId};
use phalanx_protocol::runtime::Outcome;
use repeat::RepeatedCell;
use requests::{CellPurpose, PendingRequest};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// The state of the compiler for engines.
#[derive(Debug)]
pub(super) struct CompilerState {
    process: EvaluatorProcess,
    waiting: VecDeque<CurrentJob>,
    current: Option<CurrentJob>,
    /// The command whose result the current job waits for, besides the start of the evaluator.
    pending: Option<PendingCommand>,
    lineages: Lineages,
    dependencies: DependencySet,
    /// Notices for the next cell that waits for the compiler.
    notices: Vec<Notice>,
    requests: u64,
}

#[derive(Debug)]
enum EvaluatorProcess {
    Off,
    Starting,
    Up {
        toolchain: Toolchain,
        /// The dependencies that it still has to add before anything else.
        unadded: VecDeque<String>,
    },
}

#[derive(Debug)]
struct CurrentJob {
    id: CompileJobId,
    has_cell: bool,
    /// True if an evaluator has ended during this job, and another one goes on with it.
    was_retried: bool,
    work: JobWork,
}

#[derive(Debug)]
enum JobWork {
    Warm,
    Compile {
        task: CompileTask,
        /// The state to which it leads and the compiled cell, once it is compiled.
        compiled: Option<(StateId, Box<Compiled>)>,
    },
    AddDependency(String),
    Adopt(Box<Adoption>),
}

#[derive(Debug)]
enum PendingCommand {
    Request(RequestId, PendingRequest),
    Artifacts,
}

/// A step of a job.
#[derive(Debug)]
enum JobStep {
    /// The next step can be planned.
    Continue,
    /// A command was issued; the next step depends on its result.
    Wait,
    /// The job is done.
    Finish(Result<CompileJobResult, Failure>),
}

impl CompilerState {
    /// Creates a compiler whose evaluator is started when it is first needed.
    pub(super) fn new() -> Self {
        Self {
            process: EvaluatorProcess::Off,
            waiting: VecDeque::new(),
            current: None,
            pending: None,
            lineages: Lineages::new(),
            dependencies: DependencySet::new(),
            notices: Vec::new(),
            requests: 0,
        }
    }

    /// Returns the known states of engines.
    pub(super) fn lineages(&self) -> &Lineages {
        &self.lineages
    }

    /// Handles an event and returns the commands to perform.
    pub(super) fn handle(&mut self, event: CompilerEvent) -> Vec<CompilerCommand> {
        let mut commands = Vec::new();
        match event {
            CompilerEvent::Job { id, job, has_cell } => self.waiting.push_back(CurrentJob {
                id,
                has_cell,
                was_retried: false,
                work: JobWork::new(job),
            }),
            CompilerEvent::Interrupt => {
                if self.is_evaluating() {
                    commands.push(CompilerCommand::InterruptEvaluator);
                }
            }
            CompilerEvent::NotStarted(failure) => {
                self.process = EvaluatorProcess::Off;
                self.fail(failure, &mut commands);
            }
            CompilerEvent::Evaluator(EvaluatorEvent::Ready(toolchain)) => {
                self.process = EvaluatorProcess::Up {
                    toolchain,
                    unadded: self.dependencies.specs().to_vec().into(),
                };
            }
            CompilerEvent::Evaluator(EvaluatorEvent::StartFailed { failure }) => {
                self.kill_evaluator(&mut commands);
                self.fail(failure, &mut commands);
            }
            CompilerEvent::Evaluator(EvaluatorEvent::Reply { id, result }) => {
                self.replied(id, result, &mut commands);
            }
            // Only a local evaluator sends cells to run.
            CompilerEvent::Evaluator(EvaluatorEvent::Run(_)) => {}
            CompilerEvent::Exited {
                status,
                last_output,
            } => {
                let ended = CompilerError::Ended {
                    status,
                    last_output,
                };
                self.exited(ended.into(), &mut commands);
            }
            CompilerEvent::ArtifactsRead(result) => {
                self.pending = None;
                if let Some(mut current) = self.current.take() {
                    let step = self.artifacts_read(&mut current, result);
                    self.settle(current, step, &mut commands);
                }
            }
        }
        self.advance(&mut commands);
        commands
    }

    /// Returns true if the evaluator is doing something for the current job.
    fn is_evaluating(&self) -> bool {
        let is_starting = matches!(self.process, EvaluatorProcess::Starting);
        is_starting || matches!(self.pending, Some(PendingCommand::Request(..)))
    }

    /// Goes on with the jobs until one waits for something.
    fn advance(&mut self, commands: &mut Vec<CompilerCommand>) {
        while self.pending.is_none() {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => match self.waiting.pop_front() {
                    Some(next) => {
                        commands.push(CompilerCommand::Begin(next.id));
                        if let JobWork::AddDependency(spec) = &next.work {
                            self.dependencies.allow(spec);
                        }
                        next
                    }
                    None => return,
                },
            };
            let step = self.next_step(&mut current, commands);
            let waits = matches!(step, JobStep::Wait);
            self.settle(current, step, commands);
            if waits {
                return;
            }
        }
    }

    fn settle(&mut self, current: CurrentJob, step: JobStep, commands: &mut Vec<CompilerCommand>) {
        let JobStep::Finish(result) = step else {
            self.current = Some(current);
            return;
        };
        if let (JobWork::Adopt(adoption), Err(_)) = (&current.work, &result) {
            self.lineages.forget(adoption.new_states().iter());
        }
        let notices = match current.has_cell {
            true => std::mem::take(&mut self.notices),
            false => Vec::new(),
        };
        commands.push(CompilerCommand::Finish {
            job: current.id,
            result,
            notices,
        });
    }

    /// Plans the next step of a job.
    fn next_step(
        &mut self,
        current: &mut CurrentJob,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        if let Some(step) = self.step_without_evaluator(&mut current.work) {
            return step;
        }
        match &mut self.process {
            EvaluatorProcess::Off => {
                self.process = EvaluatorProcess::Starting;
                self.lineages.forget_compiled();
                commands.push(CompilerCommand::StartEvaluator);
                return JobStep::Wait;
            }
            EvaluatorProcess::Starting => return JobStep::Wait,
            EvaluatorProcess::Up { unadded, .. } => {
                if let Some(spec) = unadded.pop_front() {
                    let request = |id| EvaluatorRequest::AddDependency { id, spec };
                    return self.send(request, PendingRequest::FormerDependency, commands);
                }
            }
        }
        match &mut current.work {
            JobWork::Warm => JobStep::Finish(Ok(CompileJobResult::Done)),
            JobWork::AddDependency(spec) => self.request_dependency(spec.clone(), commands),
            JobWork::Compile { task, .. } => self.compile(task, commands),
            JobWork::Adopt(adoption) => self.adopt(adoption, commands),
        }
    }

    /// Plans a step that no evaluator is needed for: one that is not running yet adds dependencies
    /// when it starts.
    fn step_without_evaluator(&mut self, work: &mut JobWork) -> Option<JobStep> {
        let is_off = matches!(self.process, EvaluatorProcess::Off);
        match work {
            JobWork::AddDependency(spec) => {
                let is_known = self.dependencies.contains(spec);
                if is_off && !is_known {
                    self.dependencies.add(spec.clone());
                }
                (is_off || is_known).then_some(JobStep::Finish(Ok(CompileJobResult::Done)))
            }
            JobWork::Adopt(adoption) if is_off => self.restore_at_once(adoption),
            _ => None,
        }
    }

    /// Compiles the next cell that led to the base of a task, or at last its own.
    fn compile(&mut self, task: &CompileTask, commands: &mut Vec<CompilerCommand>) -> JobStep {
        let uncompiled = match self.lineages.uncompiled(&task.base) {
            Ok(uncompiled) => uncompiled,
            Err(unknown) => return JobStep::Finish(Err(CompilerError::from(unknown).into())),
        };
        if let Some((state, origin)) = uncompiled.into_iter().next() {
            let cell = RepeatedCell::new(state, origin, Vec::new());
            return self.request_repetition(cell, commands);
        }
        let origin = StateOrigin {
            base: task.base.clone(),
            source: Arc::clone(&task.source),
            cell: CellName::Own(task.execution_count),
            types: None,
            outcome: match task.lost.is_empty() {
                true => Outcome::Completed,
                false => Outcome::VariablesLost(task.lost.clone()),
            },
        };
        self.request_cell(StateId::fresh(), origin, &[], CellPurpose::Task, commands)
    }

    /// Completes a task whose cell is compiled.
    fn artifacts_read(
        &mut self,
        current: &mut CurrentJob,
        artifacts: Result<Vec<(ArtifactHash, PathBuf)>, Failure>,
    ) -> JobStep {
        let JobWork::Compile { task, compiled } = &mut current.work else {
            return JobStep::Continue;
        };
        let Some((next, compiled)) = compiled.take() else {
            return JobStep::Continue;
        };
        let artifacts = match artifacts {
            Ok(artifacts) => artifacts,
            Err(failure) => return JobStep::Finish(Err(failure)),
        };
        let lineages = &self.lineages;
        let misfits = lineages.misfits(&task.base, &task.source, &compiled.misfits);
        JobStep::Finish(Ok(CompileJobResult::Compiled(Box::new(Compilation {
            misfits,
            base: task.base.clone(),
            next,
            cell: compiled.cell,
            toolchain: self.toolchain(),
            artifacts,
            execution_count: task.execution_count,
            lost: task.lost.clone(),
            types: compiled.types,
            unchanged: compiled.unchanged,
            dependencies: Arc::clone(self.dependencies.described()),
        }))))
    }

    /// Handles the end of the evaluator. A job goes on with a second one, unless the first has
    /// ended before it was ready.
    fn exited(&mut self, failure: Failure, commands: &mut Vec<CompilerCommand>) {
        let pending = self.pending.take();
        let was_ready = match &self.process {
            EvaluatorProcess::Up { unadded, .. } => {
                let is_former = |pending: &PendingCommand| {
                    matches!(
                        pending,
                        PendingCommand::Request(_, PendingRequest::FormerDependency)
                    )
                };
                unadded.is_empty() && !pending.as_ref().is_some_and(is_former)
            }
            EvaluatorProcess::Off | EvaluatorProcess::Starting => false,
        };
        self.process = EvaluatorProcess::Off;
        let Some(mut current) = self.current.take() else {
            return;
        };
        let retries = was_ready && !current.was_retried && current.work.is_repeatable();
        let step = if retries {
            current.was_retried = true;
            if let JobWork::Adopt(adoption) = &mut current.work {
                adoption.restart(&mut self.dependencies);
            }
            JobStep::Continue
        } else {
            if let (
                JobWork::Adopt(adoption),
                Some(PendingCommand::Request(_, PendingRequest::Dependency(spec))),
            ) = (&mut current.work, pending)
            {
                let added = Err(failure.clone());
                adoption.dependency_added(spec, added, &mut self.dependencies);
            }
            current.failed(failure)
        };
        self.settle(current, step, commands);
    }

    fn fail(&mut self, failure: Failure, commands: &mut Vec<CompilerCommand>) {
        if let Some(mut current) = self.current.take() {
            let step = current.failed(failure);
            self.settle(current, step, commands);
        }
    }

    fn kill_evaluator(&mut self, commands: &mut Vec<CompilerCommand>) {
        self.process = EvaluatorProcess::Off;
        commands.push(CompilerCommand::KillEvaluator);
    }

    /// Adds a notice for the next cell that waits for the compiler.
    fn add_notice(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Returns the toolchain of the evaluator.
    fn toolchain(&self) -> Toolchain {
        match &self.process {
            EvaluatorProcess::Up { toolchain, .. } => toolchain.clone(),
            EvaluatorProcess::Off | EvaluatorProcess::Starting => Toolchain::default(),
        }
    }
}

impl CurrentJob {
    fn failed(&mut self, failure: Failure) -> JobStep {
        match &mut self.work {
            JobWork::Adopt(adoption) => adoption.failed(failure),
            _ => JobStep::Finish(Err(failure)),
        }
    }
}

impl JobWork {
    fn new(job: CompileJob) -> Self {
        match job {
            CompileJob::Warm => Self::Warm,
            CompileJob::Compile(task) => Self::Compile {
                task,
                compiled: None,
            },
            CompileJob::AddDependency(spec) => Self::AddDependency(spec),
            CompileJob::Adopt(lineage) => Self::Adopt(Box::new(Adoption::new(*lineage))),
        }
    }

    /// Returns true if a second evaluator can go on with it.
    fn is_repeatable(&self) -> bool {
        match self {
            Self::Compile { .. } => true,
            // At last, the dependencies are left to the next evaluator.
            Self::Adopt(adoption) => adoption.phase() != AdoptionPhase::Restore,
            Self::Warm | Self::AddDependency(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
