//! The actor's work that takes longer than one turn of its loop.

use crate::connect;
use crate::recovery;
use crate::request::Requests;
use crate::state::StateEvent;
use phalanx_protocol::id::MsgId;
use phalanx_transport::{ClientConnectionFile, Receiver};
use std::time::Duration;
use tokio::task::JoinSet;

/// The pause between two attempts to resubscribe.
const RETRY: Duration = Duration::from_millis(500);

/// The receivers of notifications and of publications.
pub(super) type Subscriptions = (Receiver, Receiver);

/// Background tasks of the loop, which end with it.
#[derive(Default)]
pub(super) struct Background {
    /// New subscriptions after a lost connection.
    pub subscriptions: JoinSet<Subscriptions>,
    /// Queries about tasks whose replies may be lost.
    pub recoveries: JoinSet<StateEvent>,
}

impl Background {
    /// Starts to subscribe again.
    pub fn subscribe(&mut self, file: ClientConnectionFile) {
        self.subscriptions.spawn(subscribe(file));
    }

    /// Queries the controller about tasks.
    pub fn recover(&mut self, requests: Requests, tasks: Vec<MsgId>) {
        self.recoveries.spawn(async move {
            match recovery::recover(&requests, tasks).await {
                Ok(recovered) => StateEvent::Recovered(recovered),
                Err(error) => {
                    tracing::debug!(%error, "querying the state of tasks");
                    StateEvent::NotRecovered
                }
            }
        });
    }
}

/// Subscribes, retrying until it succeeds.
async fn subscribe(file: ClientConnectionFile) -> Subscriptions {
    loop {
        match connect::subscribe(&file).await {
            Ok(subscribed) => return subscribed,
            Err(error) => {
                tracing::debug!(%error, "subscribing again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
