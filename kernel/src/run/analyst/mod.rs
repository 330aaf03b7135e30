//! An evaluator for analysis alone: completes and explains while the one for local cells is busy.
//!
//! It compiles no cell. What the session has run stands, as text, before what is asked about; only
//! the dependencies are told to it beforehand.

mod actor;
pub mod context;

use super::Programs;
use super::local::Analysis;
use phalanx_protocol::evaluator::Answer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The handle on the evaluator for analysis; clones share it. Its process ends with the last clone,
/// and starts with the first question.
#[derive(Clone, Debug)]
pub struct Analyst {
    /// Unbounded: a user's key strokes.
    questions: mpsc::UnboundedSender<Question>,
}

#[derive(Debug)]
struct Question {
    /// The `:dep` lines of the session so far.
    dependencies: Vec<String>,
    analysis: Analysis,
    reply: oneshot::Sender<Option<Answer>>,
}

impl Analyst {
    /// Starts no process yet.
    pub fn new(programs: Programs) -> (Self, JoinHandle<()>) {
        let (questions, received) = mpsc::unbounded_channel();
        // Ends when the last handle is gone.
        let task = tokio::spawn(actor::run(programs, received));
        (Self { questions }, task)
    }

    /// Answers a question about a text in which the session's dependencies may be used; `None` when
    /// there is no evaluator for it.
    pub async fn ask(&self, dependencies: Vec<String>, analysis: Analysis) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let question = Question {
            dependencies,
            analysis,
            reply,
        };
        // The actor ends only with the kernel; then nobody waits for an answer any more.
        let _ = self.questions.send(question);
        answer.await.ok().flatten()
    }
}
