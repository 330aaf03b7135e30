//! Output of threads and changes of the connection after the end of a cell on engines.

use crate::channel::OutputSink;
use crate::report::{Notice, notice};
use phalanx_client::render::{Labels, Streamer};
use phalanx_client::{Client, ClientEvent, TaskEvent, TaskEventKind};
use phalanx_protocol::output::StreamName;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tokio_util::task::AbortOnDropHandle;

/// The time after which a lost connection is reported; one that the kernel closes is gone by then.
const REPORT_DELAY: Duration = Duration::from_secs(1);

/// Shows late output under the latest cell that ran on engines, as ipykernel does. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateOutput(
    /// Locked for an assignment. Dropped with the next cell or the client.
    Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
);

impl LateOutput {
    /// Shows late output of a client's engines under this cell from now on.
    pub(super) fn belongs_to(&self, client: &Client, sink: OutputSink, labels: Labels) {
        // Ends with the client, or when the next cell replaces it.
        let shown = tokio::spawn(show(client.events(), sink, labels));
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(AbortOnDropHandle::new(shown));
    }

    /// Stops the display before the cluster is disconnected.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn show(mut events: mpsc::UnboundedReceiver<ClientEvent>, sink: OutputSink, labels: Labels) {
    // A loss that has not been reported yet.
    let mut lost: Option<(Instant, Duration)> = None;
    loop {
        let next = async {
            match lost {
                Some((since, _)) => timeout_at((since + REPORT_DELAY).into(), events.recv()).await,
                None => Ok(events.recv().await),
            }
        };
        let event = match (next.await, lost) {
            (Ok(Some(event)), _) => event,
            (Err(_), Some((_, limit))) => {
                lost = None;
                let text = notice(&Notice::ConnectionLost(limit));
                sink.text(StreamName::Stderr, text).await;
                continue;
            }
            (Ok(None) | Err(_), _) => return,
        };
        let (engine, output) = match event {
            ClientEvent::LateOutput(engine, output) => (engine, output),
            ClientEvent::ConnectionLost(limit) => {
                lost = Some((Instant::now(), limit));
                continue;
            }
            ClientEvent::ConnectionBack => {
                if lost.take().is_none() {
                    let text = notice(&Notice::ConnectionBack);
                    sink.text(StreamName::Stderr, text).await;
                }
                continue;
            }
            _ => continue,
        };
        let event = TaskEvent {
            task: 0,
            engine,
            kind: TaskEventKind::Output(output),
        };
        let mut streamer = Streamer::new(labels, uuid::Uuid::new_v4().to_string());
        let mut outputs = streamer.event(event, Instant::now());
        outputs.extend(streamer.finish());
        sink.outputs(outputs).await;
    }
}
