//! The loop around the state: waits for the next event, lets the state decide, performs.

use crate::connect::{self, Sockets, connection_request};
use crate::recovery;
use crate::request::Request;
use crate::result::AsyncResult;
use crate::shared::ClientShared;
use crate::state::argument_cache::ArgumentRoute;
use crate::state::batch;
use crate::state::message::{OutgoingContent, OutgoingMessage};
use crate::state::{Command, Event, Now, State, Ticket};
use crate::submission::{RefusalAnswer, RefusedTask};
use crate::task::{EngineTask, TaskKey};
use crate::wire::{self, MessageParts};
use bytes::Bytes;
use chrono::Utc;
use phalanx_protocol::id::{AsyncResultId, MsgId};
use phalanx_protocol::parallel::{EngineReply, EngineRequest, Lineage, TAKEN};
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

/// The engines are asked for once more after this time: an engine that came between the answer to
/// the first request and our subscription to notifications would be missed.
const SECOND_LOOK: Duration = Duration::from_millis(500);

/// Pause between two attempts to subscribe again.
const RETRY: Duration = Duration::from_millis(500);

/// The time given to unsent messages when the client ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Tasks that are submitted at once: those that may travel in one message.
const PART: usize = batch::TASKS;

const LOST: &str = "the connection to the controller is lost";

/// The client's loop: its state, sockets and requests.
pub(crate) struct Actor {
    pub session: Session,
    pub state: State,
    /// To subscribe anew.
    pub file: ClientConnectionFile,
    /// All connections go through it, where the file asks for one; open as long as this loop runs.
    pub _tunnel: Option<phalanx_transport::connection::Tunnel>,
    pub sockets: Sockets,
    pub requests: mpsc::UnboundedReceiver<Request>,
    /// For the answers to refusals; weak, so that the loop ends with the last handle.
    pub answers: mpsc::WeakUnboundedSender<Request>,
    pub shared: Arc<ClientShared>,
    pub cancel: CancellationToken,
}

/// The results, tickets and queries that are waiting for something.
struct Waiting {
    results: HashMap<AsyncResultId, TrackedResult>,
    tickets: HashMap<Ticket, oneshot::Sender<()>>,
    lineages: HashMap<Ticket, oneshot::Sender<Lineage>>,
    issued: u64,
    /// Queries by their message.
    queries: HashMap<String, oneshot::Sender<Envelope>>,
}

/// An AsyncResult whose tasks are under way.
struct TrackedResult {
    result: AsyncResult,
    refused: mpsc::UnboundedSender<RefusedTask>,
}

/// Work under way beside the loop.
#[derive(Default)]
struct Background {
    broken: LostChannels,
    /// New subscriptions, after the connection broke.
    subscriptions: JoinSet<(Receiver, Receiver)>,
    recoveries: JoinSet<Event>,
}

/// The channels that have lost their connection.
#[derive(Default)]
struct LostChannels {
    query: bool,
    mux: bool,
    task: bool,
}

/// A message on its way to a socket.
type Outbox = mpsc::UnboundedSender<OutgoingMessage>;

/// The ways out.
struct Outboxes {
    mux: Outbox,
    control: Outbox,
    /// To the scheduler.
    task: Outbox,
}

impl Actor {
    /// Runs until it is cancelled or the controller is gone; then every task has ended.
    pub async fn run(mut self, engines: Event) {
        let mut senders = JoinSet::new();
        // Both unbounded: what a user asked for, and one failure for each of those at most.
        let (failed, mut failures) = mpsc::unbounded_channel();
        // Without it, engines send everything over the sockets.
        let probe = segment::place(b"phalanx").ok();
        let mut outbox = |socket: &Sender| -> Outbox {
            let (outbox, queue) = mpsc::unbounded_channel();
            let (session, socket) = (self.session.clone(), socket.clone());
            senders.spawn(forward(
                queue,
                socket,
                session,
                probe.clone(),
                failed.clone(),
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
        let mut second_look = Some(Instant::now() + SECOND_LOOK);
        let mut event = Some(engines);
        // The rest of what is being submitted, in parts: the first are with engines before the last
        // are made.
        let mut parts = VecDeque::new();
        loop {
            if let Some(event) = event.take() {
                let now = now();
                for command in self.state.handle(event, now) {
                    self.perform(command, &mut waiting, &outboxes, &mut background);
                }
                if let Some(joined) = self.state.news() {
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
            let deadline = [second_look, self.state.deadline()]
                .into_iter()
                .flatten()
                .min();
            event = tokio::select! {
                () = self.cancel.cancelled() => Some(Event::Disconnected {
                    reason: "the client was closed".to_owned(),
                }),
                () = std::future::ready(()), if !parts.is_empty() => parts.pop_front(),
                Some(request) = self.requests.recv(), if parts.is_empty() => match request {
                    Request::Query { msg_type, content, done } => {
                        self.query(msg_type, content, done, &mut waiting);
                        None
                    }
                    Request::Submit { result, tasks, refused } => {
                        parts = waiting.submit(result, tasks, refused);
                        parts.pop_front()
                    }
                    request => waiting.event(request),
                },
                received = self.sockets.mux.1.recv() => {
                    match Self::is_back(received.as_ref(), &mut background.broken.mux) {
                        true => Some(Event::Reconnected),
                        false => self.replied(received, &outboxes),
                    }
                }
                received = self.sockets.task.1.recv() => {
                    match Self::is_back(received.as_ref(), &mut background.broken.task) {
                        true => Some(Event::Reconnected),
                        false => self.replied(received, &outboxes),
                    }
                }
                Some(Ok(subscribed)) = background.subscriptions.join_next() => {
                    (self.sockets.notification, self.sockets.iopub) = subscribed;
                    Some(Event::LinkUp)
                }
                Some(Ok(recovered)) = background.recoveries.join_next() => Some(recovered),
                received = self.sockets.iopub.recv() => self
                    .opened(received)
                    .and_then(|envelope| wire::published(&envelope, &self.session)),
                received = self.sockets.control.1.recv() => {
                    self.opened(received).and_then(|envelope| {
                        wire::reply(&envelope, EngineReply::decode(envelope.message()))
                    })
                }
                received = self.sockets.notification.recv() => {
                    self.opened(received).and_then(|envelope| wire::notification(&envelope))
                }
                received = self.sockets.query.1.recv() => match received {
                    None => Some(Event::Disconnected { reason: "its socket is closed".to_owned() }),
                    Some(socket::Event::Disconnected(_)) => {
                        background.broken.query = true;
                        background.subscriptions.abort_all();
                        Some(Event::LinkDown)
                    }
                    // The subscriptions first, so that nothing is missed of what happens now.
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
                    if second_look.is_some_and(|at| at <= Instant::now()) {
                        second_look = None;
                        self.look();
                    }
                    Some(Event::Tick)
                }
            };
        }
        waiting.give_up(parts);
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            if let Request::Submit { result, .. } = request {
                result.fail_all(LOST);
            }
        }
        drop(outboxes);
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

    /// Reads a reply. The data it refers to is taken over.
    fn replied(&self, received: Option<socket::Event>, outboxes: &Outboxes) -> Option<Event> {
        let envelope = self.opened(received)?;
        let mut reply = EngineReply::decode(envelope.message());
        self.take_over(&mut reply, outboxes);
        wire::reply(&envelope, reply)
    }

    /// Takes over the data that a reply refers to, and notifies its engine.
    fn take_over(&self, reply: &mut EngineReply, outboxes: &Outboxes) {
        let Some(engine) = reply.metadata.engine.clone() else {
            return;
        };
        let mut gone = None;
        for value in reply.values_mut() {
            let Payload::Segment(segment) = value else {
                continue;
            };
            let segment = Segment::clone(segment);
            match segment::hold(vec![segment.clone().into()]) {
                Ok(mut taken) => *value = taken.pop().unwrap_or_default(),
                Err(error) => {
                    warn_rarely!(%error, %engine, "a value is gone");
                    *value = Payload::default();
                    gone = Some(error);
                }
            }
            // The other end of it ends after this loop.
            let _ = outboxes.control.send(OutgoingMessage {
                engine: Some(engine.clone()),
                msg_id: MsgId::new(self.session.header(TAKEN).msg_id),
                body: OutgoingContent::Control(EngineRequest::Taken(segment)),
            });
        }
        if let Some(error) = gone {
            wire::lose_value(reply, &error);
        }
    }

    /// A channel is there again after it was broken.
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
        command: Command,
        waiting: &mut Waiting,
        outboxes: &Outboxes,
        background: &mut Background,
    ) {
        match command {
            Command::Send(outgoing) => {
                let outbox = match outgoing.body {
                    _ if outgoing.engine.is_none() => &outboxes.task,
                    OutgoingContent::Work { .. } | OutgoingContent::KernelInfo => &outboxes.mux,
                    OutgoingContent::Control(_) => &outboxes.control,
                };
                // Its task runs until the loop ends.
                let _ = outbox.send(outgoing);
            }
            Command::Update(key, update) => {
                if let Some(held) = waiting.results.get(&key.result) {
                    held.result.apply(key.task, update);
                    if held.result.settled() {
                        waiting.results.remove(&key.result);
                    }
                }
            }
            Command::Refuse {
                key,
                reason,
                state,
                engine,
                work,
            } => {
                if let (Some(held), Some(answers)) =
                    (waiting.results.get(&key.result), self.answers.upgrade())
                {
                    // A submitter that is gone drops the task, which ends it.
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
            Command::Notify(event) => self.shared.notify(&event),
            Command::Lineage(ticket, lineage) => {
                if let Some(done) = waiting.lineages.remove(&ticket) {
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(*lineage);
                }
            }
            Command::Answered(ticket) => {
                // One that is left has no answer.
                waiting.lineages.remove(&ticket);
                if let Some(done) = waiting.tickets.remove(&ticket) {
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
            }
            Command::Look => self.look(),
            // Ends by itself, within a second.
            Command::Trim => drop(tokio::task::spawn_blocking(heap::trim)),
            Command::Recover(ids) => {
                if let Some(requests) = self.answers.upgrade() {
                    background.recoveries.spawn(async move {
                        match recovery::recover(&requests, ids).await {
                            Ok(recovered) => Event::Recovered(recovered),
                            Err(error) => {
                                tracing::debug!(%error, "asking what has become of tasks");
                                Event::NotRecovered
                            }
                        }
                    });
                }
            }
        }
    }

    fn query(
        &self,
        msg_type: &str,
        content: serde_json::Value,
        done: oneshot::Sender<Envelope>,
        waiting: &mut Waiting,
    ) {
        let request = self.session.envelope(msg_type, content, None);
        let msg_id = request.header.msg_id.clone();
        let sent = request
            .seal(self.session.key())
            .map_err(|error| error.to_string())
            .and_then(|frames| {
                let sent = self.sockets.query.0.try_send(frames);
                sent.map_err(|error| error.to_string())
            });
        // Those whose askers have stopped waiting are forgotten when somebody else asks.
        waiting.queries.retain(|_, done| !done.is_closed());
        match sent {
            Ok(()) => drop(waiting.queries.insert(msg_id, done)),
            Err(error) => warn_rarely!(%error, msg_type, "a query is not sent"),
        }
    }

    /// Asks again which engines there are.
    fn look(&self) {
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
    /// Hands the answer of a query to its asker; returns any other message.
    fn answered(&mut self, envelope: Envelope) -> Option<Envelope> {
        let parent = envelope.parent_header.as_ref();
        match parent.and_then(|parent| self.queries.remove(&parent.msg_id)) {
            Some(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(envelope);
                None
            }
            None => Some(envelope),
        }
    }

    /// Takes tasks; they are submitted in parts.
    fn submit(
        &mut self,
        result: AsyncResult,
        tasks: Vec<EngineTask>,
        refused: mpsc::UnboundedSender<RefusedTask>,
    ) -> VecDeque<Event> {
        let id = result.id();
        if !tasks.is_empty() {
            self.results.insert(id, TrackedResult { result, refused });
        }
        let tasks = tasks.into_iter().enumerate();
        let mut tasks = tasks.map(|(task, work)| (TaskKey { result: id, task }, work));
        let part = || Some(tasks.by_ref().take(PART).collect());
        std::iter::from_fn(part)
            .take_while(|part: &Vec<_>| !part.is_empty())
            .map(|tasks| Event::Submit { tasks })
            .collect()
    }

    /// The client ends before these were submitted.
    fn give_up(&self, parts: VecDeque<Event>) {
        let keys = parts.iter().filter_map(|part| match part {
            Event::Submit { tasks } => Some(tasks.first()?.0),
            _ => None,
        });
        for key in keys {
            if let Some(held) = self.results.get(&key.result) {
                held.result.fail_all(LOST);
            }
        }
    }

    fn event(&mut self, request: Request) -> Option<Event> {
        Some(match request {
            // Served by the actor itself: nothing is decided about the one, the other is several.
            Request::Query { .. } | Request::Submit { .. } => return None,
            Request::Resend { key, work } => Event::Resend { key, work },
            Request::Fail { key, failure } => Event::Fail { key, failure },
            Request::Abort { keys, done } => Event::Abort {
                keys,
                ticket: self.ticket(done),
            },
            Request::Control {
                engines,
                order,
                done,
            } => Event::Control {
                engines,
                order,
                ticket: self.ticket(done),
            },
            Request::Lineage { engine, done } => {
                let ticket = self.issue();
                self.lineages.insert(ticket, done);
                Event::Control {
                    engines: vec![engine],
                    order: EngineRequest::Lineage,
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

/// Subscribes, however often it takes.
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

/// Sends messages one after the other, so that a peer that does not read holds up nothing else.
async fn forward(
    mut queue: mpsc::UnboundedReceiver<OutgoingMessage>,
    socket: Sender,
    session: Session,
    probe: Option<Segment>,
    failed: mpsc::UnboundedSender<Event>,
) {
    while let Some(outgoing) = queue.recv().await {
        if let Err(message) = send(&outgoing, &socket, &session, probe.as_ref()).await {
            for msg_id in outgoing.ids().cloned() {
                let message = message.clone();
                // The loop may have ended already.
                let _ = failed.send(Event::SendFailed { msg_id, message });
            }
        }
    }
}

async fn send(
    outgoing: &OutgoingMessage,
    socket: &Sender,
    session: &Session,
    probe: Option<&Segment>,
) -> Result<(), String> {
    let mut enclosed = enclosed(&outgoing.body).await?;
    enclosed.probe = probe.cloned();
    let frames = wire::request(outgoing, session, enclosed)
        .seal(session.key())
        .map_err(|error| error.to_string())?;
    socket.send(frames).await.map_err(|error| error.to_string())
}

/// Reads what is sent with a message.
async fn enclosed(body: &OutgoingContent) -> Result<MessageParts, String> {
    let OutgoingContent::Work {
        work,
        buffers,
        by_path,
        data,
        ..
    } = body
    else {
        return Ok(MessageParts::default());
    };
    let mut artifacts = Vec::new();
    for &index in buffers {
        let Some((hash, path)) = work.artifacts().get(index) else {
            return Err(format!("artifact {index} is none of the task's"));
        };
        let bytes = tokio::fs::read(path)
            .await
            .map_err(|error| format!("artifact {} ({hash}): {error}", path.display()))?;
        artifacts.push(Bytes::from(bytes));
    }
    let args = match &**work {
        EngineTask::Cell(_) => Payload::default(),
        // Engines of this machine open what the arguments refer to, as they do artifacts.
        EngineTask::Call(call) => match data {
            Some(ArgumentRoute::There { reference, .. }) => reference.clone().into(),
            _ if *by_path && buffers.is_empty() => call.args.clone(),
            _ => segment::resolve_arguments(call.args.clone())
                .map(Payload::Inline)
                .map_err(|error| format!("its data: {error}"))?,
        },
    };
    Ok(MessageParts {
        artifacts,
        args,
        probe: None,
    })
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        utc: Utc::now(),
    }
}
