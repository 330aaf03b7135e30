//! The client's event loop: waits for the next event, passes it to the state, performs the
//! commands.

mod background;
mod outbox;
mod segments;
mod waiting;

use crate::connect::{Sockets, connection_request};
use crate::error::TaskError;
use crate::request::{HandleRequest, RefusalDecision, RefusedTask};
use crate::shared::ClientShared;
use crate::state::{EventTime, State, StateCommand, StateEvent, WatchedChannel};
use crate::wire;
use background::Background;
use chrono::Utc;
use outbox::{Forwarding, Outboxes};
use phalanx_protocol::parallel::{EngineReply, HubRequest};
use phalanx_sys::heap;
use phalanx_transport::socket;
use phalanx_transport::warn_rarely;
use phalanx_transport::{ClientConnectionFile, Envelope, Session, until};
use segments::open_segments;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use waiting::WaitingCallers;

/// The time limit for sending the remaining messages when the client ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The client's loop: its state, sockets and requests.
pub(crate) struct Actor {
    pub session: Session,
    pub state: State,
    /// The connection file, for new subscriptions.
    pub file: ClientConnectionFile,
    /// The tunnel for all connections, if the file requires one; open as long as this loop runs.
    pub _tunnel: Option<phalanx_transport::connection::Tunnel>,
    pub sockets: Sockets,
    pub requests: mpsc::UnboundedReceiver<HandleRequest>,
    /// For requests of the loop itself, and for decisions about refused tasks; weak, so that the loop ends with the last handle.
    pub own_requests: mpsc::WeakUnboundedSender<HandleRequest>,
    pub shared: Arc<ClientShared>,
    pub cancel: CancellationToken,
}

/// All that the loop uses besides its state and the sockets it receives from.
struct LoopParts {
    waiting: WaitingCallers,
    outboxes: Outboxes,
    forwarding: Forwarding,
    background: Background,
}

impl Actor {
    /// Runs until it is cancelled or the controller is lost; every task has ended then. `engines` is
    /// the controller's first list of engines.
    pub async fn run(mut self, engines: StateEvent) {
        let (outboxes, forwarding) = Outboxes::open(&self.sockets, &self.session);
        let mut parts = LoopParts {
            waiting: WaitingCallers::default(),
            outboxes,
            forwarding,
            background: Background::default(),
        };
        self.handle(StateEvent::Connected, &mut parts);
        let mut event = Some(engines);
        loop {
            if let Some(event) = event.take() {
                self.handle(event, &mut parts);
                if self.state.ended() {
                    break;
                }
            }
            event = self.next_event(&mut parts).await;
        }
        self.close(parts).await;
    }

    /// Waits for the next event; `None` if what has happened needs no decision.
    async fn next_event(&mut self, parts: &mut LoopParts) -> Option<StateEvent> {
        let LoopParts {
            waiting,
            forwarding,
            background,
            ..
        } = parts;
        if waiting.has_parts() {
            tokio::task::yield_now().await;
        }
        let deadline = self.state.deadline();
        tokio::select! {
            () = self.cancel.cancelled() => Some(StateEvent::Disconnected {
                reason: self.shared.close_reason(),
            }),
            () = std::future::ready(()), if waiting.has_parts() => waiting.next_part(),
            Some(request) = self.requests.recv(), if !waiting.has_parts() => {
                waiting.accept(request, |request| self.send_to_hub(request))
            }
            received = self.sockets.mux.1.recv() => self.task_reply(WatchedChannel::Mux, received),
            received = self.sockets.task.1.recv() => self.task_reply(WatchedChannel::Task, received),
            Some(Ok(subscribed)) = background.subscriptions.join_next() => {
                (self.sockets.notification, self.sockets.iopub) = subscribed;
                Some(StateEvent::Subscribed)
            }
            Some(Ok(recovered)) = background.recoveries.join_next() => Some(recovered),
            received = self.sockets.iopub.recv() => {
                let envelope = self.opened(received)?;
                wire::published(&envelope, &self.session)
            }
            received = self.sockets.control.1.recv() => {
                let envelope = self.opened(received)?;
                let reply = EngineReply::decode(envelope.message());
                wire::reply(&envelope, reply, Vec::new())
            }
            received = self.sockets.notification.recv() => {
                wire::notification(&self.opened(received)?)
            }
            received = self.sockets.query.1.recv() => self.hub_reply(received, waiting),
            Some(event) = forwarding.failures.recv() => Some(event),
            () = until(deadline) => Some(StateEvent::Tick),
        }
    }

    /// Verifies and parses a received message.
    fn opened(&self, received: Option<socket::Event>) -> Option<Envelope> {
        let Some(socket::Event::Message(frames)) = received else {
            return None;
        };
        match Envelope::open(frames, self.session.key()) {
            Ok(envelope) => Some(envelope),
            Err(error) => {
                warn_rarely!(%error, "a message from the controller is dropped");
                None
            }
        }
    }

    /// Decodes a reply to a task, and opens the segments it refers to.
    fn task_reply(
        &self,
        channel: WatchedChannel,
        received: Option<socket::Event>,
    ) -> Option<StateEvent> {
        match received {
            Some(socket::Event::Disconnected(_)) => Some(StateEvent::ChannelLost(channel)),
            Some(socket::Event::Connected(_)) => Some(StateEvent::ChannelRestored(channel)),
            received => {
                let envelope = self.opened(received)?;
                let mut reply = EngineReply::decode(envelope.message());
                let segments = open_segments(&mut reply);
                wire::reply(&envelope, reply, segments)
            }
        }
    }

    /// Passes a reply of the hub to its caller; the reply to a request of the state is an event.
    fn hub_reply(
        &self,
        received: Option<socket::Event>,
        waiting: &mut WaitingCallers,
    ) -> Option<StateEvent> {
        match received {
            None => Some(StateEvent::Disconnected {
                reason: "its socket is closed".to_owned(),
            }),
            Some(socket::Event::Disconnected(_)) => {
                Some(StateEvent::ChannelLost(WatchedChannel::Query))
            }
            Some(socket::Event::Connected(_)) => {
                Some(StateEvent::ChannelRestored(WatchedChannel::Query))
            }
            received => {
                let envelope = waiting.hub_replied(self.opened(received)?)?;
                wire::connection_reply(&envelope)?.ok()
            }
        }
    }

    /// Passes an event to the state, and performs its commands.
    fn handle(&mut self, event: StateEvent, parts: &mut LoopParts) {
        for command in self.state.handle(event, now()) {
            self.perform(command, parts);
        }
        if let Some(joined) = self.state.changed_engines() {
            self.shared.engines.send_if_modified(|known| {
                let changed = *known != joined;
                *known = joined;
                changed
            });
        }
    }

    fn perform(&self, command: StateCommand, parts: &mut LoopParts) {
        let LoopParts {
            waiting,
            outboxes,
            background,
            ..
        } = parts;
        match command {
            StateCommand::Send(outgoing) => outboxes.send(outgoing),
            StateCommand::Update(key, update) => waiting.update(key, update),
            StateCommand::ReportRefusal {
                key,
                reason,
                state,
                engine,
                work,
            } => {
                if let Some(requests) = self.own_requests.upgrade() {
                    waiting.report_refusal(key.submission, || RefusedTask {
                        task: key.task,
                        engine,
                        reason,
                        state,
                        work: *work,
                        decision: RefusalDecision::new(key, engine, requests),
                    });
                }
            }
            StateCommand::Notify(event) => self.shared.notify(&event),
            StateCommand::Lineage(ticket, lineage) => waiting.lineage(ticket, *lineage),
            StateCommand::EnginesReplied(ticket) => waiting.engines_replied(ticket),
            StateCommand::QueryEngines => self.query_engines(),
            // Takes less than a second.
            StateCommand::Trim => drop(tokio::task::spawn_blocking(heap::trim)),
            StateCommand::Subscribe => background.subscribe(self.file.clone()),
            StateCommand::StopSubscribing => background.subscriptions.abort_all(),
            StateCommand::Recover(ids) => {
                if let Some(requests) = self.own_requests.upgrade() {
                    background.recover(requests, ids);
                }
            }
        }
    }

    /// Sends a request to the hub on behalf of a caller; returns its msg_id, or `None` if it could
    /// not be sent.
    fn send_to_hub(&self, request: &HubRequest) -> Option<String> {
        let msg_type = request.msg_type();
        let envelope = self.session.compose(request.encode());
        let msg_id = envelope.header.msg_id.clone();
        let sent = envelope
            .seal(self.session.key())
            .map_err(|error| error.to_string())
            .and_then(|frames| {
                let sent = self.sockets.query.0.try_send(frames);
                sent.map_err(|error| error.to_string())
            });
        match sent {
            Ok(()) => Some(msg_id),
            Err(error) => {
                warn_rarely!(%error, msg_type, "a query is not sent");
                None
            }
        }
    }

    /// Requests the list of engines again.
    fn query_engines(&self) {
        match connection_request(&self.session) {
            Ok(frames) => {
                if let Err(error) = self.sockets.query.0.try_send(frames) {
                    tracing::debug!(%error, "asking the controller for its engines");
                }
            }
            Err(error) => tracing::error!(%error, "a request cannot be serialized"),
        }
    }

    /// Ends what has not been submitted, and sends the remaining messages.
    async fn close(mut self, parts: LoopParts) {
        let LoopParts {
            mut waiting,
            outboxes,
            forwarding,
            ..
        } = parts;
        waiting.give_up();
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            if let HandleRequest::Submit { result, .. } = request {
                result.fail_all(&TaskError::ClientEnded);
            }
        }
        forwarding.finish(outboxes).await;
        let Sockets {
            mux,
            control,
            task,
            query,
            ..
        } = self.sockets;
        for socket in [mux.0, control.0, task.0, query.0] {
            if let Err(error) = socket.close(CLOSE_LIMIT).await {
                tracing::debug!(%error, "closing a socket");
            }
        }
    }
}

fn now() -> EventTime {
    EventTime {
        instant: Instant::now(),
        utc: Utc::now(),
    }
}
