//! The messages to be sent, on tasks of their own.

use crate::connect::Sockets;
use crate::error::TaskError;
use crate::state::StateEvent;
use crate::state::message::{OutgoingContent, OutgoingMessage};
use crate::state::segments::SentArguments;
use crate::wire::{self, EnclosedParts};
use bytes::Bytes;
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_sys::segment;
use phalanx_transport::socket;
use phalanx_transport::{Sender, Session};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The queue of messages for a socket.
type Outbox = mpsc::UnboundedSender<OutgoingMessage>;

/// The queues of all sockets.
pub(super) struct Outboxes {
    mux: Outbox,
    control: Outbox,
    /// The scheduler's socket.
    task: Outbox,
}

/// The tasks that send the messages of all queues.
pub(super) struct Forwarding {
    tasks: JoinSet<()>,
    /// The messages that could not be sent.
    pub failures: mpsc::UnboundedReceiver<StateEvent>,
    ending: CancellationToken,
}

impl Outboxes {
    /// Starts to send what is put into the queues.
    pub fn open(sockets: &Sockets, session: &Session) -> (Self, Forwarding) {
        let mut tasks = JoinSet::new();
        let ending = CancellationToken::new();
        // Both unbounded: they contain the user's requests, and at most one failure for each.
        let (failed, failures) = mpsc::unbounded_channel();
        // Without the probe, engines send large values inline.
        let probe = segment::create(b"phalanx").ok();
        let mut outbox = |socket: &Sender| -> Outbox {
            let (outbox, queue) = mpsc::unbounded_channel();
            tasks.spawn(forward(
                queue,
                socket.clone(),
                session.clone(),
                probe.clone(),
                failed.clone(),
                ending.clone(),
            ));
            outbox
        };
        let outboxes = Self {
            mux: outbox(&sockets.mux.0),
            control: outbox(&sockets.control.0),
            task: outbox(&sockets.task.0),
        };
        let forwarding = Forwarding {
            tasks,
            failures,
            ending,
        };
        (outboxes, forwarding)
    }

    /// Queues a message for the socket of its kind.
    pub fn send(&self, outgoing: OutgoingMessage) {
        let outbox = match outgoing.body {
            _ if outgoing.engine.is_none() => &self.task,
            OutgoingContent::Work { .. } | OutgoingContent::KernelInfo => &self.mux,
            OutgoingContent::Control(_) => &self.control,
        };
        // The forwarding task runs until the loop ends.
        let _ = outbox.send(outgoing);
    }
}

impl Forwarding {
    /// Waits until the remaining messages are sent, at most for [`socket::SEND_LIMIT`].
    pub async fn finish(mut self, outboxes: Outboxes) {
        drop(outboxes);
        self.ending.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Sends messages in order, on a task of its own, so that a peer that does not read delays nothing
/// else.
async fn forward(
    mut queue: mpsc::UnboundedReceiver<OutgoingMessage>,
    socket: Sender,
    session: Session,
    probe: Option<Segment>,
    failed: mpsc::UnboundedSender<StateEvent>,
    ending: CancellationToken,
) {
    while let Some(outgoing) = queue.recv().await {
        let stalled = async {
            ending.cancelled().await;
            tokio::time::sleep(socket::SEND_LIMIT).await;
        };
        let sent = tokio::select! {
            sent = send(&outgoing, &socket, &session, probe.as_ref()) => sent,
            // Nor will the rest be read in time.
            () = stalled => return,
        };
        if let Err(error) = sent {
            for msg_id in outgoing.ids().cloned() {
                let error = error.clone();
                // The loop may have ended.
                let _ = failed.send(StateEvent::SendFailed { msg_id, error });
            }
        }
    }
}

async fn send(
    outgoing: &OutgoingMessage,
    socket: &Sender,
    session: &Session,
    probe: Option<&Segment>,
) -> Result<(), TaskError> {
    let mut enclosed = enclosed(&outgoing.body).await?;
    enclosed.probe = probe.cloned();
    let frames = wire::request(outgoing, session, enclosed)
        .seal(session.key())
        .map_err(unsent)?;
    socket.send(frames).await.map_err(unsent)
}

fn unsent(error: impl std::error::Error) -> TaskError {
    TaskError::Unsent {
        reason: error.to_string(),
    }
}

/// Reads the artifacts that are sent with a message.
async fn enclosed(body: &OutgoingContent) -> Result<EnclosedParts, TaskError> {
    let OutgoingContent::Work { work, buffers, .. } = body else {
        return Ok(EnclosedParts::default());
    };
    let mut artifacts = Vec::new();
    for &index in buffers {
        let Some((hash, path)) = work.artifacts().get(index) else {
            return Err(TaskError::NoArtifact(index));
        };
        let bytes = tokio::fs::read(path)
            .await
            .map_err(|error| TaskError::Artifact {
                path: path.clone(),
                hash: hash.clone(),
                reason: error.to_string(),
            })?;
        artifacts.push(Bytes::from(bytes));
    }
    let args = match body.arguments() {
        None => Payload::default(),
        Some(SentArguments::Unchanged(args)) => args,
        Some(SentArguments::Inline(args)) => segment::resolve_arguments(args)
            .map(Payload::Inline)
            .map_err(|error| TaskError::Arguments {
                reason: error.to_string(),
            })?,
    };
    Ok(EnclosedParts {
        artifacts,
        args,
        probe: None,
    })
}
