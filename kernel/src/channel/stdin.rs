//! The stdin channel: cells' requests for lines of input.

use super::request::Requester;
use phalanx_protocol::jupyter::{InputReply, InputRequest};
use phalanx_transport::{Envelope, Sender, Session};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Sends input requests to frontends. Clones share it.
#[derive(Clone, Debug)]
pub struct StdinRequests {
    session: Arc<Session>,
    sender: Sender,
    /// Locked for a lookup or a change.
    questions: Arc<Mutex<Vec<PendingInput>>>,
}

/// Sends input requests to the frontend of one cell, if it accepts them.
#[derive(Clone, Debug)]
pub struct InputPrompter {
    input: StdinRequests,
    cause: Requester,
    allowed: bool,
}

/// The outcome of an input request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputOutcome {
    /// A line of input.
    Line(String),
    /// End of input.
    End,
    /// The frontend does not accept input requests or is disconnected.
    Refused,
}

/// The value that jupyter_console sends for Ctrl-D.
const END: &str = "\u{4}";

impl InputPrompter {
    /// Creates the prompter of a request; `allowed` is the value of its `allow_stdin`.
    pub fn new(input: StdinRequests, cause: Requester, allowed: bool) -> Self {
        Self {
            input,
            cause,
            allowed,
        }
    }

    /// Sends an input request and waits for the reply. Dropping the future withdraws the request.
    pub async fn ask(&self, prompt: String, password: bool) -> InputOutcome {
        if !self.allowed {
            return InputOutcome::Refused;
        }
        match self.input.ask(&self.cause, prompt, password).await {
            Some(line) if line == END => InputOutcome::End,
            Some(line) => InputOutcome::Line(line),
            None => InputOutcome::Refused,
        }
    }
}

/// An input request without a reply.
#[derive(Debug)]
struct PendingInput {
    msg_id: String,
    /// The identities of the peer it was sent to.
    identities: Vec<bytes::Bytes>,
    reply: oneshot::Sender<String>,
}

/// Removes its input request on drop.
struct PendingInputGuard<'a> {
    input: &'a StdinRequests,
    msg_id: String,
}

impl StdinRequests {
    pub(super) fn new(session: Arc<Session>, sender: Sender) -> Self {
        Self {
            session,
            sender,
            questions: Arc::default(),
        }
    }

    /// Sends an input request to the peer of `cause` and waits for the reply, without a time limit.
    /// Dropping the future withdraws the request. Returns `None` if it cannot be sent.
    async fn ask(&self, cause: &Requester, prompt: String, password: bool) -> Option<String> {
        let content = InputRequest { prompt, password };
        let message = cause.envelope(&self.session, &content.into());
        let msg_id = message.header.msg_id.clone();
        let (reply, replied) = oneshot::channel();
        self.questions().push(PendingInput {
            msg_id: msg_id.clone(),
            identities: message.identities.clone(),
            reply,
        });
        let _pending = PendingInputGuard {
            input: self,
            msg_id,
        };
        let frames = match message.seal(self.session.key()) {
            Ok(frames) => frames,
            Err(error) => {
                tracing::error!(%error, "an input request could not be encoded");
                return None;
            }
        };
        if let Err(error) = self.sender.send(frames).await {
            tracing::warn!(%error, "an input request could not be sent");
            return None;
        }
        replied.await.ok()
    }

    /// Handles an `input_reply`: it belongs to the request it names, else to the oldest one sent to
    /// that peer (jupyter_client names none).
    pub(super) fn replied(&self, reply: Envelope) {
        if reply.header.msg_type != "input_reply" {
            tracing::debug!(msg_type = reply.header.msg_type, "not an input_reply");
            return;
        }
        let value = match reply.content::<InputReply>() {
            Ok(reply) => reply.value,
            Err(error) => {
                tracing::warn!(%error, "an input_reply is malformed");
                return;
            }
        };
        let named = reply.parent_header.as_ref().map(|parent| &parent.msg_id);
        let mut questions = self.questions();
        let found = questions
            .iter()
            .position(|question| Some(&question.msg_id) == named)
            .or_else(|| {
                let mut pending = questions.iter();
                pending.position(|question| question.identities == reply.identities)
            });
        match found {
            // The receiver may have been dropped.
            Some(at) => drop(questions.remove(at).reply.send(value)),
            None => tracing::debug!("dropped input that no cell waits for"),
        }
    }

    fn questions(&self) -> MutexGuard<'_, Vec<PendingInput>> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingInputGuard<'_> {
    fn drop(&mut self) {
        let mut questions = self.input.questions();
        questions.retain(|question| question.msg_id != self.msg_id);
    }
}
