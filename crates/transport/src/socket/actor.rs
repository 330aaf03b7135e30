//! The task that owns a socket: commands of the handles in, received messages out.

use super::backpressure::{SendQueueGauges, UnreadBytes};
use super::driver::{Driver, SendOutcome};
use super::{CloseError, Event, Frames, RoutingId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Commands from the handles to the socket's task.
#[derive(Debug)]
pub(crate) enum SocketCommand {
    Close {
        limit: Duration,
        done: oneshot::Sender<Result<(), CloseError>>,
    },
}

/// The queue of received messages.
pub(crate) struct ReceiveQueue {
    pub events: mpsc::Sender<Event>,
    pub unread: Arc<UnreadBytes>,
}

impl ReceiveQueue {
    /// Waits until there is room for another message, by number and by bytes.
    async fn reserve(&self) -> Result<mpsc::Permit<'_, Event>, mpsc::error::SendError<()>> {
        self.unread.room().await;
        self.events.reserve().await
    }
}

/// Runs a socket until it is closed or all its handles are dropped.
pub(crate) async fn run<D: Driver>(
    mut driver: D,
    mut queue: mpsc::UnboundedReceiver<Frames>,
    inbox: ReceiveQueue,
    mut commands: mpsc::Receiver<SocketCommand>,
    gauges: Arc<SendQueueGauges>,
) {
    let mut permit = None;
    let mut unread = false;
    let mut unsent = false;
    // A closed channel is always ready, so it must not be polled again.
    let mut unheld = false;
    while !(unread && unsent) {
        tokio::select! {
            // A slot is reserved before an event is received, so that no event is lost.
            Ok(slot) = inbox.reserve(), if permit.is_none() && !unread => permit = Some(slot),
            () = inbox.events.closed(), if !unread => {
                permit = None;
                unread = true;
            }
            event = driver.recv(), if permit.is_some() || unread => {
                if let Event::Disconnected(peer) = &event {
                    gauges.forget(&peer.0);
                }
                if let Some(slot) = permit.take() {
                    inbox.unread.put(&event);
                    slot.send(event);
                }
            }
            frames = queue.recv(), if !unsent && driver.ready() => match frames {
                Some(frames) => deliver(&mut driver, frames, &gauges).await,
                None => unsent = true,
            },
            command = commands.recv(), if !unheld => match command {
                Some(SocketCommand::Close { limit, done }) => {
                    drop(done.send(close(driver, queue, limit, &gauges).await));
                    return;
                }
                None => unheld = true,
            },
        }
    }
    while let Ok(frames) = queue.try_recv() {
        deliver(&mut driver, frames, &gauges).await;
    }
}

async fn deliver<D: Driver>(driver: &mut D, frames: Frames, gauges: &SendQueueGauges) {
    let peer = frames.first().cloned().unwrap_or_default();
    if driver.send(frames).await == SendOutcome::NoPeer {
        tracing::debug!(peer = %RoutingId(peer.clone()), "a message for an unknown peer");
        gauges.forget(&peer);
    }
}

async fn close<D: Driver>(
    mut driver: D,
    mut queue: mpsc::UnboundedReceiver<Frames>,
    limit: Duration,
    gauges: &SendQueueGauges,
) -> Result<(), CloseError> {
    let end = Instant::now() + limit;
    queue.close();
    let drained = async {
        while let Some(frames) = queue.recv().await {
            deliver(&mut driver, frames, gauges).await;
        }
    };
    let drained = tokio::time::timeout_at(end, drained).await.is_ok();
    let left = end.saturating_duration_since(Instant::now());
    if driver.close(left).await && drained {
        return Ok(());
    }
    let waiting: usize = gauges.all().iter().map(|gauge| gauge.waiting()).sum();
    Err(CloseError(waiting.max(1)))
}
