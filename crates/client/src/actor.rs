//! The client's event loop: waits for the next event, passes it to the state, performs the
//! commands.

use crate::connect::{self, Sockets, connection_request};
use crate::error::TaskError;
use crate::recovery;
use crate::request::{HandleRequest, RefusalAnswer, RefusedTask};
use crate::result::ResultTracker;
use crate::shared::ClientShared;
use crate::state::batch;
use crate::state::message::{OutgoingContent, OutgoingMessage};
use crate::state::segments::{ReceivedSegment, SentArguments};
use crate::state::{EventTime, State, StateCommand, StateEvent, Ticket};
use crate::task::{EngineTask, SubmissionId, TaskKey};
use crate::wire::{self, EnclosedParts};
use bytes::Bytes;
use chrono::Utc;
use phalanx_protocol::parallel::{EngineReply, EngineRequest, HubRequest, Lineage};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_sys::{heap, segment};
use phalanx_transport::socket;
use phalanx_transport::warn_rarely;
use phalanx_transport::{ClientConnectionFile, Envelope, Receiver, Sender, Session, until};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The time after which the list of engines is requested again: an engine that registered between
/// the reply to the first request and our subscription to notifications would be missed.
const SECOND_QUERY: Duration = Duration::from_millis(500);

/// The pause between two attempts to resubscribe.
const RETRY: Duration = Duration::from_millis(500);

/// The time limit for sending the remaining messages when the client ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The number of tasks submitted in one step: as many as fit into one message.
const PART: usize = batch::TASKS;

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
    /// For the answers to refusals; weak, so that the loop ends with the last handle.
    pub answers: mpsc::WeakUnboundedSender<HandleRequest>,
    pub shared: Arc<ClientShared>,
    pub cancel: CancellationToken,
}

/// The waiters for results, tickets and queries.
struct Waiting {
    /// The AsyncResults with tasks whose output is not complete.
    results: HashMap<SubmissionId, TrackedResult>,
    tickets: HashMap<Ticket, oneshot::Sender<()>>,
    lineages: HashMap<Ticket, oneshot::Sender<Lineage>>,
    /// The number of tickets issued.
    issued: u64,
    /// Queries by the msg_id of their request.
    queries: HashMap<String, oneshot::Sender<Envelope>>,
}

/// A submission with pending tasks.
struct TrackedResult {
    result: Arc<ResultTracker>,
    refused: mpsc::UnboundedSender<RefusedTask>,
}

/// Background tasks of the loop.
#[derive(Default)]
struct Background {
    broken: LostChannels,
    /// New subscriptions after a lost connection.
    subscriptions: JoinSet<(Receiver, Receiver)>,
    recoveries: JoinSet<StateEvent>,
}

/// The channels that have lost their connection.
#[derive(Default)]
struct LostChannels {
    query: bool,
    mux: bool,
    task: bool,
}

/// The queue of messages for a socket.
type Outbox = mpsc::UnboundedSender<OutgoingMessage>;

/// The queues of all sockets.
struct Outboxes {
    mux: Outbox,
    control: Outbox,
    /// The scheduler's socket.
    task: Outbox,
}

impl Actor {
    /// Runs until it is cancelled or the controller is lost; every task has ended then.
    pub async fn run(mut self, engines: StateEvent) {
        let mut senders = JoinSet::new();
        let ending = CancellationToken::new();
        // Both unbounded: they contain the user's requests, and at most one failure for each.
        let (failed, mut failures) = mpsc::unbounded_channel();
        // Without the probe, engines send large values inline.
        let probe = segment::create(b"phalanx").ok();
        let mut outbox = |socket: &Sender| -> Outbox {
            let (outbox, queue) = mpsc::unbounded_channel();
            let (session, socket) = (self.session.clone(), socket.clone());
            senders.spawn(forward(
                queue,
                socket,
                session,
                probe.clone(),
                failed.clone(),
                ending.clone(),
            ));
            outbox
        };
        let outboxes = Outboxes {
            mux: outbox(&self.sockets.mux.0),
            control: outbox(&self.sockets.control.0),
            task: outbox(&self.sockets.task.0),
        };
        let mut waiting = Waiting {
            results: HashMap::new(),
            tickets: HashMap::new(),
            lineages: HashMap::new(),
            issued: 0,
            queries: HashMap::new(),
        };
        let mut background = Background::default();
        let mut second_query = Some(Instant::now() + SECOND_QUERY);
        let mut event = Some(engines);
        // The remaining parts of a submission: engines receive the first ones before the last ones
        // are created.
        let mut parts = VecDeque::new();
        loop {
            if let Some(event) = event.take() {
                let now = now();
                for command in self.state.handle(event, now) {
                    self.perform(command, &mut waiting, &outboxes, &mut background);
                }
                if let Some(joined) = self.state.changed_engines() {
                    self.shared.engines.send_if_modified(|known| {
                        let changed = *known != joined;
                        *known = joined;
                        changed
                    });
                }
                if self.state.ended() {
                    break;
                }
            }
            if !parts.is_empty() {
                tokio::task::yield_now().await;
            }
            let deadline = [second_query, self.state.deadline()]
                .into_iter()
                .flatten()
                .min();
            event = tokio::select! {
                () = self.cancel.cancelled() => Some(StateEvent::Disconnected {
                    reason: "the client was closed".to_owned(),
                }),
                () = std::future::ready(()), if !parts.is_empty() => parts.pop_front(),
                Some(request) = self.requests.recv(), if parts.is_empty() => match request {
                    HandleRequest::Hub { request, done } => {
                        self.query(&request, done, &mut waiting);
                        None
                    }
                    HandleRequest::Submit { result, tasks, refused } => {
                        parts = waiting.submit(result, tasks, refused);
                        parts.pop_front()
                    }
                    request => waiting.event(request),
                },
                received = self.sockets.mux.1.recv() => {
                    match Self::is_back(received.as_ref(), &mut background.broken.mux) {
                        true => Some(StateEvent::Reconnected),
                        false => self.replied(received),
                    }
                }
                received = self.sockets.task.1.recv() => {
                    match Self::is_back(received.as_ref(), &mut background.broken.task) {
                        true => Some(StateEvent::Reconnected),
                        false => self.replied(received),
                    }
                }
                Some(Ok(subscribed)) = background.subscriptions.join_next() => {
                    (self.sockets.notification, self.sockets.iopub) = subscribed;
                    Some(StateEvent::LinkUp)
                }
                Some(Ok(recovered)) = background.recoveries.join_next() => Some(recovered),
                received = self.sockets.iopub.recv() => self
                    .opened(received)
                    .and_then(|envelope| wire::published(&envelope, &self.session)),
                received = self.sockets.control.1.recv() => {
                    self.opened(received).and_then(|envelope| {
                        let reply = EngineReply::decode(envelope.message());
                        wire::reply(&envelope, reply, Vec::new())
                    })
                }
                received = self.sockets.notification.recv() => {
                    self.opened(received).and_then(|envelope| wire::notification(&envelope))
                }
                received = self.sockets.query.1.recv() => match received {
                    None => Some(StateEvent::Disconnected { reason: "its socket is closed".to_owned() }),
                    Some(socket::Event::Disconnected(_)) => {
                        background.broken.query = true;
                        background.subscriptions.abort_all();
                        Some(StateEvent::LinkDown)
                    }
                    // Subscribes first, so that no event after the reply is missed.
                    Some(socket::Event::Connected(_)) => {
                        if std::mem::take(&mut background.broken.query) {
                            let file = self.file.clone();
                            background.subscriptions.spawn(subscribe(file));
                        }
                        None
                    }
                    received => self
                        .opened(received)
                        .and_then(|envelope| waiting.answered(envelope))
                        .and_then(|envelope| wire::connection_reply(&envelope)?.ok()),
                },
                Some(event) = failures.recv() => Some(event),
                () = until(deadline) => {
                    if second_query.is_some_and(|at| at <= Instant::now()) {
                        second_query = None;
                        self.query_engines();
                    }
                    Some(StateEvent::Tick)
                }
            };
        }
        waiting.give_up(parts);
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            if let HandleRequest::Submit { result, .. } = request {
                result.fail_all(&TaskError::ClientEnded);
            }
        }
        drop(outboxes);
        ending.cancel();
        while senders.join_next().await.is_some() {}
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

    /// Decodes a reply, and opens the segments it refers to.
    fn replied(&self, received: Option<socket::Event>) -> Option<StateEvent> {
        let envelope = self.opened(received)?;
        let mut reply = EngineReply::decode(envelope.message());
        let segments = open_segments(&mut reply);
        wire::reply(&envelope, reply, segments)
    }

    /// Returns true if a broken channel is connected again.
    fn is_back(received: Option<&socket::Event>, broken: &mut bool) -> bool {
        match received {
            Some(socket::Event::Disconnected(_)) => *broken = true,
            Some(socket::Event::Connected(_)) => return std::mem::take(broken),
            _ => {}
        }
        false
    }

    fn perform(
        &self,
        command: StateCommand,
        waiting: &mut Waiting,
        outboxes: &Outboxes,
        background: &mut Background,
    ) {
        match command {
            StateCommand::Send(outgoing) => {
                let outbox = match outgoing.body {
                    _ if outgoing.engine.is_none() => &outboxes.task,
                    OutgoingContent::Work { .. } | OutgoingContent::KernelInfo => &outboxes.mux,
                    OutgoingContent::Control(_) => &outboxes.control,
                };
                // The forwarding task runs until the loop ends.
                let _ = outbox.send(outgoing);
            }
            StateCommand::Update(key, update) => {
                if let Some(held) = waiting.results.get(&key.submission) {
                    held.result.apply(key.task, update);
                    if held.result.settled() {
                        waiting.results.remove(&key.submission);
                    }
                }
            }
            StateCommand::Refuse {
                key,
                reason,
                state,
                engine,
                work,
            } => {
                if let (Some(held), Some(answers)) =
                    (waiting.results.get(&key.submission), self.answers.upgrade())
                {
                    // If the submitter is gone, dropping the refused task ends it.
                    let _ = held.refused.send(RefusedTask {
                        task: key.task,
                        engine,
                        reason,
                        state,
                        work: *work,
                        answer: RefusalAnswer::new(key, engine, answers),
                    });
                }
            }
            StateCommand::Notify(event) => self.shared.notify(&event),
            StateCommand::Lineage(ticket, lineage) => {
                if let Some(done) = waiting.lineages.remove(&ticket) {
                    // The caller may have stopped waiting.
                    let _ = done.send(*lineage);
                }
            }
            StateCommand::Answered(ticket) => {
                // Still there if the engine has left or sent no lineage: its caller gets an error.
                waiting.lineages.remove(&ticket);
                if let Some(done) = waiting.tickets.remove(&ticket) {
                    // The caller may have stopped waiting.
                    let _ = done.send(());
                }
            }
            StateCommand::QueryEngines => self.query_engines(),
            // Takes less than a second.
            StateCommand::Trim => drop(tokio::task::spawn_blocking(heap::trim)),
            StateCommand::Recover(ids) => {
                if let Some(requests) = self.answers.upgrade() {
                    background.recoveries.spawn(async move {
                        match recovery::recover(&requests, ids).await {
                            Ok(recovered) => StateEvent::Recovered(recovered),
                            Err(error) => {
                                tracing::debug!(%error, "querying the state of tasks");
                                StateEvent::NotRecovered
                            }
                        }
                    });
                }
            }
        }
    }

    fn query(&self, request: &HubRequest, done: oneshot::Sender<Envelope>, waiting: &mut Waiting) {
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
        // Queries whose callers have stopped waiting are removed with the next query.
        waiting.queries.retain(|_, done| !done.is_closed());
        match sent {
            Ok(()) => drop(waiting.queries.insert(msg_id, done)),
            Err(error) => warn_rarely!(%error, msg_type, "a query is not sent"),
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
            Err(error) => tracing::error!(%error, "a request does not serialise"),
        }
    }
}

impl Waiting {
    /// Passes the reply to a query to its caller; returns any other message.
    fn answered(&mut self, envelope: Envelope) -> Option<Envelope> {
        let parent = envelope.parent_header.as_ref();
        match parent.and_then(|parent| self.queries.remove(&parent.msg_id)) {
            Some(done) => {
                // The caller may have stopped waiting.
                let _ = done.send(envelope);
                None
            }
            None => Some(envelope),
        }
    }

    /// Accepts tasks, which are submitted in parts.
    fn submit(
        &mut self,
        result: Arc<ResultTracker>,
        tasks: Vec<EngineTask>,
        refused: mpsc::UnboundedSender<RefusedTask>,
    ) -> VecDeque<StateEvent> {
        let id = result.id();
        if !tasks.is_empty() {
            self.results.insert(id, TrackedResult { result, refused });
        }
        let tasks = tasks.into_iter().enumerate();
        let key = |task| TaskKey {
            submission: id,
            task,
        };
        let mut tasks = tasks.map(|(task, work)| (key(task), work));
        let part = || Some(tasks.by_ref().take(PART).collect());
        std::iter::from_fn(part)
            .take_while(|part: &Vec<_>| !part.is_empty())
            .map(|tasks| StateEvent::Submit { tasks })
            .collect()
    }

    /// Ends the tasks that were not submitted before the client ended.
    fn give_up(&self, parts: VecDeque<StateEvent>) {
        let keys = parts.iter().filter_map(|part| match part {
            StateEvent::Submit { tasks } => Some(tasks.first()?.0),
            _ => None,
        });
        for key in keys {
            if let Some(held) = self.results.get(&key.submission) {
                held.result.fail_all(&TaskError::ClientEnded);
            }
        }
    }

    fn event(&mut self, request: HandleRequest) -> Option<StateEvent> {
        Some(match request {
            // Handled by the actor: a query involves no decision, and a submission becomes several
            // events.
            HandleRequest::Hub { .. } | HandleRequest::Submit { .. } => return None,
            HandleRequest::Resend { key, work } => StateEvent::Resend { key, work },
            HandleRequest::Fail { key, failure } => StateEvent::Fail { key, failure },
            HandleRequest::Abort { keys, done } => StateEvent::Abort {
                keys,
                ticket: self.ticket(done),
            },
            HandleRequest::Control {
                engines,
                request,
                done,
            } => StateEvent::Control {
                engines,
                request,
                ticket: self.ticket(done),
            },
            HandleRequest::Lineage { engine, done } => {
                let ticket = self.issue();
                self.lineages.insert(ticket, done);
                StateEvent::Control {
                    engines: vec![engine],
                    request: EngineRequest::Lineage,
                    ticket,
                }
            }
        })
    }

    fn ticket(&mut self, done: oneshot::Sender<()>) -> Ticket {
        let ticket = self.issue();
        self.tickets.insert(ticket, done);
        ticket
    }

    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }
}

/// Opens the segments that an engine's reply refers to; returns them with the positions of their
/// values. Values that cannot be opened become empty.
fn open_segments(reply: &mut EngineReply) -> Vec<(usize, ReceivedSegment)> {
    let mut opened = Vec::new();
    let Some(engine) = reply.metadata.engine.clone() else {
        return opened;
    };
    for (at, value) in reply.values_mut().enumerate() {
        let Payload::Segment(segment) = value else {
            continue;
        };
        let reference = Segment::clone(segment);
        let error = match segment::hold(vec![std::mem::take(value)]) {
            Ok(mut taken) => {
                *value = taken.pop().unwrap_or_default();
                None
            }
            Err(error) => {
                warn_rarely!(%error, %engine, "a large value cannot be opened");
                Some(error.to_string())
            }
        };
        opened.push((at, ReceivedSegment { reference, error }));
    }
    opened
}

/// Subscribes, retrying until it succeeds.
async fn subscribe(file: ClientConnectionFile) -> (Receiver, Receiver) {
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

/// Sends messages in order, on a task of its own, so that a peer that does not read delays nothing
/// else.
async fn forward(
    mut queue: mpsc::UnboundedReceiver<OutgoingMessage>,
    socket: Sender,
    session: Session,
    probe: Option<Segment>,
    failed: mpsc::UnboundedSender<StateEvent>,
    ending: CancellationToken,
) {
    while let Some(outgoing) = queue.recv().await {
        let stalled = async {
            ending.cancelled().await;
            tokio::time::sleep(socket::SEND_LIMIT).await;
        };
        let sent = tokio::select! {
            sent = send(&outgoing, &socket, &session, probe.as_ref()) => sent,
            // Nor will the rest be read in time.
            () = stalled => return,
        };
        if let Err(error) = sent {
            for msg_id in outgoing.ids().cloned() {
                let error = error.clone();
                // The loop may have ended.
                let _ = failed.send(StateEvent::SendFailed { msg_id, error });
            }
        }
    }
}

async fn send(
    outgoing: &OutgoingMessage,
    socket: &Sender,
    session: &Session,
    probe: Option<&Segment>,
) -> Result<(), TaskError> {
    let mut enclosed = enclosed(&outgoing.body).await?;
    enclosed.probe = probe.cloned();
    let frames = wire::request(outgoing, session, enclosed)
        .seal(session.key())
        .map_err(unsent)?;
    socket.send(frames).await.map_err(unsent)
}

fn unsent(error: impl std::error::Error) -> TaskError {
    TaskError::Unsent {
        reason: error.to_string(),
    }
}

/// Reads the artifacts that are sent with a message.
async fn enclosed(body: &OutgoingContent) -> Result<EnclosedParts, TaskError> {
    let OutgoingContent::Work { work, buffers, .. } = body else {
        return Ok(EnclosedParts::default());
    };
    let mut artifacts = Vec::new();
    for &index in buffers {
        let Some((hash, path)) = work.artifacts().get(index) else {
            return Err(TaskError::NoArtifact(index));
        };
        let bytes = tokio::fs::read(path)
            .await
            .map_err(|error| TaskError::Artifact {
                path: path.clone(),
                hash: hash.clone(),
                reason: error.to_string(),
            })?;
        artifacts.push(Bytes::from(bytes));
    }
    let args = match body.arguments() {
        None => Payload::default(),
        Some(SentArguments::Unchanged(args)) => args,
        Some(SentArguments::Inline(args)) => segment::resolve_arguments(args)
            .map(Payload::Inline)
            .map_err(|error| TaskError::Arguments {
                reason: error.to_string(),
            })?,
    };
    Ok(EnclosedParts {
        artifacts,
        args,
        probe: None,
    })
}

fn now() -> EventTime {
    EventTime {
        instant: Instant::now(),
        utc: Utc::now(),
    }
}
