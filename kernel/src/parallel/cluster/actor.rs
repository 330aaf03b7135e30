//! The actor of the cluster: passes requests to the state and performs its commands; the cluster
//! ends with the kernel.

use super::connect::{self, ConnectedCluster, ENGINES_LIMIT};
use super::engines::LaunchedEngines;
use super::own::OwnCluster;
use super::owner::{OwnerReply, OwnerRequest, ask_owner};
use super::state::{ClusterResult, ClusterState, ClusterStateCommand, ClusterStateEvent};
use super::{ClusterError, ClusterRequest, ClusterSettings, status};
use crate::context::Programs;
use phalanx_client::{Client, ClientCloser, Engine};
use phalanx_controller::TaskDatabase;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::MimeBundle;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The size limit of task records in the embedded controller, in bytes; the kernel stores results
/// itself.
const REMEMBERED_BYTES: usize = 32 << 20;

/// The reason with which connections are closed at the kernel's end.
const KERNEL_ENDED: &str = "the kernel has ended";

/// The cluster that [`ClusterState`] knows as running.
enum ClusterHandle {
    Own(Box<OwnCluster>),
    Elsewhere(Box<ConnectedCluster>),
}

impl ClusterHandle {
    fn client(&self) -> &Client {
        match self {
            Self::Own(cluster) => cluster.client(),
            Self::Elsewhere(connected) => &connected.client,
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Own(cluster) => cluster.has_ended(),
            Self::Elsewhere(connected) => connected.has_ended(),
        }
    }
}

pub(super) async fn run(programs: Programs, requests: mpsc::UnboundedReceiver<ClusterRequest>) {
    let mut actor = ClusterActor {
        programs,
        state: ClusterState::default(),
        running: None,
        before: Vec::new(),
        left: Vec::new(),
    };
    actor.serve(requests).await;
    for closer in &actor.left {
        closer.close(KERNEL_ENDED);
    }
    match actor.running {
        Some(ClusterHandle::Own(cluster)) => cluster.end().await,
        // Nobody waits for its results any more.
        Some(ClusterHandle::Elsewhere(connected)) => connected.client.closer().close(KERNEL_ENDED),
        None => {}
    }
}

struct ClusterActor {
    programs: Programs,
    state: ClusterState,
    running: Option<ClusterHandle>,
    /// The engines before the last request to an owner.
    before: Vec<Engine>,
    /// The connections to the clusters that were left, whose results may still be pending.
    left: Vec<ClientCloser>,
}

/// A request that changes the cluster.
struct ClusterChange {
    event: ClusterStateEvent,
    interrupted: CancellationToken,
    reply: ReplyCallback,
}

/// Sends a result to the receiver that waits for it, which may have been dropped.
type ReplyCallback = Box<dyn FnOnce(Result<ClusterResult, Failure>) + Send>;

/// Returns a callback that sends the content of a result, which `content` unwraps.
fn reply_with<T: Send + 'static>(
    reply: oneshot::Sender<Result<T, Failure>>,
    content: fn(ClusterResult) -> Option<T>,
) -> ReplyCallback {
    Box::new(move |result| match result.map(content) {
        Ok(Some(content)) => drop(reply.send(Ok(content))),
        Ok(None) => tracing::error!("a request about the cluster has the result of another"),
        Err(failure) => drop(reply.send(Err(failure))),
    })
}

impl ClusterActor {
    async fn serve(&mut self, mut requests: mpsc::UnboundedReceiver<ClusterRequest>) {
        while let Some(request) = requests.recv().await {
            if self.running.as_ref().is_some_and(ClusterHandle::has_ended) {
                let ended = ClusterStateEvent::Ended;
                self.handle(ended, &CancellationToken::new()).await;
            }
            let Some(change) = self.serve_query(request).await else {
                continue;
            };
            if let Some(result) = self.handle(change.event, &change.interrupted).await {
                (change.reply)(result);
            }
        }
    }

    /// Replies to a request that changes nothing; returns any other. Receivers may have been
    /// dropped.
    async fn serve_query(&mut self, request: ClusterRequest) -> Option<ClusterChange> {
        match request {
            ClusterRequest::Status { reply } => {
                let _ = reply.send(self.status().await);
            }
            ClusterRequest::Pids { reply } => {
                let _ = reply.send(self.pids());
            }
            ClusterRequest::Client { reply } => {
                let _ = reply.send(self.client());
            }
            ClusterRequest::Stopped { reply } => {
                let _ = reply.send(self.state.take_stopped());
            }
            request => return self.change(request),
        }
        None
    }

    /// Returns the change that a request asks for, if it does.
    fn change(&mut self, request: ClusterRequest) -> Option<ClusterChange> {
        Some(match request {
            ClusterRequest::Start {
                request,
                interrupted,
                reply,
            } => {
                let registered = self.registered();
                ClusterChange {
                    event: ClusterStateEvent::Start {
                        request,
                        registered,
                    },
                    interrupted,
                    reply: reply_with(reply, |result| match result {
                        ClusterResult::Started(started) => Some(started),
                        _ => None,
                    }),
                }
            }
            ClusterRequest::Stop { reply } => ClusterChange {
                event: ClusterStateEvent::Stop,
                interrupted: CancellationToken::new(),
                reply: reply_with(reply, |result| match result {
                    ClusterResult::Stopped(stopped) => Some(stopped),
                    _ => None,
                }),
            },
            ClusterRequest::Scale {
                engines,
                interrupted,
                reply,
            } => ClusterChange {
                event: ClusterStateEvent::Scale { engines },
                interrupted,
                reply: reply_with(reply, |result| match result {
                    ClusterResult::Scaled { before, now } => Some((before, now)),
                    _ => None,
                }),
            },
            ClusterRequest::Restart {
                targets,
                interrupted,
                reply,
            } => {
                let engines = self.restartable();
                ClusterChange {
                    event: ClusterStateEvent::Restart { targets, engines },
                    interrupted,
                    reply: reply_with(reply, |result| match result {
                        ClusterResult::Restarted(engines) => Some(engines),
                        _ => None,
                    }),
                }
            }
            ClusterRequest::Connect {
                to,
                interrupted,
                reply,
            } => {
                let registered = self.registered();
                ClusterChange {
                    event: ClusterStateEvent::Connect { to, registered },
                    interrupted,
                    reply: reply_with(reply, |result| match result {
                        ClusterResult::Connected(name, engines) => Some((name, engines)),
                        _ => None,
                    }),
                }
            }
            ClusterRequest::Status { .. }
            | ClusterRequest::Pids { .. }
            | ClusterRequest::Client { .. }
            | ClusterRequest::Stopped { .. } => return None,
        })
    }

    /// Lets the state handle an event and performs the commands that follow, up to the result of
    /// the request.
    async fn handle(
        &mut self,
        event: ClusterStateEvent,
        interrupted: &CancellationToken,
    ) -> Option<Result<ClusterResult, Failure>> {
        let mut commands = VecDeque::from(self.state.handle(event, Instant::now()));
        let mut result = None;
        while let Some(command) = commands.pop_front() {
            let event = match command {
                ClusterStateCommand::Reply(reply) => {
                    result = Some(reply);
                    continue;
                }
                ClusterStateCommand::Drop => {
                    match self.running.take() {
                        Some(ClusterHandle::Own(cluster)) => cluster.end().await,
                        Some(ClusterHandle::Elsewhere(connected)) => self.leave(&connected),
                        None => {}
                    }
                    continue;
                }
                ClusterStateCommand::Start(request) => self.start(request, interrupted).await,
                ClusterStateCommand::Connect(to) => self.connect(to, interrupted).await,
                ClusterStateCommand::Stop => Ok(self.stop().await),
                ClusterStateCommand::AskOwner(request) => {
                    let replied = self.ask_owner(request, interrupted).await;
                    replied.map(ClusterStateEvent::OwnerReplied)
                }
                ClusterStateCommand::Clear(engines) => self.clear(&engines).await,
                ClusterStateCommand::WaitForNew(engines) => Ok(self.wait_for_new(engines).await),
            };
            let event = event.unwrap_or_else(ClusterStateEvent::Failed);
            commands.extend(self.state.handle(event, Instant::now()));
        }
        result
    }

    /// Leaves a cluster that was started elsewhere; the results of one that has stopped will not come.
    fn leave(&mut self, connected: &ConnectedCluster) {
        let closer = connected.client.closer();
        match connected.has_ended() {
            true => closer.close(connect::STOPPED),
            false => self.left.push(closer),
        }
    }

    fn client(&self) -> Option<Client> {
        let running = self.running.as_ref();
        running.map(|running| running.client().clone())
    }

    /// Returns the number of registered engines.
    fn registered(&self) -> usize {
        self.client().map_or(0, |client| client.engines().len())
    }

    /// Returns the engines that a restart can name.
    fn restartable(&self) -> Vec<EngineId> {
        match &self.running {
            Some(ClusterHandle::Own(cluster)) => cluster.restartable(),
            Some(ClusterHandle::Elsewhere(connected)) => {
                let engines = connected.client.rust_engines();
                engines.iter().map(|engine| engine.id).collect()
            }
            None => Vec::new(),
        }
    }

    async fn start(
        &mut self,
        request: StartRequest,
        interrupted: &CancellationToken,
    ) -> Result<ClusterStateEvent, Failure> {
        let mut settings = ClusterSettings::new(request, None, &self.programs)?;
        settings.controller.database = TaskDatabase::Memory {
            bytes: REMEMBERED_BYTES,
        };
        let (started, cluster) = OwnCluster::start(settings, interrupted).await?;
        self.running = Some(ClusterHandle::Own(Box::new(cluster)));
        Ok(ClusterStateEvent::Started(started))
    }

    async fn connect(
        &mut self,
        to: Option<String>,
        interrupted: &CancellationToken,
    ) -> Result<ClusterStateEvent, Failure> {
        let connected = tokio::select! {
            connected = connect::connect(to) => connected?,
            () = interrupted.cancelled() => return Err(ClusterError::Interrupted.into()),
        };
        let event = ClusterStateEvent::Connected {
            name: connected.name.clone(),
            has_owner: connected.owner.is_some(),
            engines: connected.client.engines().len(),
        };
        self.running = Some(ClusterHandle::Elsewhere(Box::new(connected)));
        Ok(event)
    }

    async fn stop(&mut self) -> ClusterStateEvent {
        let engines = match self.running.take() {
            Some(ClusterHandle::Own(cluster)) => cluster.stop().await,
            Some(ClusterHandle::Elsewhere(_)) | None => 0,
        };
        ClusterStateEvent::Stopped { engines }
    }

    /// Sends a request to the owner of the cluster: this process, or another one on this machine.
    async fn ask_owner(
        &mut self,
        request: OwnerRequest,
        interrupted: &CancellationToken,
    ) -> Result<OwnerReply, Failure> {
        match &mut self.running {
            Some(ClusterHandle::Own(cluster)) => cluster.handle(request, interrupted).await,
            Some(ClusterHandle::Elsewhere(connected)) => {
                let Some(owner) = &mut connected.owner else {
                    return Err(ClusterError::NotRunning.into());
                };
                self.before = connected.client.engines();
                tokio::select! {
                    reply = ask_owner(owner, &request) => reply,
                    () = interrupted.cancelled() => Err(ClusterError::Interrupted.into()),
                }
            }
            // The state sends requests to known owners only.
            None => Err(ClusterError::NotRunning.into()),
        }
    }

    async fn clear(&mut self, engines: &[EngineId]) -> Result<ClusterStateEvent, Failure> {
        if let Some(client) = self.client() {
            let cleared = client.clear_engines(engines).await;
            cleared.map_err(ClusterError::from)?;
        }
        Ok(ClusterStateEvent::Cleared)
    }

    /// Waits for engines besides those before the request to the owner, up to a time limit.
    async fn wait_for_new(&mut self, engines: usize) -> ClusterStateEvent {
        if let Some(client) = self.client() {
            let registered = client.wait_for_new_engines(engines, &self.before, ENGINES_LIMIT);
            if let Err(error) = registered.await {
                tracing::debug!(%error, "new engines have not registered in time");
            }
        }
        ClusterStateEvent::Registered
    }

    async fn status(&mut self) -> MimeBundle {
        match &mut self.running {
            Some(ClusterHandle::Own(cluster)) => {
                let file = cluster.client_path().display().to_string();
                let access = format!("other clients connect with {file}");
                let client = cluster.client().clone();
                status::status(&client, cluster.engines(), &access).await
            }
            Some(ClusterHandle::Elsewhere(connected)) => {
                let access = format!("connected to {}", connected.name);
                let mut launched = LaunchedEngines::default();
                status::status(&connected.client, &mut launched, &access).await
            }
            None => status::none(self.state.take_stopped().as_ref()),
        }
    }

    fn pids(&mut self) -> Vec<(EngineId, u32)> {
        match &mut self.running {
            Some(ClusterHandle::Own(cluster)) => cluster.pids(),
            Some(ClusterHandle::Elsewhere(_)) | None => Vec::new(),
        }
    }
}
