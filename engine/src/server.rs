//! The loop around the machine: waits for the next event, lets the machine decide, performs.

use crate::about;
use crate::artifacts::Store;
use crate::config::{EngineConfig, EngineError, Exit};
use crate::handed::Handed;
use crate::link::{Channels, Heart, Joined, join, registration};
use crate::machine::{
    Ask, Command, Event, Identity, Machine, Publication, Reply, Request, Shipment,
};
use crate::parent;
use crate::runtime::Slot;
use crate::wire;
use chrono::Utc;
use phalanx_protocol::host::ENGINE_ID_VAR;
use phalanx_protocol::id::{EngineUuid, SessionId};
use phalanx_protocol::parallel::UnregistrationRequest;
use phalanx_transport::{Envelope, Kind, Receiver, Sender, Session, Socket, SocketOptions, socket};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What is still unsent is given this long when the engine ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How long the reply to a small call may wait for the replies to those that came with it.
const HOLD: Duration = Duration::from_millis(5);

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
    let id = SessionId::new(uuid.as_str());
    let session = Session::with_id(id, "engine", config.connection.signing_key()?);
    let store = Store::open(about::host()).map_err(EngineError::Cache)?;
    let heart = Heart::start(&config.connection, uuid.as_str()).await?;
    let joined = join(&config, &uuid, &session).await?;
    let channels = Channels::connect(&config.connection, &joined).await?;
    let iopub = config.connection.endpoint(config.connection.iopub)?;
    let iopub = Socket::connect(Kind::Pub, &iopub, SocketOptions::default()).await?;
    let Joined {
        identity,
        hb_period,
        registration,
    } = joined;
    tracing::info!(id = %identity.id, %uuid, "joined");
    let mut runtime = config.runtime.clone();
    let number = identity.id.to_string();
    runtime.env.push((ENGINE_ID_VAR.into(), number.into()));
    let server = Server {
        machine: Machine::new(identity.clone(), about::handshake(store.list())),
        store: Arc::new(Mutex::new(store)),
        preparations: JoinSet::new(),
        session,
        identity,
        runtime: Slot::new(runtime),
        handed: Handed::default(),
        channels,
        iopub: iopub.split(),
        registration,
        heart,
        hb_period,
        lost_since: None,
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
    handed: Handed,
    channels: Channels,
    iopub: (Sender, Receiver),
    registration: (Sender, Receiver),
    heart: Heart,
    hb_period: Duration,
    lost_since: Option<Instant>,
    /// When replies have waited for others long enough.
    flush: Option<Instant>,
    parent: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    signals: tokio::sync::mpsc::Receiver<crate::signals::Wish>,
    stop: CancellationToken,
}

/// What the loop waits for.
enum Next {
    Event(Event),
    Nothing,
    Exit(Exit),
}

impl Server {
    async fn serve(mut self) -> Exit {
        let exit = loop {
            match self.next().await {
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

    async fn next(&mut self) -> Next {
        let deadline = self.deadline();
        let flush = self.flush;
        tokio::select! {
            () = self.stop.cancelled() => Next::Exit(Exit::Shutdown),
            () = &mut self.parent => Next::Exit(Exit::ParentGone),
            Some(wish) = self.signals.recv() => match wish {
                crate::signals::Wish::Interrupt => Next::Event(Event::Interrupt),
                crate::signals::Wish::Stop => Next::Exit(Exit::Shutdown),
            },
            Some((channel, frames)) = self.channels.requests.recv() => {
                match Envelope::open(frames, self.session.key()) {
                    Ok(envelope) if self.handed.hears(&envelope) => Next::Nothing,
                    Ok(envelope) => match wire::request(channel, envelope) {
                        Some(event) => Next::Event(event),
                        None => Next::Nothing,
                    },
                    Err(error) => {
                        tracing::warn!(%error, ?channel, "a message is dropped");
                        Next::Nothing
                    }
                }
            }
            event = self.runtime.next() => Next::Event(event),
            () = sleep_until(flush) => Next::Event(Event::Flush),
            Some(prepared) = self.preparations.join_next() => match prepared {
                Ok(event) => Next::Event(event),
                Err(error) => {
                    tracing::error!(%error, "preparing artifacts");
                    Next::Nothing
                }
            },
            event = self.iopub.1.recv() => {
                // Somebody listens: from now on nothing is lost, which this says.
                if let Some(socket::Event::Subscribed(_)) = event {
                    self.publish(None, Publication::Status("starting")).await;
                }
                Next::Nothing
            }
            event = self.registration.1.recv() => self.link(event).await,
            // By now the heart may have beaten.
            () = sleep_until(deadline) => match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => Next::Exit(Exit::ControllerGone),
                _ => Next::Nothing,
            },
        }
    }

    /// When the controller counts as gone.
    fn deadline(&self) -> Option<Instant> {
        let lost = self.lost_since.map(|at| at + self.config.unreachable);
        let heart = self.heart.deadline(self.hb_period);
        [lost, heart].into_iter().flatten().min()
    }

    /// The connection to the hub breaks and comes back.
    async fn link(&mut self, event: Option<socket::Event>) -> Next {
        match event {
            None => return Next::Exit(Exit::ControllerGone),
            Some(socket::Event::Disconnected(_)) => {
                self.lost_since.get_or_insert_with(Instant::now);
            }
            Some(socket::Event::Connected(_)) if self.lost_since.take().is_some() => {
                // The controller has dropped this engine, or is another one: register again. One
                // that still has it answers that the uuid is in use.
                let id = Some(self.identity.id);
                match registration(&self.identity.uuid, id, &self.session) {
                    Ok(frames) => self.send(&self.registration.0, frames).await,
                    Err(error) => tracing::error!(%error, "registering again"),
                }
            }
            Some(_) => {}
        }
        Next::Nothing
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
                Command::Publish {
                    parent,
                    publication,
                } => self.publish(parent, publication).await,
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
        let Ask::Apply {
            call: Ok(call),
            buffers,
        } = &mut request.ask
        else {
            return;
        };
        let Some(args) = buffers.last_mut().filter(|_| call.keep) else {
            return;
        };
        match self.handed.keep(args) {
            Ok(kept) => {
                args.clone_from(&kept);
                Arc::make_mut(call).host = about::host();
                let parent = Some(request.header.clone());
                self.publish(parent, Publication::Kept(Some(kept))).await;
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

    async fn publish(
        &self,
        parent: Option<phalanx_transport::wire::Header>,
        publication: Publication,
    ) {
        match wire::publication(parent, publication, &self.identity, &self.session) {
            // Waits while the controller does not read, and so does the cell.
            Ok(frames) => self.send(&self.iopub.0, frames).await,
            Err(error) => tracing::error!(%error, "a publication does not serialise"),
        }
    }

    async fn reply(&mut self, mut reply: Reply) {
        let client = &reply.request.header.session;
        for buffer in &mut reply.buffers {
            *buffer = self.handed.hand(client, std::mem::take(buffer));
        }
        let Some(sender) = self.channels.senders.get(&reply.request.channel) else {
            return;
        };
        match wire::reply(reply, &self.session) {
            Ok(frames) => self.send(sender, frames).await,
            Err(error) => tracing::error!(%error, "a reply does not serialise"),
        }
    }

    async fn send(&self, sender: &Sender, frames: socket::Frames) {
        if let Err(error) = sender.send(frames).await {
            tracing::error!(%error, "a message is lost");
        }
    }

    /// Tells the controller, and lets what was said leave the process.
    async fn leave(self, exit: &Exit) {
        drop(self.runtime);
        let mut sockets: Vec<_> = self.channels.senders.into_values().collect();
        sockets.push(self.iopub.0);
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
                    if let Err(error) = self.registration.0.try_send(frames) {
                        tracing::debug!(%error, "unregistering");
                    }
                }
                Err(error) => tracing::error!(%error, "a request does not serialise"),
            }
        }
        sockets.push(self.registration.0);
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

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
