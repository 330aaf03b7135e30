//! Building what every notebook begins with, so that the first cell need not wait for it.

use crate::run::Programs;
use anyhow::{Context, bail};
use phalanx_evaluator::{Backend, Evaluator, EvaluatorNotice};
use phalanx_protocol::evaluator::{EvaluatorEvent, NamespaceKind};
use phalanx_protocol::failure::Failure;

/// Starts an evaluator and waits until it is ready: its build folder is kept.
///
/// # Errors
/// When it does not start: no toolchain, no room.
pub(super) fn prepare(backend: Backend) -> anyhow::Result<()> {
    let programs =
        Programs::current(backend).context("the system does not say which program this is")?;
    super::serving()?.block_on(async {
        let config = programs.evaluator(NamespaceKind::Local);
        let (_evaluator, mut notices) = Evaluator::start(config).await?;
        while let Some(notice) = notices.recv().await {
            match notice {
                EvaluatorNotice::Event(EvaluatorEvent::Ready(_)) => return Ok(()),
                EvaluatorNotice::Event(EvaluatorEvent::StartFailed { failure }) => {
                    bail!(words(failure));
                }
                EvaluatorNotice::Event(_) => {}
                EvaluatorNotice::Progress(line) => println!("{line}"),
                EvaluatorNotice::Exited { status, last_words } => bail!("{status}\n{last_words}"),
            }
        }
        bail!("the evaluator ended without a word")
    })
}

fn words(failure: Failure) -> String {
    let report = crate::report::report(&failure.into());
    let mut text = report.evalue;
    for line in report.traceback.iter().skip(1) {
        text.push('\n');
        text.push_str(line);
    }
    text
}
