//! The iopub channel: everything that is published, whoever causes it.

use super::log_send;
use super::request::{Requester, envelope};
use bytes::Bytes;
use phalanx_protocol::jupyter::{ExecutionState, IoPubWelcome, JupyterMessageContent, Status};
use phalanx_transport::{CloseError, Envelope, Sender, Session};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// A comm message to the frontends.
#[derive(Debug)]
pub struct Publication {
    /// The request that caused it.
    pub cause: Requester,
    /// The message.
    pub content: JupyterMessageContent,
    /// Open by protocol.
    pub metadata: Map<String, Value>,
    /// Raw frames.
    pub buffers: Vec<Bytes>,
}

/// Publishes on the iopub channel. Clones share it.
#[derive(Clone, Debug)]
pub struct IoPub {
    session: Arc<Session>,
    sender: Sender,
}

impl IoPub {
    pub(super) fn new(session: Arc<Session>, sender: Sender) -> Self {
        Self { session, sender }
    }

    /// Publishes what a request has caused; waits while frontends do not read.
    pub async fn publish(&self, cause: &Requester, content: JupyterMessageContent) {
        let message = cause.envelope(&self.session, &content);
        self.send(message).await;
    }

    /// Publishes a message with frames of its own.
    pub async fn publish_comm(&self, publication: Publication) {
        let mut message = publication
            .cause
            .envelope(&self.session, &publication.content);
        message.metadata = publication.metadata;
        message.buffers = publication.buffers;
        self.send(message).await;
    }

    /// Says that the kernel is starting, which no request has caused.
    pub(super) async fn starting(&self) {
        let content = status(ExecutionState::Starting);
        self.send(envelope(&self.session, &content, None)).await;
    }

    /// Welcomes a subscriber under the topic it has subscribed to.
    pub(super) async fn welcome(&self, welcome: IoPubWelcome) {
        let topic = Bytes::from(welcome.subscription.clone());
        let message = envelope(&self.session, &welcome.into(), None);
        self.send_under(topic, message).await;
    }

    pub(super) async fn close(&self, limit: Duration) -> Result<(), CloseError> {
        self.sender.close(limit).await
    }

    async fn send(&self, message: Envelope) {
        // Frontends subscribe to all topics.
        let topic = Bytes::from(message.header.msg_type.clone());
        self.send_under(topic, message).await;
    }

    async fn send_under(&self, topic: Bytes, mut message: Envelope) {
        message.identities = vec![topic];
        match message.seal(self.session.key()) {
            Ok(frames) => log_send(self.sender.send(frames).await),
            Err(error) => tracing::error!(%error, "a message could not be encoded"),
        }
    }
}

/// A `status` message.
pub fn status(execution_state: ExecutionState) -> JupyterMessageContent {
    Status { execution_state }.into()
}
