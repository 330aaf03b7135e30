//! Requests to an actor of the kernel: a task that owns something, and serves its handles.

use phalanx_protocol::failure::Failure;
use tokio::sync::{mpsc, oneshot};

/// The way to an actor; clones share it, and the actor ends with the last.
///
/// Unbounded: it carries what users ask for, one thing at a time.
#[derive(Debug)]
pub struct RequestSender<R>(mpsc::UnboundedSender<R>);

impl<R> RequestSender<R> {
    /// A way to an actor, and its end there.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<R>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Sends a request that is not answered.
    pub fn send(&self, request: R) {
        // The actor ends only with the kernel; then nobody waits for anything any more.
        let _ = self.0.send(request);
    }

    /// Sends a request and waits for its answer; `None` if the actor is gone.
    pub async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> R) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply));
        answer.await.ok()
    }

    /// Sends a request that may fail and waits for its answer.
    ///
    /// # Errors
    /// As it fails, and when the kernel is ending.
    pub async fn attempt<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> R,
    ) -> Result<T, Failure> {
        self.ask(request).await.unwrap_or_else(|| Err(ending()))
    }
}

/// The failure of whatever is still wanted when the kernel ends.
pub fn ending() -> Failure {
    Failure::Environment {
        message: "the kernel is ending".to_owned(),
        hint: None,
    }
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
    async fn a_request_to_an_actor_that_is_gone_fails() {
        let (requests, mut received) = RequestSender::new();
        let answer = async {
            let Some(Request::Number(reply)) = received.recv().await else {
                panic!("no request");
            };
            reply.send(Ok(7)).unwrap();
        };
        let (asked, ()) = tokio::join!(requests.attempt(Request::Number), answer);
        assert_eq!(asked, Ok(7));
        drop(received);
        assert_eq!(requests.ask(Request::Number).await, None);
        let failure = requests.attempt(Request::Number).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Environment { .. }),
            "{failure:?}"
        );
    }
}
