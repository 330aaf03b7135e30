//! The requests to the evaluator, and what becomes of its replies.

use super::super::error::CompilerError;
use super::super::lineage::StateOrigin;
use super::adoption::AdoptionPhase;
use super::repeat::RepeatedCell;
use super::{
    CompileJobResult, CompilerCommand, CompilerState, CurrentJob, JobStep, JobWork, PendingCommand,
};
use crate::context::CellName;
use crate::report::Notice;
use phalanx_protocol::evaluator::{Compiled, EvaluatorReply, EvaluatorRequest, RequestId};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;

/// A request that the evaluator has not replied to.
#[derive(Debug)]
pub(super) enum PendingRequest {
    /// A dependency that a new evaluator lacks.
    FormerDependency,
    /// A dependency that none had before.
    Dependency(String),
    /// A cell that leads to state `next`.
    Cell {
        next: StateId,
        origin: StateOrigin,
        purpose: CellPurpose,
    },
}

/// The purpose for which a cell is compiled.
#[derive(Debug)]
pub(super) enum CellPurpose {
    /// The cell of a compile task.
    Task,
    /// A cell that engines have run before.
    Repetition(Box<RepeatedCell>),
    /// A cell that does nothing, to build new dependencies.
    Trial,
}

impl CompilerState {
    /// Requests a dependency that none of the evaluators had before.
    pub(super) fn request_dependency(
        &mut self,
        spec: String,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let pending = PendingRequest::Dependency(spec.clone());
        let request = |id| EvaluatorRequest::AddDependency { id, spec };
        self.send(request, pending, commands)
    }

    /// Requests a cell that engines have run before.
    pub(super) fn request_repetition(
        &mut self,
        cell: RepeatedCell,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let (next, origin) = (cell.next.clone(), cell.attempt());
        let replaced = cell.replaced.clone();
        let purpose = CellPurpose::Repetition(Box::new(cell));
        self.request_cell(next, origin, &replaced, purpose, commands)
    }

    /// Requests the cell that leads to state `next`; `replaced` are crates of its base that differ
    /// here.
    pub(super) fn request_cell(
        &mut self,
        next: StateId,
        origin: StateOrigin,
        replaced: &[String],
        purpose: CellPurpose,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let pending = PendingRequest::Cell {
            next: next.clone(),
            origin: origin.clone(),
            purpose,
        };
        let request = |id| EvaluatorRequest::Compile {
            id,
            source: origin.source.to_string(),
            base: origin.base,
            next,
            outcome: origin.outcome,
            replaced: replaced.to_vec(),
            types: origin.types,
        };
        self.send(request, pending, commands)
    }

    /// Sends a request; `pending` says what to do with the reply.
    pub(super) fn send(
        &mut self,
        request: impl FnOnce(RequestId) -> EvaluatorRequest,
        pending: PendingRequest,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.pending = Some(PendingCommand::Request(id, pending));
        commands.push(CompilerCommand::Send(request(id)));
        JobStep::Wait
    }

    /// Handles the evaluator's reply to a request.
    pub(super) fn replied(
        &mut self,
        id: RequestId,
        result: Result<EvaluatorReply, Failure>,
        commands: &mut Vec<CompilerCommand>,
    ) {
        let is_its = |pending: &mut PendingCommand| matches!(pending, PendingCommand::Request(of, _) if *of == id);
        let Some(PendingCommand::Request(_, request)) = self.pending.take_if(is_its) else {
            return;
        };
        let Some(mut current) = self.current.take() else {
            return;
        };
        let step = match request {
            PendingRequest::FormerDependency => match result {
                Ok(_) => JobStep::Continue,
                Err(failure) => {
                    self.kill_evaluator(commands);
                    current.failed(failure)
                }
            },
            PendingRequest::Dependency(spec) => {
                self.dependency_added(&mut current, spec, result.map(drop))
            }
            PendingRequest::Cell {
                next,
                origin,
                purpose,
            } => {
                let compiled = self.record_cell(&next, &origin, result);
                match purpose {
                    CellPurpose::Task => self.task_compiled(&mut current, next, compiled, commands),
                    CellPurpose::Repetition(cell) => {
                        self.repeated(&mut current, *cell, compiled.map(drop), commands)
                    }
                    CellPurpose::Trial => {
                        self.lineages.forget([&next].into_iter());
                        if let JobWork::Adopt(adoption) = &mut current.work {
                            adoption.dependencies_tried(compiled.map(drop));
                        }
                        JobStep::Continue
                    }
                }
            }
        };
        self.settle(current, step, commands);
    }

    fn dependency_added(
        &mut self,
        current: &mut CurrentJob,
        spec: String,
        result: Result<(), Failure>,
    ) -> JobStep {
        match (&mut current.work, result) {
            (JobWork::Adopt(adoption), result) => {
                adoption.dependency_added(spec, result, &mut self.dependencies);
                JobStep::Continue
            }
            (_, Ok(())) => {
                self.dependencies.add(spec);
                JobStep::Finish(Ok(CompileJobResult::Done))
            }
            (_, Err(failure)) => JobStep::Finish(Err(failure)),
        }
    }

    /// Records the evaluator's reply to a cell that leads to state `next`.
    fn record_cell(
        &mut self,
        next: &StateId,
        origin: &StateOrigin,
        result: Result<EvaluatorReply, Failure>,
    ) -> Result<Box<Compiled>, Failure> {
        match result {
            Ok(EvaluatorReply::Compiled(mut compiled)) => {
                self.dependencies.describe(compiled.packages.take());
                let origin = StateOrigin {
                    types: Some(compiled.types.clone()),
                    ..origin.clone()
                };
                let names = compiled.variables.iter().map(|(name, _)| name.clone());
                self.lineages
                    .add(next.clone(), origin, names.collect(), &compiled.moved);
                if let Some(cell) = &compiled.cell {
                    self.lineages.leave_out(next, cell);
                }
                Ok(compiled)
            }
            Ok(other) => Err(CompilerError::WrongReply(Box::new(other)).into()),
            Err(failure) => {
                let failure = self.lineages.explain(&origin.base, failure);
                if matches!(failure, Failure::Compile { .. }) {
                    self.lineages.not_compiled(origin);
                }
                Err(failure)
            }
        }
    }

    /// Handles the compiled cell of a task, whose libraries have to be read.
    fn task_compiled(
        &mut self,
        current: &mut CurrentJob,
        next: StateId,
        result: Result<Box<Compiled>, Failure>,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        let JobWork::Compile { compiled, .. } = &mut current.work else {
            return JobStep::Continue;
        };
        let made = match result {
            Ok(made) => made,
            Err(failure) => return JobStep::Finish(Err(failure)),
        };
        let library = made.cell.as_ref().map(|cell| cell.artifact.clone());
        *compiled = Some((next, made));
        let Some(library) = library else {
            return self.artifacts_read(current, Ok(Vec::new()));
        };
        let libstd = self.toolchain().libstd;
        self.pending = Some(PendingCommand::Artifacts);
        commands.push(CompilerCommand::ReadArtifacts { libstd, library });
        JobStep::Wait
    }

    /// Handles the result of a cell that engines have run before; one that does not compile is
    /// tried again without the statements in which the errors are.
    fn repeated(
        &mut self,
        current: &mut CurrentJob,
        mut cell: RepeatedCell,
        result: Result<(), Failure>,
        commands: &mut Vec<CompilerCommand>,
    ) -> JobStep {
        if let Err(failure) = result {
            return match cell.reduce(failure) {
                Ok(()) => self.request_repetition(cell, commands),
                Err(failure) => current.failed(failure),
            };
        }
        if let Some(left_out) = cell.left_out() {
            let names = left_out.names.clone();
            self.lineages.does_not_compile(&cell.next, names);
            self.add_notice(Notice::LeftOut(left_out));
        }
        let JobWork::Adopt(adoption) = &current.work else {
            return JobStep::Continue;
        };
        if adoption.phase() == AdoptionPhase::Check {
            return JobStep::Finish(Ok(CompileJobResult::Done));
        }
        if let CellName::Foreign(count) = cell.origin.cell {
            let source = cell.origin.source;
            commands.push(CompilerCommand::RecordForeignCell(count, source));
        }
        JobStep::Continue
    }
}
