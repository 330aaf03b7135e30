//! The cluster of this kernel: a controller in this process, engines as processes beside it.

mod actor;
mod engines;
mod status;

use super::Programs;
use phalanx_client::Client;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::MimeBundle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The handle on the cluster; clones share it. The cluster ends with the last clone.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Unbounded: a user's actions.
    orders: mpsc::UnboundedSender<Order>,
}

/// A cluster that has come up.
#[derive(Clone, Debug)]
pub struct Started {
    /// How many engines it has.
    pub engines: usize,
    /// How long that took.
    pub took: Duration,
}

#[derive(Debug)]
enum Order {
    Start {
        engines: Option<usize>,
        interrupted: CancellationToken,
        reply: oneshot::Sender<Result<Started, Failure>>,
    },
    Stop {
        reply: oneshot::Sender<Result<usize, Failure>>,
    },
    Status {
        reply: oneshot::Sender<MimeBundle>,
    },
    Client {
        reply: oneshot::Sender<Option<Client>>,
    },
}

impl Cluster {
    /// No cluster yet.
    pub fn new(programs: Programs) -> (Self, JoinHandle<()>) {
        let (orders, received) = mpsc::unbounded_channel();
        // Ends when the last handle is gone.
        let task = tokio::spawn(actor::run(programs, received));
        (Self { orders }, task)
    }

    /// Starts a controller and engines, one a core unless a number is given, and waits until they
    /// are registered.
    ///
    /// # Errors
    /// When a cluster is running already, an engine does not come up, or `interrupted` is cancelled.
    pub async fn start(
        &self,
        engines: Option<usize>,
        interrupted: CancellationToken,
    ) -> Result<Started, Failure> {
        self.ask(|reply| Order::Start {
            engines,
            interrupted,
            reply,
        })
        .await
        .unwrap_or_else(|| Err(ending()))
    }

    /// Ends the cluster; returns how many engines it had, once they are gone.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stop(&self) -> Result<usize, Failure> {
        self.ask(|reply| Order::Stop { reply })
            .await
            .unwrap_or_else(|| Err(ending()))
    }

    /// What there is, as a table.
    pub async fn status(&self) -> MimeBundle {
        self.ask(|reply| Order::Status { reply })
            .await
            .unwrap_or_default()
    }

    /// The client of the running cluster.
    pub async fn client(&self) -> Option<Client> {
        self.ask(|reply| Order::Client { reply }).await?
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).ok()?;
        answer.await.ok()
    }
}

fn ending() -> Failure {
    Failure::Environment {
        message: "the kernel is ending".to_owned(),
        hint: None,
    }
}
