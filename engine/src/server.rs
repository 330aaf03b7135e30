//! The loop around the machine: waits for the next event, lets the machine decide, performs.

use crate::about;
use crate::artifacts::Store;
use crate::config::{EngineConfig, EngineError, Exit};
use crate::handed::Handed;
use crate::link::{Advice, Contact, Heard, Link, TICK, is_there};
use crate::machine::{Channel, Command, Event, Identity, Machine, Reply, Request, Shipment};
use crate::parent;
use crate::runtime::Slot;
use crate::vitals::Watched;
use crate::wire;
use chrono::Utc;
use phalanx_protocol::host::ENGINE_ID_VAR;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::parallel::{
    EngineOutput, EngineRequest, EngineStatus, UnregistrationRequest,
};
use phalanx_protocol::payload::Payload;
use phalanx_sys::machine::host_name;
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

/// The time given to unsent messages when the engine ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The time the reply to a small call may wait for the replies to those that came with it.
const HOLD: Duration = Duration::from_millis(5);

/// A wait that takes longer than this, although there is a look every second, was a stop of the process.
const STOPPED: Duration = Duration::from_secs(5);

/// The time each connection to the controller may take at first.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// The same when the controller was lost: it is tried again and again.
const REJOIN_LIMIT: Duration = Duration::from_secs(3);

/// Joins a controller and serves it until one of the reasons to end.
///
/// Cancelling `stop` ends it as a shutdown does. Nothing it started outlives it.
///
/// # Errors
/// When it cannot join.
pub async fn run(
    config: EngineConfig,
    signals: tokio::sync::mpsc::Receiver<crate::signals::Wish>,
    stop: CancellationToken,
) -> Result<Exit, EngineError> {
    let uuid = EngineUuid::fresh();
    let store = Store::open(host_name()).map_err(EngineError::Cache)?;
    let watched = Watched::default();
    let link = Link::join(&config, &uuid, config.id, JOIN_LIMIT, watched.clone()).await?;
    let identity = link.identity.clone();
    tracing::info!(id = %identity.id, %uuid, "joined");
    let mut runtime = config.runtime.clone();
    let number = identity.id.to_string();
    runtime.env.push((ENGINE_ID_VAR.into(), number.into()));
    let mut look = tokio::time::interval(TICK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let server = Server {
        machine: Machine::new(identity.clone(), about::handshake(store.list())),
        store: Arc::new(Mutex::new(store)),
        preparations: JoinSet::new(),
        session: link.session.clone(),
        contact: Contact::new(link.hb_period, config.unreachable, Instant::now()),
        identity,
        runtime: Slot::new(runtime, watched.clone()),
        watched,
        handed: Handed::default(),
        replays: ReplayGuard::default(),
        link: Some(link),
        search: None,
        look,
        went_on: None,
        flush: None,
        parent: Box::pin(parent::ended(config.parent)),
        config,
        signals,
        stop,
    };
    Ok(server.serve().await)
}

struct Server {
    config: EngineConfig,
    session: Session,
    identity: Identity,
    machine: Machine,
    /// Shared with the one preparation that may be under way.
    store: Arc<Mutex<Store>>,
    preparations: JoinSet<Event>,
    runtime: Slot,
    watched: Watched,
    handed: Handed,
    replays: ReplayGuard,
    /// `None` while the controller is lost.
    link: Option<Link>,
    contact: Contact,
    search: Option<Search>,
    look: Interval,
    /// The time at which this process went on after a stop, until everything that waited then is read.
    went_on: Option<Instant>,
    /// The time at which waiting replies are sent without those to come.
    flush: Option<Instant>,
    parent: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    signals: tokio::sync::mpsc::Receiver<crate::signals::Wish>,
    stop: CancellationToken,
}

/// A look for a controller that is silent or lost.
enum Search {
    /// Yields true if the controller answers, the connections being as they were.
    Probe(AbortOnDropHandle<bool>),
    /// It has answered. A heartbeat on the old connections should come, if they are worth anything.
    Answered,
    /// Joining it anew.
    Join(AbortOnDropHandle<Result<Link, EngineError>>),
}

/// The next step of the loop.
enum Next {
    Event(Event),
    Nothing,
    Exit(Exit),
}

impl Server {
    async fn serve(mut self) -> Exit {
        let exit = loop {
            let waits_since = Instant::now();
            let next = self.next().await;
            if waits_since.elapsed() > STOPPED {
                self.went_on();
            }
            match next {
                Next::Event(event) => {
                    if self.perform(event).await {
                        break Exit::Shutdown;
                    }
                }
                Next::Nothing => {}
                Next::Exit(exit) => break exit,
            }
        };
        tracing::info!(?exit, "ending");
        self.leave(&exit).await;
        exit
    }

    /// This process was stopped. By now its controller may have taken it for gone and given what waits
    /// here to others, and say so on another channel: nothing is begun before all is read.
    fn went_on(&mut self) {
        tracing::info!("this process was stopped");
        self.went_on = Some(Instant::now());
        let nothing = self.machine.on(Event::Away, Utc::now());
        debug_assert!(nothing.is_empty(), "{nothing:?}");
    }

    async fn next(&mut self) -> Next {
        let flush = self.flush;
        let heard = async {
            match &mut self.link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => Next::Exit(Exit::Shutdown),
            () = &mut self.parent => Next::Exit(Exit::ParentGone),
            Some(wish) = self.signals.recv() => match wish {
                crate::signals::Wish::Interrupt => Next::Event(Event::Interrupt),
                crate::signals::Wish::Stop => Next::Exit(Exit::Shutdown),
            },
            heard = heard => self.heard(heard).await,
            event = self.runtime.next() => Next::Event(event),
            () = until(flush) => Next::Event(Event::Flush),
            Some(prepared) = self.preparations.join_next() => match prepared {
                Ok(event) => Next::Event(event),
                Err(error) => {
                    tracing::error!(%error, "preparing artifacts");
                    Next::Nothing
                }
            },
            _ = self.look.tick() => self.look().await,
        }
    }

    async fn heard(&mut self, heard: Heard) -> Next {
        match heard {
            Heard::Nothing => Next::Nothing,
            Heard::Request(channel, frames) => match self.open(frames) {
                Ok(envelope) => self.requested(channel, envelope),
                Err(error) => {
                    warn_rarely!(%error, ?channel, "a message is dropped");
                    Next::Nothing
                }
            },
            Heard::Subscribed => {
                // Somebody listens: from now on nothing is lost, which this says.
                self.publish(None, EngineOutput::Status(EngineStatus::Starting))
                    .await;
                Next::Nothing
            }
            Heard::Lost => {
                tracing::warn!("the connection to the controller is lost");
                self.join_again();
                Next::Event(Event::Away)
            }
        }
    }

    /// Reads a request.
    fn requested(&mut self, channel: Channel, envelope: Envelope) -> Next {
        let request = match EngineRequest::decode(envelope.message()) {
            Ok(request) => request,
            Err(error) => {
                let msg_type = &envelope.header.msg_type;
                warn_rarely!(%error, msg_type, "a malformed request is dropped");
                return Next::Nothing;
            }
        };
        match self.handed.hears(&envelope.header.session, &request) {
            true => Next::Nothing,
            false => Next::Event(wire::requested(channel, envelope, request)),
        }
    }

    /// Verifies and parses a message, once: what was recorded and is sent again runs nothing.
    fn open(&mut self, frames: socket::Frames) -> Result<Envelope, WireError> {
        let message = RawMessage::verify(frames, self.session.key())?;
        self.replays.admit(&message)?;
        Envelope::parse(message)
    }

    /// Looks whether the controller is there, and for it where it is not.
    async fn look(&mut self) -> Next {
        let beaten = self.link.as_mut().is_some_and(Link::has_beaten);
        match self.contact.look(beaten, Instant::now()) {
            Advice::Fine => {
                let is_over = |at: &mut Instant| at.elapsed() >= TICK;
                let searched = self.search.take().is_some();
                match self.went_on.take_if(is_over).is_some() || searched {
                    true => Next::Event(Event::Back),
                    false => Next::Nothing,
                }
            }
            Advice::GiveUp => Next::Exit(Exit::ControllerGone),
            Advice::Probe => self.search().await,
        }
    }

    async fn search(&mut self) -> Next {
        match self.search.take() {
            // Nothing new is begun: a controller that goes on without this engine gives it to others.
            None if self.link.is_some() => {
                tracing::warn!("the controller is silent");
                self.probe();
                Next::Event(Event::Away)
            }
            None | Some(Search::Answered) => {
                self.join_again();
                Next::Nothing
            }
            Some(Search::Probe(probe)) if probe.is_finished() => {
                match probe.await {
                    Ok(true) => self.search = Some(Search::Answered),
                    _ => self.probe(),
                }
                Next::Nothing
            }
            Some(Search::Join(join)) if join.is_finished() => match join.await {
                Ok(Ok(link)) => self.joined_again(link),
                Ok(Err(error)) => {
                    tracing::info!(%error, "the controller cannot be joined again yet");
                    self.join_again();
                    Next::Nothing
                }
                Err(error) => {
                    tracing::error!(%error, "joining broke off");
                    self.join_again();
                    Next::Nothing
                }
            },
            under_way => {
                self.search = under_way;
                Next::Nothing
            }
        }
    }

    fn probe(&mut self) {
        let tunnelled = self.link.as_ref().and_then(Link::tunnelled_file);
        let file = tunnelled.unwrap_or_else(|| self.config.current_connection());
        let session = self.session.clone();
        // Ends with the answer, or with the search.
        let probe = tokio::spawn(async move { is_there(&file, &session).await });
        self.search = Some(Search::Probe(AbortOnDropHandle::new(probe)));
    }

    /// Gives the connections up and makes them anew.
    fn join_again(&mut self) {
        self.link = None;
        self.contact.lost();
        let (config, Identity { id, uuid }) = (self.config.clone(), self.identity.clone());
        // Ends when the engine has joined or cannot, or with the search.
        let watched = self.watched.clone();
        let join = tokio::spawn(async move {
            Link::join(&config, &uuid, Some(id), REJOIN_LIMIT, watched).await
        });
        self.search = Some(Search::Join(AbortOnDropHandle::new(join)));
    }

    fn joined_again(&mut self, link: Link) -> Next {
        let identity = link.identity.clone();
        tracing::info!(id = %identity.id, had = %self.identity.id, "joined again");
        self.contact = Contact::new(link.hb_period, self.config.unreachable, Instant::now());
        self.identity = identity.clone();
        self.session = link.session.clone();
        self.link = Some(link);
        Next::Event(Event::Rejoined(identity))
    }

    /// Lets the machine decide about an event and does what it says; whether to end.
    async fn perform(&mut self, mut event: Event) -> bool {
        let mut stop = false;
        if let Event::Requested(request) = &mut event {
            self.keep(request).await;
        }
        let mut commands = VecDeque::from(self.machine.on(event, Utc::now()));
        while let Some(command) = next_command(&mut commands) {
            match command {
                Command::Publish { parent, output } => self.publish(parent, output).await,
                Command::Reply(reply) => {
                    self.reply(*reply).await;
                    if !commands.is_empty() {
                        // It leaves before what follows is made.
                        tokio::task::yield_now().await;
                    }
                }
                Command::Prepare {
                    run,
                    shipment,
                    buffers,
                } => {
                    if let Some(known) = self.known(&shipment) {
                        let artifacts = Ok(known);
                        let event = Event::Prepared { run, artifacts };
                        commands.extend(self.machine.on(event, Utc::now()));
                        continue;
                    }
                    let store = Arc::clone(&self.store);
                    self.preparations.spawn_blocking(move || {
                        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                        let artifacts = store.prepare(&shipment, &buffers);
                        Event::Prepared { run, artifacts }
                    });
                }
                Command::Load(library) => self.runtime.load(library),
                Command::Run { run, cell } => self.runtime.run(run, cell),
                Command::Interrupt => self.runtime.interrupt(),
                Command::Call { run, call } => self.runtime.call(run, call),
                Command::Recall => self.runtime.recall(),
                Command::Kill => self.runtime.kill(),
                Command::Signal(number) => self.runtime.signal(number),
                Command::StartRuntime => self.runtime.start(),
                Command::Stop => stop = true,
            }
        }
        self.flush = match self.machine.holds_replies() {
            true => self.flush.or_else(|| Some(Instant::now() + HOLD)),
            false => None,
        };
        stop
    }

    /// Keeps the arguments of a call for other engines of this machine, where it wants that; others may
    /// be waiting for them.
    async fn keep(&mut self, request: &mut Request) {
        let EngineRequest::Apply(Ok(call)) = &mut request.content else {
            return;
        };
        let Payload::Inline(args) = &call.args else {
            return;
        };
        if !call.metadata.keep {
            return;
        }
        match self.handed.keep(args) {
            Ok(kept) => {
                call.args = kept.clone().into();
                Arc::make_mut(&mut call.metadata).host = host_name();
                let parent = Some(request.header.clone());
                self.publish(parent, EngineOutput::Kept(Some(kept))).await;
            }
            // Those who wait for them are sent them once this call has ended.
            Err(error) => tracing::warn!(%error, "arguments are not kept for other engines"),
        }
    }

    /// Artifacts that need no search, which other threads would be asked for.
    fn known(&self, shipment: &Shipment) -> Option<Vec<PathBuf>> {
        let store = self.store.try_lock().ok()?;
        store
            .known(shipment)
            .filter(|_| shipment.buffers.is_empty())
    }

    async fn publish(&self, parent: Option<phalanx_transport::wire::Header>, output: EngineOutput) {
        match wire::publication(parent, output, &self.identity, &self.session) {
            // Waits while the controller does not read, and so does the cell.
            Ok(frames) => self.send(|link| Some(&link.iopub.0), frames).await,
            Err(error) => tracing::error!(%error, "a publication does not serialise"),
        }
    }

    async fn reply(&mut self, mut reply: Reply) {
        let client = &reply.request.header.session;
        for value in reply.reply.values_mut() {
            *value = self.handed.hand(client, std::mem::take(value));
        }
        let channel = reply.request.channel;
        match wire::reply(reply, &self.session) {
            Ok(frames) => self.send(|link| link.sender(channel), frames).await,
            Err(error) => tracing::error!(%error, "a reply does not serialise"),
        }
    }

    /// Sends; while the controller is lost, so is what is said: it has answered in the engine's place.
    async fn send(&self, sender: impl FnOnce(&Link) -> Option<&Sender>, frames: socket::Frames) {
        if let Some(sender) = self.link.as_ref().and_then(sender)
            && let Err(error) = sender.send(frames).await
        {
            tracing::error!(%error, "a message is lost");
        }
    }

    /// Tells the controller, and lets what was said leave the process.
    async fn leave(self, exit: &Exit) {
        drop(self.runtime);
        let Some(link) = self.link else { return };
        let mut sockets: Vec<_> = link.senders().cloned().collect();
        sockets.push(link.iopub.0);
        if *exit != Exit::ControllerGone {
            let request = UnregistrationRequest {
                id: self.identity.id,
            };
            // Replies and output first: the controller takes what it knows of the engine away.
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
                Err(error) => tracing::error!(%error, "a request does not serialise"),
            }
        }
        sockets.push(link.registration.0);
        close(sockets).await;
    }
}

/// The next to be performed: the runtime is set to work before anything is told, which comes before
/// what the runtime does all the same.
fn next_command(commands: &mut VecDeque<Command>) -> Option<Command> {
    let works = |command: &Command| {
        matches!(
            command,
            Command::Prepare { .. } | Command::Load(_) | Command::Run { .. } | Command::Call { .. }
        )
    };
    let first = commands.iter().position(works).unwrap_or(0);
    commands.remove(first)
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
