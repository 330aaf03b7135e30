//! The iopub channel: everything that is published, whoever causes it.

use super::log_send;
use super::request::{Requester, envelope};
use bytes::Bytes;
use phalanx_protocol::jupyter::{ExecutionState, IoPubWelcome, JupyterMessageContent, Status};
use phalanx_transport::{CloseError, Envelope, Sender, Session};
use std::sync::Arc;
use std::time::Duration;

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

    /// Says that the kernel is starting, which no request has caused.
    pub async fn starting(&self) {
        let content = status(ExecutionState::Starting);
        self.send(envelope(&self.session, &content, None)).await;
    }

    pub(super) fn welcome(&self, welcome: IoPubWelcome) {
        let topic = Bytes::from(welcome.subscription.clone());
        let mut message = envelope(&self.session, &welcome.into(), None);
        message.identities = vec![topic];
        match message.seal(self.session.key()) {
            Ok(frames) => log_send(self.sender.try_send(frames)),
            Err(error) => tracing::error!(%error, "a welcome could not be encoded"),
        }
    }

    pub(super) async fn close(&self, limit: Duration) -> Result<(), CloseError> {
        self.sender.close(limit).await
    }

    async fn send(&self, mut message: Envelope) {
        // The topic; frontends subscribe to all.
        message.identities = vec![Bytes::from(message.header.msg_type.clone())];
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
