//! What engines put out after their cell has ended: its threads go on.

use crate::channel::Outlet;
use phalanx_client::render::{Labels, Streamer};
use phalanx_client::{Client, ClientEvent, TaskEvent, TaskEventKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Shows late output under the cell that ran on engines last, as ipykernel does. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateOutput(
    /// Held for an assignment. Ends with the next, or with the client.
    Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
);

impl LateOutput {
    /// What engines of this client put out late is this cell's from now on.
    pub(super) fn belongs_to(&self, client: &Client, outlet: Outlet, labels: Labels) {
        // Ends with the client, or when the next cell takes its place.
        let shown = tokio::spawn(show(client.events(), outlet, labels));
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(AbortOnDropHandle::new(shown));
    }
}

async fn show(mut events: mpsc::UnboundedReceiver<ClientEvent>, outlet: Outlet, labels: Labels) {
    while let Some(event) = events.recv().await {
        let ClientEvent::LateOutput(engine, output) = event else {
            continue;
        };
        let event = TaskEvent {
            task: 0,
            engine,
            kind: TaskEventKind::Output(output),
        };
        let mut streamer = Streamer::new(labels, uuid::Uuid::new_v4().to_string());
        let mut outputs = streamer.event(event, Instant::now());
        outputs.extend(streamer.finish());
        outlet.outputs(outputs).await;
    }
}
