//! The request channels by which handles reach the kernel's actors: tasks that own state and serve
//! requests. The actors themselves are beside what they own (`actor.rs` in several folders).

use phalanx_protocol::failure::{Failure, FailureKind};
use tokio::sync::{mpsc, oneshot};

/// The sending end of an actor's request channel. Clones share it; the actor ends with the last
/// one.
///
/// Unbounded: its rate is that of users' requests.
#[derive(Debug)]
pub struct RequestSender<R>(mpsc::UnboundedSender<R>);

impl<R> RequestSender<R> {
    /// Creates a request channel.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<R>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Sends a request without a reply.
    pub fn send(&self, request: R) {
        // The actor ends only with the kernel, when no reply is needed any more.
        let _ = self.0.send(request);
    }

    /// Sends a request and waits for its reply; `None` if the actor has ended.
    pub async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> R) -> Option<T> {
        let (reply, replied) = oneshot::channel();
        self.send(request(reply));
        replied.await.ok()
    }

    /// Sends a fallible request and waits for its reply.
    ///
    /// # Errors
    /// Returns the request's own failure, or an error if the kernel is ending.
    pub async fn attempt<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> R,
    ) -> Result<T, Failure> {
        self.ask(request).await.unwrap_or_else(|| Err(ending()))
    }
}

/// Returns the failure of a request made while the kernel is ending.
pub fn ending() -> Failure {
    Failure::new(FailureKind::Environment, "the kernel is ending", None)
}

impl<R> Clone for RequestSender<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Request {
        Number(oneshot::Sender<Result<u32, Failure>>),
    }

    #[tokio::test]
    async fn a_request_to_an_ended_actor_fails() {
        let (requests, mut received) = RequestSender::new();
        let serving = async {
            let Some(Request::Number(reply)) = received.recv().await else {
                panic!("no request");
            };
            reply.send(Ok(7)).unwrap();
        };
        let (replied, ()) = tokio::join!(requests.attempt(Request::Number), serving);
        assert_eq!(replied, Ok(7));
        drop(received);
        assert_eq!(requests.ask(Request::Number).await, None);
        let failure = requests.attempt(Request::Number).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Environment { .. }),
            "{failure:?}"
        );
    }
}
