//! The loop around the evaluator for analysis: one request at a time.

use super::Question;
use crate::run::Programs;
use phalanx_evaluator::{Evaluator, EvaluatorNotice};
use phalanx_protocol::evaluator::{
    Answer, EvaluatorEvent, EvaluatorRequest, NamespaceKind, RequestId,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use std::collections::VecDeque;
use tokio::sync::mpsc;

pub(super) async fn run(programs: Programs, questions: mpsc::UnboundedReceiver<Question>) {
    let mut actor = Actor {
        programs,
        questions,
        waiting: VecDeque::new(),
        process: None,
        requests: 0,
    };
    while let Some(question) = actor.next_question().await {
        if question.reply.is_closed() {
            continue;
        }
        match actor.answer(&question).await {
            // Who asked may have stopped waiting.
            Ok(answer) => drop(question.reply.send(answer)),
            Err(Ending) => return,
        }
    }
}

struct Actor {
    programs: Programs,
    questions: mpsc::UnboundedReceiver<Question>,
    /// Questions that came while another was worked on.
    waiting: VecDeque<Question>,
    process: Option<Process>,
    requests: u64,
}

struct Process {
    evaluator: Evaluator,
    notices: mpsc::UnboundedReceiver<EvaluatorNotice>,
    /// The dependencies it was told of.
    dependencies: Vec<String>,
}

/// The kernel ends.
struct Ending;

impl Actor {
    async fn next_question(&mut self) -> Option<Question> {
        match self.waiting.pop_front() {
            Some(question) => Some(question),
            None => self.questions.recv().await,
        }
    }

    async fn answer(&mut self, question: &Question) -> Result<Option<Answer>, Ending> {
        if self.process.is_none() && !self.start().await? {
            return Ok(None);
        }
        for line in &question.dependencies {
            let known = |process: &Process| process.dependencies.contains(line);
            if self.process.as_ref().is_some_and(known) {
                continue;
            }
            let source = line.clone();
            let told = self.request(|id| EvaluatorRequest::Evaluate { id, source });
            if told.await?.is_none() {
                return Ok(None);
            }
            // One that cannot be had was refused in the session too.
            if let Some(process) = &mut self.process {
                process.dependencies.push(line.clone());
            }
        }
        let analysis = question.analysis.clone();
        let answer = self.request(|id| analysis.request(id)).await?;
        Ok(answer.and_then(Result::ok))
    }

    /// Starts a process, and waits until it is of use; whether it is.
    async fn start(&mut self) -> Result<bool, Ending> {
        let config = self.programs.evaluator(NamespaceKind::Local);
        match Evaluator::start(config).await {
            Ok((evaluator, notices)) => {
                self.process = Some(Process {
                    evaluator,
                    notices,
                    dependencies: Vec::new(),
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no evaluator for analysis");
                return Ok(false);
            }
        }
        loop {
            match self.hear().await? {
                Some(EvaluatorEvent::Ready(_)) => return Ok(true),
                Some(EvaluatorEvent::StartFailed { failure }) => {
                    tracing::warn!(?failure, "no evaluator for analysis");
                    self.process = None;
                    return Ok(false);
                }
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }

    /// Sends a request and waits for its answer; `None` when the process has ended over it.
    async fn request(
        &mut self,
        request: impl FnOnce(RequestId) -> EvaluatorRequest,
    ) -> Result<Option<Result<Answer, Failure>>, Ending> {
        self.requests += 1;
        let id = RequestId(self.requests);
        if let Some(process) = &self.process {
            process.evaluator.send(request(id));
        }
        loop {
            match self.hear().await? {
                Some(EvaluatorEvent::Answer { id: of, result }) if of == id => {
                    return Ok(Some(result));
                }
                Some(EvaluatorEvent::Run(_)) => {
                    // What a command compiles is run nowhere.
                    let outcome = Outcome::Completed;
                    if let Some(process) = &self.process {
                        process.evaluator.send(EvaluatorRequest::Ran { outcome });
                    }
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next event of the process; `None` when it has ended.
    async fn hear(&mut self) -> Result<Option<EvaluatorEvent>, Ending> {
        loop {
            let Some(process) = &mut self.process else {
                return Ok(None);
            };
            tokio::select! {
                question = self.questions.recv() => match question {
                    Some(question) => self.waiting.push_back(question),
                    None => return Err(Ending),
                },
                notice = process.notices.recv() => match notice {
                    Some(EvaluatorNotice::Event(event)) => return Ok(Some(event)),
                    Some(EvaluatorNotice::Progress(_)) => {}
                    Some(EvaluatorNotice::Exited { status, .. }) => {
                        tracing::warn!(status, "the evaluator for analysis has ended");
                        self.process = None;
                    }
                    None => self.process = None,
                },
            }
        }
    }
}
