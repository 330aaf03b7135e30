//! Completion and inspection, by the analysis process.

mod position;

pub use position::CellPosition;

use crate::context::Programs;
use phalanx_analysis::handle::AnalysisProcess;
use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest, Completions, Documentation};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The longest that somebody who types waits; then what is known without the process has to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same before the first answer, while everything is being loaded.
const FIRST_PATIENCE: Duration = Duration::from_secs(12);

/// The handle on the analysis process; clones share it. The process ends with the last clone.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Missing where it could not be started.
    process: Option<AnalysisProcess>,
    /// True once there was an answer.
    has_answered: Arc<AtomicBool>,
}

impl Analysis {
    /// Starts the process; answers the programs that are to ask it, too.
    pub fn start(programs: &Programs) -> (Self, Programs, JoinHandle<()>) {
        match AnalysisProcess::start(programs.analysis()) {
            Ok((process, task)) => {
                let programs = programs.clone().asking(process.socket().to_owned());
                (Self::new(Some(process)), programs, task)
            }
            Err(error) => {
                tracing::warn!(%error, "there is no analysis process");
                // Ends when it begins.
                let nothing = tokio::spawn(std::future::ready(()));
                (Self::new(None), programs.clone(), nothing)
            }
        }
    }

    fn new(process: Option<AnalysisProcess>) -> Self {
        Self {
            process,
            has_answered: Arc::default(),
        }
    }

    /// Returns what may stand at a place; `None` when that is not known in time.
    pub async fn complete(&self, place: CellPosition) -> Option<Completions> {
        let CellPosition { cell, offset } = place;
        match self.ask(AnalysisRequest::Complete { cell, offset }).await {
            Some(AnalysisReply::Completions(completions)) => Some(completions),
            _ => None,
        }
    }

    /// Returns what is known of the name at a place.
    pub async fn inspect(&self, place: CellPosition) -> Option<Documentation> {
        let CellPosition { cell, offset } = place;
        match self.ask(AnalysisRequest::Inspect { cell, offset }).await {
            Some(AnalysisReply::Inspected(documentation)) => documentation,
            _ => None,
        }
    }

    async fn ask(&self, request: AnalysisRequest) -> Option<AnalysisReply> {
        let process = self.process.as_ref()?;
        let patience = match self.has_answered.load(Ordering::Relaxed) {
            true => PATIENCE,
            false => FIRST_PATIENCE,
        };
        let answer = tokio::time::timeout(patience, process.ask(&request));
        let answer = answer.await.ok().flatten()?;
        self.has_answered.store(true, Ordering::Relaxed);
        Some(answer)
    }
}
