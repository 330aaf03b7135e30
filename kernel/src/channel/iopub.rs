//! The iopub channel, on which outputs, statuses and comm messages are published.

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
    /// The request that caused it, its parent.
    pub cause: Requester,
    /// The content.
    pub content: JupyterMessageContent,
    /// The metadata, which the protocol leaves open.
    pub metadata: Map<String, Value>,
    /// The binary buffers.
    pub buffers: Vec<Bytes>,
}

/// A handle that publishes on the iopub channel. Clones share it.
#[derive(Clone, Debug)]
pub struct IoPub {
    session: Arc<Session>,
    sender: Sender,
}

impl IoPub {
    pub(super) fn new(session: Arc<Session>, sender: Sender) -> Self {
        Self { session, sender }
    }

    /// Publishes a message caused by a request; waits while frontends do not read.
    pub async fn publish(&self, cause: &Requester, content: JupyterMessageContent) {
        let message = cause.envelope(&self.session, &content);
        self.send(message).await;
    }

    /// Publishes a comm message with its buffers.
    pub async fn publish_comm(&self, publication: Publication) {
        let mut message = publication
            .cause
            .envelope(&self.session, &publication.content);
        message.metadata = publication.metadata;
        message.buffers = publication.buffers;
        self.send(message).await;
    }

    /// Publishes `starting`, which has no parent.
    pub(super) async fn starting(&self) {
        let content = status(ExecutionState::Starting);
        self.send(envelope(&self.session, &content, None)).await;
    }

    /// Sends `iopub_welcome` under the subscribed topic (JEP 65).
    pub(super) async fn welcome(&self, welcome: IoPubWelcome) {
        let topic = Bytes::from(welcome.subscription.clone());
        let message = envelope(&self.session, &welcome.into(), None);
        self.send_under(topic, message).await;
    }

    pub(super) async fn close(&self, limit: Duration) -> Result<(), CloseError> {
        self.sender.close(limit).await
    }

    async fn send(&self, message: Envelope) {
        // Frontends subscribe to all topics, so the message type serves as one.
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

/// Returns a `status` message.
pub fn status(execution_state: ExecutionState) -> JupyterMessageContent {
    Status { execution_state }.into()
}
