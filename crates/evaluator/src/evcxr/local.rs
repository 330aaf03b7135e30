//! The kernel's own namespace: cells run as they are compiled, and evcxr hears how each ended.

use super::diagnostics;
use super::prelude::is_hidden;
use super::relay::{Answering, Relay};
use super::source::{Prepared, prepare};
use super::variables::{self, Variables};
use crate::process::{Evaluate, Work};
use evcxr::{CommandContext, Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{
    Answer, Completion, Completions, Documentation, Evaluated, EvaluatorRequest, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::runtime::Outcome;
use serde_json::Value;

/// What evcxr says of a name it knows nothing of.
const NO_DOCUMENTATION: &str = "No documentation found";

pub(super) struct Local {
    pub(super) relay: Relay,
    pub(super) toolchain: Toolchain,
    pub(super) context: Context,
}

/// evcxr's context, which can be warmed up until its first cell.
pub(super) enum Context {
    Fresh(Box<EvalContext>),
    Used(Box<CommandContext>),
    /// Between the two.
    Moving,
}

impl Evaluate for Local {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn warm_up(&mut self) {
        if let Context::Fresh(context) = &mut self.context {
            super::start::warm_up(context, &self.relay);
        }
    }

    fn answer(&mut self, work: Work) -> Result<Answer, Failure> {
        match work {
            EvaluatorRequest::Evaluate { source, .. } => self.evaluate(&source),
            EvaluatorRequest::Complete { source, offset, .. } => Ok(self.complete(&source, offset)),
            EvaluatorRequest::Inspect { source, offset, .. } => Ok(self.inspect(&source, offset)),
            other => Err(Failure::Internal {
                message: format!("the local evaluator does not answer {other:?}"),
            }),
        }
    }
}

impl Local {
    fn context(&mut self) -> &mut CommandContext {
        if !matches!(self.context, Context::Used(_)) {
            let used = match std::mem::replace(&mut self.context, Context::Moving) {
                Context::Fresh(context) => CommandContext::with_eval_context(*context),
                Context::Used(context) => *context,
                Context::Moving => unreachable!("a context is moved in one step"),
            };
            self.context = Context::Used(Box::new(used));
        }
        match &mut self.context {
            Context::Used(context) => context,
            _ => unreachable!("it was just made so"),
        }
    }

    fn evaluate(&mut self, source: &str) -> Result<Answer, Failure> {
        let prepared = prepare(source);
        let before = self.variables();
        let mut result = self.execute(&prepared);
        if result.is_err() && prepared.text != source {
            // Types whose `evcxr_display` takes them by value are not found behind a reference.
            if let Err(Error::CompilationErrors(_)) = &result {
                let plain = Prepared::unchanged(source);
                if let Ok(outputs) = self.execute(&plain) {
                    result = Ok(outputs);
                }
            }
        }
        let command_output = match result {
            Ok(outputs) => bundle(outputs),
            // The kernel knows: it ran the cell.
            Err(Error::SubprocessTerminated(_))
                if matches!(self.relay.outcome(), Some(Outcome::Died { .. })) =>
            {
                MimeBundle::default()
            }
            Err(error) => return Err(diagnostics::failure(error, &prepared)),
        };
        let variables = self.variables();
        let outcome = self.relay.outcome();
        let moved = variables::moved(&before, &variables, outcome.as_ref());
        Ok(Answer::Evaluated(Evaluated {
            command_output,
            variables,
            moved,
        }))
    }

    fn variables(&mut self) -> Variables {
        variables::shown(self.context().variables_and_types())
    }

    fn execute(&mut self, source: &Prepared) -> Result<EvalOutputs, Error> {
        self.relay.expect(Answering::Run, source);
        self.context().execute(&source.text)
    }

    fn complete(&mut self, source: &str, offset: usize) -> Answer {
        // Outside user code (in a comment, behind the end) there is nothing to complete.
        let found = self.context().completions(source, offset);
        let completions = found.map_or_else(
            |_| Completions {
                start: offset,
                end: offset,
                items: Vec::new(),
            },
            |found| Completions {
                start: found.start_offset,
                end: found.end_offset,
                items: found
                    .completions
                    .into_iter()
                    .filter(|completion| !is_hidden(&completion.code))
                    .map(|completion| Completion {
                        code: completion.code,
                        kind: completion.kind.to_owned(),
                        label: completion.label,
                    })
                    .collect(),
            },
        );
        Answer::Completions(completions)
    }

    fn inspect(&mut self, source: &str, offset: usize) -> Answer {
        let offset = (0..=offset.min(source.len()))
            .rev()
            .find(|at| source.is_char_boundary(*at));
        let found = self.context().hover_at(source, offset.unwrap_or(0)).ok();
        Answer::Inspected(
            found
                .filter(|(plain, _)| plain != NO_DOCUMENTATION)
                .map(|(plain, html)| Documentation { plain, html }),
        )
    }
}

fn bundle(outputs: EvalOutputs) -> MimeBundle {
    let entries = outputs.content_by_mime_type.into_iter();
    MimeBundle(
        entries
            .map(|(mime, text)| (mime, Value::String(text)))
            .collect(),
    )
}
