//! The engine's actor: waits for events, passes them to the machine, performs its commands.

use crate::about;
use crate::artifacts::ArtifactStore;
use crate::config::{EngineConfig, EngineError, Exit};
use crate::link::{
    AttemptResult, ControllerSearch, EngineLink, LinkEvent, SearchCommand, SearchEvent, TICK,
    is_there,
};
use crate::machine::{
    EngineCommand, EngineEvent, EngineIdentity, EngineRequestChannel, IncomingRequest, Machine,
    OutgoingReply, Shipment,
};
use crate::parent;
use crate::runtime::RuntimeSlot;
use crate::vitals::WatchedProcess;
use crate::wire;
use bytes::Bytes;
use chrono::Utc;
use phalanx_protocol::host::ENGINE_ID_VAR;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::parallel::{
    EnginePublication, EngineRequest, EngineStatus, UnregistrationRequest,
};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_sys::machine::host_name;
use phalanx_sys::segment;
use phalanx_transport::{
    Envelope, RawMessage, ReplayGuard, Sender, Session, WireError, socket, until, warn_rarely,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Time limit for sending pending messages when the engine ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The longest time for which the reply to a small call is held.
const REPLY_HOLD: Duration = Duration::from_millis(5);

/// A wait that exceeds this, despite a tick every second, means that the process was stopped.
const STOP_THRESHOLD: Duration = Duration::from_secs(5);

/// Time limit of each connection to the controller at the start.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// Time limit of each connection to a lost controller; it is retried.
const REJOIN_LIMIT: Duration = Duration::from_secs(3);

/// Joins a controller and serves it until a reason to end.
///
/// Cancelling `stop` has the effect of a shutdown. Everything it has started ends with it.
///
/// # Errors
/// Returns an error if the engine cannot join the controller.
pub async fn run(
    config: EngineConfig,
    signals: tokio::sync::mpsc::Receiver<crate::signals::ProcessSignal>,
    stop: CancellationToken,
) -> Result<Exit, EngineError> {
    let uuid = EngineUuid::fresh();
    let store = ArtifactStore::open(host_name()).map_err(EngineError::Cache)?;
    let watched = WatchedProcess::default();
    let link = EngineLink::join(&config, &uuid, config.id, JOIN_LIMIT, watched.clone()).await?;
    let identity = link.identity.clone();
    tracing::info!(id = %identity.id, %uuid, "joined");
    let mut runtime = config.runtime.clone();
    let number = identity.id.to_string();
    runtime.env.push((ENGINE_ID_VAR.into(), number.into()));
    let mut contact_check = tokio::time::interval(TICK);
    contact_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let server = Server {
        machine: Machine::new(identity.clone(), about::handshake(store.list())),
        store: Arc::new(Mutex::new(store)),
        preparations: JoinSet::new(),
        session: link.session.clone(),
        search: ControllerSearch::new(link.hb_period, config.unreachable, Instant::now()),
        identity,
        runtime: RuntimeSlot::new(runtime, watched.clone()),
        watched,
        replays: ReplayGuard::default(),
        link: Some(link),
        attempt: None,
        joined: None,
        contact_check,
        flush: None,
        parent: Box::pin(parent::ended(config.parent)),
        config,
        signals,
        stop,
    };
    Ok(server.serve().await)
}

/// The loop around the machine, which also keeps the contact with the controller.
struct Server {
    config: EngineConfig,
    session: Session,
    identity: EngineIdentity,
    machine: Machine,
    /// Shared with the pending preparation, of which there is at most one.
    store: Arc<Mutex<ArtifactStore>>,
    preparations: JoinSet<EngineEvent>,
    runtime: RuntimeSlot,
    watched: WatchedProcess,
    replays: ReplayGuard,
    /// `None` while the controller is lost.
    link: Option<EngineLink>,
    search: ControllerSearch,
    /// The attempt of the search that is under way.
    attempt: Option<SearchAttempt>,
    /// The link of an attempt that has succeeded, until it is adopted.
    joined: Option<EngineLink>,
    contact_check: Interval,
    /// The deadline of held replies.
    flush: Option<Instant>,
    parent: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    signals: tokio::sync::mpsc::Receiver<crate::signals::ProcessSignal>,
    stop: CancellationToken,
}

/// An attempt to reach a controller that is silent or lost.
enum SearchAttempt {
    /// A check that it replies; yields true if it does.
    Probe(AbortOnDropHandle<bool>),
    /// An attempt to join it again.
    Join(AbortOnDropHandle<Result<EngineLink, EngineError>>),
}

/// The next step of the loop.
enum NextStep {
    Event(EngineEvent),
    Nothing,
    Exit(Exit),
}

impl Server {
    async fn serve(mut self) -> Exit {
        let exit = loop {
            let waits_since = Instant::now();
            let next = self.next().await;
            if waits_since.elapsed() > STOP_THRESHOLD {
                tracing::info!("this process was stopped");
                let commands = self.search.handle(SearchEvent::Resumed, Instant::now());
                if let NextStep::Event(event) = self.follow(commands) {
                    let nothing = self.machine.handle(event, Utc::now());
                    debug_assert!(nothing.is_empty(), "{nothing:?}");
                }
            }
            match next {
                NextStep::Event(event) => {
                    if self.perform(event).await {
                        break Exit::Shutdown;
                    }
                }
                NextStep::Nothing => {}
                NextStep::Exit(exit) => break exit,
            }
        };
        tracing::info!(?exit, "ending");
        self.leave(&exit).await;
        exit
    }

    async fn next(&mut self) -> NextStep {
        let flush = self.flush;
        let turn = self.machine.turn_ends();
        let turn =
            turn.map(|time| Instant::now() + (time - Utc::now()).to_std().unwrap_or_default());
        let received = async {
            match &mut self.link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => NextStep::Exit(Exit::Shutdown),
            () = &mut self.parent => NextStep::Exit(Exit::ParentGone),
            Some(signal) = self.signals.recv() => match signal {
                crate::signals::ProcessSignal::Interrupt => NextStep::Event(EngineEvent::Interrupt),
                crate::signals::ProcessSignal::Stop => NextStep::Exit(Exit::Shutdown),
            },
            received = received => self.handle_link(received).await,
            event = self.runtime.next() => NextStep::Event(event),
            () = until(flush) => NextStep::Event(EngineEvent::Flush),
            () = until(turn) => NextStep::Event(EngineEvent::TurnOver),
            Some(prepared) = self.preparations.join_next() => match prepared {
                Ok(event) => NextStep::Event(event),
                Err(error) => {
                    tracing::error!(%error, "preparing artifacts");
                    NextStep::Nothing
                }
            },
            _ = self.contact_check.tick() => self.check_contact().await,
        }
    }

    async fn handle_link(&mut self, received: LinkEvent) -> NextStep {
        match received {
            LinkEvent::Nothing => NextStep::Nothing,
            LinkEvent::Request(channel, frames) => match self.open(frames) {
                Ok(envelope) => self.requested(channel, envelope),
                Err(error) => {
                    warn_rarely!(%error, ?channel, "a message is dropped");
                    NextStep::Nothing
                }
            },
            LinkEvent::Subscribed => {
                // The controller has subscribed: from now on it receives every publication.
                self.publish(None, EnginePublication::Status(EngineStatus::Starting))
                    .await;
                NextStep::Nothing
            }
            LinkEvent::Lost => {
                tracing::warn!("the connection to the controller is lost");
                let commands = self.search.handle(SearchEvent::Lost, Instant::now());
                self.follow(commands)
            }
        }
    }

    /// Decodes a request.
    fn requested(&mut self, channel: EngineRequestChannel, envelope: Envelope) -> NextStep {
        let request = match EngineRequest::decode(envelope.message()) {
            Ok(request) => request,
            Err(error) => {
                let msg_type = &envelope.header.msg_type;
                warn_rarely!(%error, msg_type, "a malformed request is dropped");
                return NextStep::Nothing;
            }
        };
        NextStep::Event(wire::requested(channel, envelope, request))
    }

    /// Verifies and parses a message; a replayed message is rejected.
    fn open(&mut self, frames: socket::Frames) -> Result<Envelope, WireError> {
        let message = RawMessage::verify(frames, self.session.key())?;
        self.replays.admit(&message)?;
        Envelope::parse(message)
    }

    /// Passes a tick to the search for the controller, and performs its commands.
    async fn check_contact(&mut self) -> NextStep {
        let beaten = self.link.as_mut().is_some_and(EngineLink::has_beaten);
        let ended = self.ended_attempt().await;
        let tick = SearchEvent::Tick { beaten, ended };
        let commands = self.search.handle(tick, Instant::now());
        self.follow(commands)
    }

    /// Returns the result of the attempt under way, if it has ended.
    async fn ended_attempt(&mut self) -> Option<AttemptResult> {
        match self.attempt.take() {
            Some(SearchAttempt::Probe(probe)) if probe.is_finished() => Some(match probe.await {
                Ok(true) => AttemptResult::Replied,
                _ => AttemptResult::Silent,
            }),
            Some(SearchAttempt::Join(join)) if join.is_finished() => Some(match join.await {
                Ok(Ok(link)) => {
                    let hb_period = link.hb_period;
                    self.joined = Some(link);
                    AttemptResult::Joined { hb_period }
                }
                Ok(Err(error)) => {
                    tracing::info!(%error, "the controller cannot be joined again yet");
                    AttemptResult::NotJoined
                }
                Err(error) => {
                    tracing::error!(%error, "joining broke off");
                    AttemptResult::NotJoined
                }
            }),
            under_way => {
                self.attempt = under_way;
                None
            }
        }
    }

    /// Performs commands of the search; returns the step that they lead to, of which there is at
    /// most one.
    fn follow(&mut self, commands: Vec<SearchCommand>) -> NextStep {
        let mut next = NextStep::Nothing;
        for command in commands {
            match command {
                SearchCommand::Probe => self.probe(),
                SearchCommand::Join => self.join_again(),
                SearchCommand::Cancel => self.attempt = None,
                SearchCommand::Pause => next = NextStep::Event(EngineEvent::Away),
                SearchCommand::Resume => next = NextStep::Event(EngineEvent::Back),
                SearchCommand::GiveUp => next = NextStep::Exit(Exit::ControllerGone),
                SearchCommand::Adopt => {
                    if let Some(link) = self.joined.take() {
                        next = NextStep::Event(self.adopt(link));
                    }
                }
            }
        }
        next
    }

    fn probe(&mut self) {
        let tunnelled = self.link.as_ref().and_then(EngineLink::tunnelled_file);
        let file = tunnelled.unwrap_or_else(|| self.config.current_connection());
        let session = self.session.clone();
        // Ends with the reply, or with the search.
        let probe = tokio::spawn(async move { is_there(&file, &session).await });
        self.attempt = Some(SearchAttempt::Probe(AbortOnDropHandle::new(probe)));
    }

    /// Drops the connections and joins the controller again.
    fn join_again(&mut self) {
        self.link = None;
        let (config, EngineIdentity { id, uuid }) = (self.config.clone(), self.identity.clone());
        // Ends when the engine has joined or failed to, or with the search.
        let watched = self.watched.clone();
        let join = tokio::spawn(async move {
            EngineLink::join(&config, &uuid, Some(id), REJOIN_LIMIT, watched).await
        });
        self.attempt = Some(SearchAttempt::Join(AbortOnDropHandle::new(join)));
    }

    /// Uses the connections of an engine that has joined again.
    fn adopt(&mut self, link: EngineLink) -> EngineEvent {
        let identity = link.identity.clone();
        tracing::info!(id = %identity.id, had = %self.identity.id, "joined again");
        self.identity = identity.clone();
        self.session = link.session.clone();
        self.link = Some(link);
        EngineEvent::Rejoined(identity)
    }

    /// Passes an event to the machine and performs its commands; returns true if the engine must
    /// stop.
    async fn perform(&mut self, event: EngineEvent) -> bool {
        let mut stop = false;
        let mut commands = VecDeque::from(self.machine.handle(event, Utc::now()));
        while let Some(command) = next_command(&mut commands) {
            match command {
                EngineCommand::Publish {
                    parent,
                    publication,
                } => self.publish(parent, publication).await,
                EngineCommand::Reply(reply) => {
                    self.reply(*reply).await;
                    if !commands.is_empty() {
                        // The message is sent before the following ones are encoded.
                        tokio::task::yield_now().await;
                    }
                }
                EngineCommand::KeepArguments(request) => {
                    let kept = keep_arguments(&request);
                    let event = EngineEvent::ArgumentsKept { request, kept };
                    commands.extend(self.machine.handle(event, Utc::now()));
                }
                EngineCommand::OpenProbe { client, probe } => {
                    if !segment::is_out_of_reach(&probe) {
                        let event = EngineEvent::ClientReached { client };
                        commands.extend(self.machine.handle(event, Utc::now()));
                    }
                }
                EngineCommand::Prepare {
                    run,
                    shipment,
                    buffers,
                } => {
                    if let Some(known) = self.known(&shipment) {
                        let artifacts = Ok(known);
                        let event = EngineEvent::Prepared { run, artifacts };
                        commands.extend(self.machine.handle(event, Utc::now()));
                        continue;
                    }
                    let store = Arc::clone(&self.store);
                    self.preparations.spawn_blocking(move || {
                        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                        let artifacts = store.prepare(&shipment, &buffers);
                        EngineEvent::Prepared { run, artifacts }
                    });
                }
                EngineCommand::Load(library) => self.runtime.load(library),
                EngineCommand::Run { run, cell } => self.runtime.run(run, cell),
                EngineCommand::Interrupt => self.runtime.interrupt(),
                EngineCommand::Call { run, call } => self.runtime.call(run, call),
                EngineCommand::Recall => self.runtime.recall(),
                EngineCommand::Kill => self.runtime.kill(),
                EngineCommand::Signal(number) => self.runtime.signal(number),
                EngineCommand::StartRuntime => self.runtime.start(),
                EngineCommand::Stop => stop = true,
            }
        }
        self.flush = match self.machine.holds_replies() {
            true => self.flush.or_else(|| Some(Instant::now() + REPLY_HOLD)),
            false => None,
        };
        stop
    }

    /// Returns the paths of artifacts that are known, without a search on another thread.
    fn known(&self, shipment: &Shipment) -> Option<Vec<PathBuf>> {
        let store = self.store.try_lock().ok()?;
        store
            .known(shipment)
            .filter(|_| shipment.buffers.is_empty())
    }

    async fn publish(
        &self,
        parent: Option<phalanx_transport::wire::Header>,
        publication: EnginePublication,
    ) {
        match wire::publication(parent, publication, &self.identity, &self.session) {
            // Waits while the controller does not read, which blocks the cell too.
            Ok(frames) => self.send(|link| Some(&link.iopub.0), frames).await,
            Err(error) => tracing::error!(%error, "a publication cannot be serialized"),
        }
    }

    async fn reply(&mut self, mut reply: OutgoingReply) {
        for (at, value) in reply.reply.values_mut().enumerate() {
            if reply.inlined.contains(&at) {
                *value = inlined(std::mem::take(value));
            }
        }
        let channel = reply.request.channel;
        match wire::reply(reply, &self.session) {
            Ok(frames) => self.send(|link| link.sender(channel), frames).await,
            Err(error) => tracing::error!(%error, "a reply cannot be serialized"),
        }
    }

    /// Sends a message. While the controller is lost, it is dropped: the controller has replied in
    /// the engine's place.
    async fn send(
        &self,
        sender: impl FnOnce(&EngineLink) -> Option<&Sender>,
        frames: socket::Frames,
    ) {
        if let Some(sender) = self.link.as_ref().and_then(sender)
            && let Err(error) = sender.send(frames).await
        {
            tracing::error!(%error, "a message is lost");
        }
    }

    /// Unregisters the engine and waits until all messages are sent.
    async fn leave(self, exit: &Exit) {
        drop(self.runtime);
        let Some(link) = self.link else { return };
        let mut sockets: Vec<_> = link.senders().cloned().collect();
        sockets.push(link.iopub.0);
        if *exit != Exit::ControllerGone {
            let request = UnregistrationRequest {
                id: self.identity.id,
            };
            // Replies and output are sent first: unregistration discards the engine's requests.
            close(sockets).await;
            sockets = Vec::new();
            match self
                .session
                .message(&request, None)
                .seal(self.session.key())
            {
                Ok(frames) => {
                    if let Err(error) = link.registration.0.try_send(frames) {
                        tracing::debug!(%error, "unregistering");
                    }
                }
                Err(error) => tracing::error!(%error, "a request cannot be serialized"),
            }
        }
        sockets.push(link.registration.0);
        close(sockets).await;
    }
}

/// Returns the next command: those that start work in the runtime come before messages, which still
/// precede any output of that work.
fn next_command(commands: &mut VecDeque<EngineCommand>) -> Option<EngineCommand> {
    let works = |command: &EngineCommand| {
        matches!(
            command,
            EngineCommand::KeepArguments(_)
                | EngineCommand::Prepare { .. }
                | EngineCommand::Load(_)
                | EngineCommand::Run { .. }
                | EngineCommand::Call { .. }
        )
    };
    let first = commands.iter().position(works).unwrap_or(0);
    commands.remove(first)
}

/// Stores the arguments of a call in shared memory.
fn keep_arguments(request: &IncomingRequest) -> Option<Segment> {
    let EngineRequest::Apply(Ok(call)) = &request.content else {
        return None;
    };
    match segment::create(call.args.frame()) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(%error, "arguments are not kept for other engines");
            None
        }
    }
}

/// Maps a referenced value; empty if that is impossible.
fn inlined(value: Payload) -> Payload {
    let whole = segment::resolve(value).unwrap_or_else(|error| {
        warn_rarely!(%error, "a value cannot be mapped");
        Bytes::new()
    });
    Payload::Inline(whole)
}

async fn close(sockets: Vec<Sender>) {
    let mut closing = JoinSet::new();
    for socket in sockets {
        closing.spawn(async move { socket.close(CLOSE_LIMIT).await });
    }
    while let Some(closed) = closing.join_next().await {
        if let Ok(Err(error)) = closed {
            tracing::debug!(%error, "closing a socket");
        }
    }
}
