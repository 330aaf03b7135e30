//! The kernel's own namespace: cells run as they are compiled, and evcxr hears how each ended.

use super::definitions::Definitions;
use super::diagnostics;
use super::limits;
use super::prelude::Shown;
use super::pretence::{self, Pretence};
use super::relay::{Answering, Relay};
use super::shape::{Memory, Shape};
use super::source::{Prepared, declared, prepare};
use super::types::Types;
use super::variables::{self, Variables};
use crate::process::{Evaluate, Work};
use evcxr::{CommandContext, Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{Answer, Evaluated, EvaluatorRequest, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::runtime::Outcome;
use serde_json::Value;
use std::path::PathBuf;

pub(super) struct Local {
    pub(super) relay: Relay,
    pub(super) toolchain: Toolchain,
    context: Context,
    pub(super) shown: Shown,
    /// The folder of the `phalanx` library.
    pub(super) library: PathBuf,
    pub(super) definitions: Definitions,
    pub(super) shape: Shape,
    pub(super) memory: Memory,
    pub(super) types: Types,
}

/// evcxr's context, in the form it has before the first cell and the one it has then.
enum Context {
    Fresh(EvalContext),
    Used(CommandContext),
    /// Between the two.
    Moving,
}

impl Evaluate for Local {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn answer(&mut self, work: Work) -> Result<Answer, Failure> {
        match work {
            EvaluatorRequest::Evaluate { source, .. } => self.evaluate(&source),
            other => Err(Failure::Internal {
                message: format!("the local evaluator does not answer {other:?}"),
            }),
        }
    }
}

impl Local {
    pub(super) fn new(
        context: EvalContext,
        relay: Relay,
        toolchain: Toolchain,
        shape: Shape,
        library: PathBuf,
        types: Types,
    ) -> Self {
        Self {
            relay,
            toolchain,
            context: Context::Fresh(context),
            shown: Shown::default(),
            library,
            definitions: Definitions::default(),
            shape,
            memory: Memory::default(),
            types,
        }
    }

    fn context(&mut self) -> Result<&mut CommandContext, Failure> {
        self.context = match std::mem::replace(&mut self.context, Context::Moving) {
            Context::Fresh(context) => Context::Used(CommandContext::with_eval_context(context)),
            moved => moved,
        };
        match &mut self.context {
            Context::Used(context) => Ok(context),
            Context::Fresh(_) | Context::Moving => Err(Failure::Internal {
                message: "evcxr's context is gone".to_owned(),
            }),
        }
    }

    fn evaluate(&mut self, source: &str) -> Result<Answer, Failure> {
        let answer = if source.starts_with(':') && !source.starts_with("::") {
            self.command(source)
        } else {
            self.cell(source)
        };
        // A cell may have added one too.
        self.types.follow();
        answer
    }

    fn cell(&mut self, source: &str) -> Result<Answer, Failure> {
        let before = self.variables()?;
        let mut answering = Answering::Run;
        if let Some(cell) = self.memory.recall(&self.shape, source) {
            let outcome = self.relay.run(cell).map_err(kernel_gone)?;
            if leaves_no_trace(&outcome, source) {
                return Ok(Answer::Evaluated(Evaluated {
                    variables: variables::shown(&before),
                    ..Evaluated::default()
                }));
            }
            answering = Answering::Ended(outcome);
        }
        let dropped = self.definitions.lost(source, &before);
        self.forget(&dropped)?;
        let (prepared, result) = self.execute_as_fits(source, &dropped, answering)?;
        let outcome = self.relay.outcome();
        if result.is_ok() {
            self.definitions.add(source);
        } else if matches!(outcome, None | Some(Outcome::Abandoned { .. })) {
            // It did not compile, or is as if it had not run: the variables are still there.
            self.know(&dropped)?;
        }
        let after = self.variables()?;
        self.remember(source, outcome.as_ref(), result.is_ok(), &after);
        let command_output = match result {
            Ok(outputs) => bundle(outputs),
            // The kernel knows: it ran the cell.
            Err(_)
                if matches!(
                    outcome,
                    Some(Outcome::Died { .. } | Outcome::Abandoned { .. })
                ) =>
            {
                MimeBundle::default()
            }
            Err(error) => {
                let failure = diagnostics::failure(error, &prepared);
                return Err(limits::explain_items(failure, &prepared, &before));
            }
        };
        let variables = variables::shown(&after);
        let moved = variables::moved(&before, &after, outcome.as_ref());
        Ok(Answer::Evaluated(Evaluated {
            command_output,
            variables,
            moved: moved
                .into_iter()
                .filter(|name| !dropped.contains(name))
                .collect(),
            toolchain: None,
        }))
    }

    /// Evaluates a cell, in the form in which it compiles.
    fn execute_as_fits(
        &mut self,
        source: &str,
        dropped: &[String],
        answering: Answering,
    ) -> Result<(Prepared, Result<EvalOutputs, Error>), Failure> {
        let types = self.types.of(source, &self.shape, dropped);
        let prepared = prepare(source, &types).dropping(dropped.to_vec());
        let result = self.execute(&prepared, answering.clone())?;
        let plain = Prepared::typed(source, &types).dropping(dropped.to_vec());
        if diagnostics::is_shown_by_value(&result) && plain.text != prepared.text {
            // `evcxr_display` takes the type by value, which a reference does not give.
            if let Ok(outputs) = self.execute(&plain, answering)? {
                return Ok((plain, Ok(outputs)));
            }
        } else if diagnostics::is_about_types(&result, &prepared) {
            // The user hears of what was written, or that a type is missing.
            let untyped = prepare(source, &[]).dropping(dropped.to_vec());
            let result = self.execute(&untyped, answering)?;
            return Ok((untyped, result));
        }
        Ok((prepared, result))
    }

    /// Has evcxr forget variables that are to be dropped.
    fn forget(&mut self, dropped: &[String]) -> Result<(), Failure> {
        if dropped.is_empty() {
            return Ok(());
        }
        self.pretend(pretence::forgetting(dropped))
    }

    /// Has evcxr know variables again that were not dropped after all.
    fn know(&mut self, dropped: &[String]) -> Result<(), Failure> {
        let shape = &self.shape;
        let declarations = dropped.iter().filter_map(|name| shape.declaration(name));
        let declarations = declarations.collect::<Vec<_>>();
        if declarations.is_empty() {
            return Ok(());
        }
        self.pretend(pretence::knowing(&declarations))
    }

    fn pretend(&mut self, (text, outcome): (String, Outcome)) -> Result<(), Failure> {
        let prepared = Prepared::unchanged(&text);
        let _pretence = Pretence::begin().map_err(|error| Failure::Environment {
            message: format!("the build folder cannot be written to: {error}"),
            hint: None,
        })?;
        let result = self.execute(&prepared, Answering::Assume(outcome))?;
        result.map_err(|error| diagnostics::failure(error, &prepared))?;
        Ok(())
    }

    /// Takes note of what a cell has made of the namespace.
    fn remember(
        &mut self,
        source: &str,
        outcome: Option<&Outcome>,
        is_done: bool,
        after: &Variables,
    ) {
        let shape = match outcome {
            Some(_) if is_done => self.shape.after(&self.relay.emitted(), source, after),
            _ => self.shape.after_failure(after),
        };
        if let (Some(Outcome::Completed), Some(cell)) = (outcome, self.relay.last()) {
            let shapes = (&self.shape, &shape);
            let emitted = self.relay.emitted();
            self.memory.remember(shapes, source, &emitted, cell);
        }
        self.shape = shape;
    }

    pub(super) fn variables(&mut self) -> Result<Variables, Failure> {
        Ok(variables::all(self.context()?.variables_and_types()))
    }

    pub(super) fn execute(
        &mut self,
        source: &Prepared,
        answering: Answering,
    ) -> Result<Result<EvalOutputs, Error>, Failure> {
        self.relay.expect(answering, source);
        Ok(self.context()?.execute(&source.text))
    }
}

/// Whether a cell that had been run in this shape before, and was compiled to just this, has left
/// the namespace as it was: always, unless it declares variables and has not come to storing them.
pub(super) fn leaves_no_trace(outcome: &Outcome, source: &str) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Abandoned { .. } => true,
        Outcome::Panicked(_) | Outcome::Errored { .. } => declared(source).is_empty(),
        Outcome::VariablesLost(_) | Outcome::Died { .. } => false,
    }
}

fn kernel_gone(error: std::io::Error) -> Failure {
    Failure::Internal {
        message: format!("the kernel is gone: {error}"),
    }
}

pub(super) fn bundle(outputs: EvalOutputs) -> MimeBundle {
    let entries = outputs.content_by_mime_type.into_iter();
    MimeBundle(
        entries
            .map(|(mime, text)| (mime, Value::String(text)))
            .collect(),
    )
}
