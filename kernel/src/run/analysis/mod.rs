//! Completion and inspection, by the analysis process.

mod position;
mod scoped;

pub use position::CellPosition;
pub use scoped::ScopedAnalysis;

use crate::context::Programs;
use phalanx_analysis::handle::AnalysisProcess;
use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest, Completions, Documentation};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Time limit of a completion, which is requested while the user types; then names known without
/// the process are offered.
const REQUEST_LIMIT: Duration = Duration::from_secs(1);

/// Time limit before the first reply, while the standard library is loaded, and of an inspection:
/// for the first name that is not in scope, all crates are indexed.
const LONG_REQUEST_LIMIT: Duration = Duration::from_secs(12);

/// A handle on the analysis process. Clones share it; the process ends with the last one.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// `None` if the process could not be started.
    process: Option<AnalysisProcess>,
    /// True after the first reply.
    has_answered: Arc<AtomicBool>,
}

impl Analysis {
    /// Starts the process; also returns the programs, configured to use it.
    pub fn start(programs: &Programs) -> (Self, Programs, JoinHandle<()>) {
        match AnalysisProcess::start(programs.analysis()) {
            Ok((process, task)) => {
                let programs = programs.clone().asking(process.socket().to_owned());
                (Self::new(Some(process)), programs, task)
            }
            Err(error) => {
                tracing::warn!(%error, "there is no analysis process");
                // Ends at once.
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

    /// Returns the completions at a position; `None` if the time limit is exceeded.
    pub async fn complete(&self, position: CellPosition) -> Option<Completions> {
        let CellPosition { cell, offset } = position;
        let request = AnalysisRequest::Complete { cell, offset };
        let limit = match self.has_answered.load(Ordering::Relaxed) {
            true => REQUEST_LIMIT,
            false => LONG_REQUEST_LIMIT,
        };
        match self.ask(request, limit).await {
            Some(AnalysisReply::Completions(completions)) => Some(completions),
            _ => None,
        }
    }

    /// Returns the documentation of the name at a position; `None` if the time limit is exceeded.
    pub async fn inspect(&self, position: CellPosition) -> Option<Documentation> {
        let CellPosition { cell, offset } = position;
        let request = AnalysisRequest::Inspect { cell, offset };
        match self.ask(request, LONG_REQUEST_LIMIT).await {
            Some(AnalysisReply::Inspected(documentation)) => documentation,
            _ => None,
        }
    }

    async fn ask(&self, request: AnalysisRequest, limit: Duration) -> Option<AnalysisReply> {
        let process = self.process.as_ref()?;
        let reply = tokio::time::timeout(limit, process.ask(&request));
        let reply = reply.await.ok().flatten()?;
        self.has_answered.store(true, Ordering::Relaxed);
        Some(reply)
    }
}
