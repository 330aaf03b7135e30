//! The handle on a connection to a controller.

use crate::actor::Actor;
use crate::async_result::AsyncResult;
use crate::connect::{self, ControllerConnectError};
use crate::engine::{ClientEvent, Engine};
use crate::error::TaskError;
use crate::request::{HandleRequest, Requests};
use crate::shared::ClientShared;
use crate::state::{State, StateEvent};
use crate::submission::Submission;
use chrono::Utc;
use phalanx_protocol::id::{EngineId, MsgId};
use phalanx_protocol::parallel::{EngineRequest, Lineage, Signal, SignalRequest};
use phalanx_sys::machine::host_name;
use phalanx_transport::{ClientConnectionFile, Session};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time limit for replies of engines on the control channel.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for which a client tries to reconnect to a lost controller.
pub const UNREACHABLE: Duration = Duration::from_secs(600);

/// A connection to a controller; clones share it. It is closed with the last clone, and pending
/// tasks then end in failure.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<ClientShared>,
    requests: Requests,
    /// The number of engines the controller had when the connection was made.
    announced: usize,
    cancel: CancellationToken,
    _ends: Arc<DropGuard>,
}

/// Closes a connection, which it does not keep open.
#[derive(Debug)]
pub struct ClientCloser {
    shared: Weak<ClientShared>,
    cancel: CancellationToken,
}

impl ClientCloser {
    /// Closes the connection: pending tasks end in failure, for this reason.
    pub fn close(&self, reason: &str) {
        if let Some(shared) = self.shared.upgrade() {
            // The first reason counts.
            let _ = shared.close_reason.set(reason.to_owned());
        }
        self.cancel.cancel();
    }
}

/// The error of engines that did not join, or did not reply, in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Fewer engines than required have joined.
    #[error("{wanted} engines not ready in {} seconds. Currently ready: {ready}", timeout.as_secs_f64())]
    NotReady {
        /// The number of engines that were waited for.
        wanted: usize,
        /// The number of engines that have joined.
        ready: usize,
        /// The timeout.
        timeout: Duration,
    },
    /// Some engines did not reply within this time.
    #[error("no answer from engines within {} seconds", .0.as_secs_f64())]
    NoReply(Duration),
    /// The connection to the controller is lost.
    #[error("the connection to the controller is lost")]
    Disconnected,
}

impl Client {
    /// Connects to the controller of a connection file.
    ///
    /// Its engines count as joined shortly afterwards, once messages from each have arrived on
    /// every channel: see [`wait_for_engines`](Self::wait_for_engines).
    ///
    /// # Errors
    /// [`ControllerConnectError`] if the address does not accept connections, the key is wrong, or the peer
    /// is not a controller.
    pub async fn connect(file: &ClientConnectionFile) -> Result<Self, ControllerConnectError> {
        Self::connect_for(file, UNREACHABLE).await
    }

    /// Like [`connect`](Self::connect), with the time for which a lost connection is retried.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_for(
        file: &ClientConnectionFile,
        unreachable: Duration,
    ) -> Result<Self, ControllerConnectError> {
        let session = Session::new(username(), file.signing_key()?);
        let (file, tunnel) = file.tunnelled().await?;
        let (sockets, engines) = connect::connect(&file, &session).await?;
        // Unbounded: see `Requests`.
        let (requests, received) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let prefix = format!("{}_{}", session.id(), std::process::id());
        let shared = Arc::new(ClientShared {
            session: prefix.clone(),
            engines: watch::Sender::new(Vec::new()),
            subscribers: Mutex::new(Vec::new()),
            submissions: AtomicU64::new(0),
            close_reason: OnceLock::new(),
        });
        let actor = Actor {
            state: State::new(prefix, host_name(), unreachable),
            file,
            _tunnel: tunnel,
            session,
            sockets,
            requests: received,
            own_requests: requests.downgrade(),
            shared: Arc::clone(&shared),
            cancel: cancel.clone(),
        };
        let announced = match &engines {
            StateEvent::Engines { engines, .. } => engines.len(),
            _ => 0,
        };
        // Ends with the guard, or when the controller is lost.
        tokio::spawn(actor.run(engines));
        Ok(Self {
            shared,
            requests,
            announced,
            cancel: cancel.clone(),
            _ends: Arc::new(cancel.drop_guard()),
        })
    }

    /// The number of engines the controller had when the connection was made; each joins once it
    /// has replied.
    pub fn announced(&self) -> usize {
        self.announced
    }

    /// The engines that have joined, ordered by id.
    pub fn engines(&self) -> Vec<Engine> {
        self.shared.engines.borrow().clone()
    }

    /// The Rust engines that have joined, ordered by id; they can run what this client sends.
    pub fn rust_engines(&self) -> Vec<Engine> {
        let mut engines = self.engines();
        engines.retain(|engine| engine.handshake().is_some());
        engines
    }

    /// Returns a handle that closes the connection.
    pub fn closer(&self) -> ClientCloser {
        ClientCloser {
            shared: Arc::downgrade(&self.shared),
            cancel: self.cancel.clone(),
        }
    }

    /// Returns true if the controller has ended or is lost for good.
    pub fn has_ended(&self) -> bool {
        self.requests.is_closed()
    }

    /// Subscribes to changes; the channel yields every later event.
    pub fn events(&self) -> mpsc::UnboundedReceiver<ClientEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut subscribers = self.shared.subscribers();
        subscribers.retain(|subscriber| !subscriber.is_closed());
        subscribers.push(sender);
        receiver
    }

    /// Returns true if this client has sent a message.
    pub(crate) fn has_sent(&self, msg_id: &MsgId) -> bool {
        let rest = msg_id.as_str().strip_prefix(&self.shared.session);
        rest.is_some_and(|rest| rest.starts_with('_'))
    }

    /// Submits cells and functions to engines, without waiting.
    ///
    /// A task whose engine does not exist ends with `EngineError`.
    pub fn submit(&self, submission: Submission) -> AsyncResult {
        let id = self.shared.next_submission();
        let requests = self.requests.clone();
        let tasks = &submission.tasks;
        let result = AsyncResult::new(id, submission.name, tasks, Utc::now(), requests);
        let request = HandleRequest::Submit {
            result: Arc::clone(result.tracker()),
            tasks: submission.tasks,
            refused: submission.refused,
        };
        if self.requests.send(request).is_err() {
            result.tracker().fail_all(&TaskError::ClientEnded);
        }
        result
    }

    /// Creates an AsyncResult of tasks that are not submitted here.
    pub(crate) fn unsubmitted(&self, name: &str, tasks: usize) -> AsyncResult {
        let id = self.shared.next_submission();
        AsyncResult::unsubmitted(id, name.to_owned(), tasks, self.requests.clone())
    }

    /// Waits until at least `n` engines have joined.
    ///
    /// # Errors
    /// `WaitError::NotReady` after the timeout, `WaitError::Disconnected` if the controller is
    /// lost.
    pub async fn wait_for_engines(
        &self,
        n: usize,
        timeout: Duration,
    ) -> Result<Vec<Engine>, WaitError> {
        self.wait_for_new_engines(n, &[], timeout).await
    }

    /// Waits until at least `n` engines other than the known ones have joined, as after a restart.
    ///
    /// # Errors
    /// `WaitError::NotReady` after the timeout, `WaitError::Disconnected` if the controller is
    /// lost.
    pub async fn wait_for_new_engines(
        &self,
        n: usize,
        known: &[Engine],
        timeout: Duration,
    ) -> Result<Vec<Engine>, WaitError> {
        let is_new = |engine: &&Engine| !known.iter().any(|known| known.uuid == engine.uuid);
        let count = |engines: &[Engine]| engines.iter().filter(is_new).count();
        let wait = self.wait_until(timeout, |engines| count(engines) >= n);
        wait.await.map_err(|error| match error {
            WaitError::NoReply(timeout) => WaitError::NotReady {
                wanted: n,
                ready: count(&self.engines()),
                timeout,
            },
            error => error,
        })
    }

    /// Shuts down these engines and waits until the controller reports that they have left.
    ///
    /// # Errors
    /// `WaitError::NoReply` after the timeout, `WaitError::Disconnected` if the controller is
    /// lost.
    pub async fn shutdown_engines(
        &self,
        engines: &[EngineId],
        timeout: Duration,
    ) -> Result<(), WaitError> {
        self.control(engines, EngineRequest::Shutdown, timeout)
            .await?;
        self.wait_until(timeout, |there| {
            !there.iter().any(|engine| engines.contains(&engine.id))
        })
        .await
        .map(drop)
    }

    /// Sends a signal to engines: SIGINT (2) interrupts the running cell.
    ///
    /// # Errors
    /// `WaitError::NoReply` if they do not reply in [`CONTROL_TIMEOUT`], `WaitError::Disconnected`
    /// if the controller is lost.
    pub async fn signal_engines(&self, engines: &[EngineId], signal: i32) -> Result<(), WaitError> {
        let signal = SignalRequest::new(Signal::Number(signal));
        let request = EngineRequest::Signal(signal);
        self.control(engines, request, CONTROL_TIMEOUT).await
    }

    /// Sends a signal to the engines that run pending tasks of this result; tasks of other clients
    /// on these engines are left alone.
    ///
    /// # Errors
    /// `WaitError::NoReply` if they do not reply in [`CONTROL_TIMEOUT`], `WaitError::Disconnected`
    /// if the controller is lost.
    pub async fn signal_tasks(&self, result: &AsyncResult, signal: i32) -> Result<(), WaitError> {
        let pending = result.tasks_where(|_, _, ended| !ended);
        if pending.is_empty() {
            return Ok(());
        }
        let request = EngineRequest::Signal(SignalRequest {
            sig: Signal::Number(signal),
            msg_ids: pending.into_iter().map(|(_, id)| id).collect(),
        });
        self.control(&result.pending(), request, CONTROL_TIMEOUT)
            .await
    }

    /// Clears the namespaces of engines.
    ///
    /// # Errors
    /// `WaitError::NoReply` if they do not reply in [`CONTROL_TIMEOUT`], `WaitError::Disconnected`
    /// if the controller is lost.
    pub async fn clear_engines(&self, engines: &[EngineId]) -> Result<(), WaitError> {
        self.control(engines, EngineRequest::Clear, CONTROL_TIMEOUT)
            .await
    }

    /// Requests from an engine the cells that led to the state of its namespace.
    ///
    /// # Errors
    /// `WaitError::NoReply` if it does not reply in [`CONTROL_TIMEOUT`], or not as a Rust engine
    /// of this version, `WaitError::Disconnected` if the controller is lost.
    pub async fn lineage(&self, engine: EngineId) -> Result<Lineage, WaitError> {
        let (done, replied) = oneshot::channel();
        self.requests
            .send(HandleRequest::Lineage { engine, done })
            .map_err(|_| WaitError::Disconnected)?;
        match tokio::time::timeout(CONTROL_TIMEOUT, replied).await {
            Ok(Ok(lineage)) => Ok(lineage),
            Ok(Err(_)) | Err(_) => Err(WaitError::NoReply(CONTROL_TIMEOUT)),
        }
    }

    /// The sender of requests to the actor; closed once the client has ended.
    pub(crate) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    async fn control(
        &self,
        engines: &[EngineId],
        request: EngineRequest,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let (done, replied) = oneshot::channel();
        let request = HandleRequest::Control {
            engines: engines.to_vec(),
            request,
            done,
        };
        self.requests
            .send(request)
            .map_err(|_| WaitError::Disconnected)?;
        match tokio::time::timeout(timeout, replied).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WaitError::Disconnected),
            Err(_) => Err(WaitError::NoReply(timeout)),
        }
    }

    async fn wait_until(
        &self,
        timeout: Duration,
        there: impl Fn(&[Engine]) -> bool,
    ) -> Result<Vec<Engine>, WaitError> {
        let mut engines = self.shared.engines.subscribe();
        let wait = async {
            tokio::select! {
                found = engines.wait_for(|engines| there(engines)) => {
                    found.map(|found| found.clone()).map_err(|_| WaitError::Disconnected)
                }
                () = self.requests.closed() => Err(WaitError::Disconnected),
            }
        };
        tokio::time::timeout(timeout, wait)
            .await
            .unwrap_or(Err(WaitError::NoReply(timeout)))
    }
}

fn username() -> String {
    std::env::var("USER").unwrap_or_else(|_| "username".to_owned())
}
