//! A trial evaluator, independent of any notebook: builds the library that every cell uses, and
//! checks that a cell compiles.

use crate::context::Programs;
use anyhow::{Context, bail};
use phalanx_evaluator::{Backend, Evaluator, EvaluatorMessage};
use phalanx_protocol::evaluator::{EvaluatorEvent, EvaluatorRequest, NamespaceKind, RequestId};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A cell whose variable's type is inferred from the standard library's source.
const CELL: &str = "let phalanx_trial: usize = vec![1].len();";

/// Builds the library that every notebook uses, and returns the time taken; the build is kept.
///
/// # Errors
/// Returns an error if the evaluator does not start: no toolchain, or no disk space.
pub(super) fn build_library(
    backend: Backend,
    progress: impl FnMut(&str),
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    super::serving()?.block_on(async {
        Trial::start(backend, progress).await?;
        Ok(begun.elapsed())
    })
}

/// Compiles a cell without running it, and returns the time since the start of the evaluator.
///
/// # Errors
/// Returns an error if the evaluator does not start or the cell does not compile.
pub(super) fn compile_cell(
    backend: Backend,
    progress: impl FnMut(&str),
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    super::serving()?.block_on(async {
        let mut trial = Trial::start(backend, progress).await?;
        trial.compile().await?;
        Ok(begun.elapsed())
    })
}

struct Trial<P> {
    evaluator: Evaluator,
    messages: mpsc::UnboundedReceiver<EvaluatorMessage>,
    progress: P,
}

impl<P: FnMut(&str)> Trial<P> {
    async fn start(backend: Backend, progress: P) -> anyhow::Result<Self> {
        let programs = Programs::current(backend).context("the path of this program is unknown")?;
        let started = Evaluator::start(programs.evaluator(NamespaceKind::Local)).await;
        let (evaluator, messages) = match started {
            Ok(started) => started,
            Err(error) => bail!("{error}\n{}", error.remedy()),
        };
        let mut trial = Self {
            evaluator,
            messages,
            progress,
        };
        loop {
            match trial.event().await? {
                EvaluatorEvent::Ready(_) => return Ok(trial),
                EvaluatorEvent::StartFailed { failure } => bail!(text_of(failure)),
                EvaluatorEvent::Run(_) | EvaluatorEvent::Reply { .. } => {}
            }
        }
    }

    async fn compile(&mut self) -> anyhow::Result<()> {
        self.evaluator.send(EvaluatorRequest::Evaluate {
            id: RequestId(1),
            source: CELL.to_owned(),
        });
        loop {
            match self.event().await? {
                EvaluatorEvent::Run(_) => self.evaluator.send(EvaluatorRequest::Ran {
                    outcome: Outcome::Completed,
                }),
                EvaluatorEvent::Reply { result, .. } => {
                    return result
                        .map(drop)
                        .map_err(|failure| anyhow::anyhow!(text_of(failure)));
                }
                EvaluatorEvent::Ready(_) | EvaluatorEvent::StartFailed { .. } => {}
            }
        }
    }

    /// Waits for the evaluator's next event, and reports the progress of a build.
    async fn event(&mut self) -> anyhow::Result<EvaluatorEvent> {
        while let Some(message) = self.messages.recv().await {
            match message {
                EvaluatorMessage::Event(event) => return Ok(event),
                EvaluatorMessage::Progress(line) => (self.progress)(line.trim()),
                EvaluatorMessage::Exited {
                    status,
                    last_output,
                } => bail!("{status}\n{last_output}"),
            }
        }
        bail!("the evaluator ended unexpectedly")
    }
}

fn text_of(failure: Failure) -> String {
    let report = crate::report::report(&failure.into());
    let mut text = report.evalue;
    for line in report.traceback.iter().skip(1) {
        text.push('\n');
        text.push_str(line);
    }
    text
}
