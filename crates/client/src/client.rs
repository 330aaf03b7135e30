//! The handle on a connection to a controller.

use crate::actor::Actor;
use crate::connect::{self, ConnectError};
use crate::engine::{ClientEvent, Engine};
use crate::request::{Request, Requests};
use crate::result::AsyncResult;
use crate::shared::ClientShared;
use crate::state::{Event, State};
use crate::submission::Submission;
use chrono::Utc;
use phalanx_protocol::id::{AsyncResultId, EngineId};
use phalanx_protocol::parallel::{EngineRequest, Lineage, Signal};
use phalanx_sys::machine::host_name;
use phalanx_transport::{ClientConnectionFile, Session};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Time limit for the engines' replies on the control channel.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for which a client that has lost its controller tries to reach it again.
pub const UNREACHABLE: Duration = Duration::from_secs(600);

/// A connection to a controller; clones share it. It ends with the last clone, and every task
/// still under way then ends in failure.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<ClientShared>,
    requests: Requests,
    /// Engines the controller had when the connection was made.
    announced: usize,
    _ends: Arc<DropGuard>,
}

/// Engines did not come, or did not answer, in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Fewer engines than asked for.
    #[error("{wanted} engines not ready in {} seconds. Currently ready: {ready}", timeout.as_secs_f64())]
    NotReady {
        /// The number of engines that were waited for.
        wanted: usize,
        /// The number of engines that have joined.
        ready: usize,
        /// The time that was waited.
        timeout: Duration,
    },
    /// Some engines gave no answer.
    #[error("no answer from engines within {} seconds", .0.as_secs_f64())]
    NoAnswer(Duration),
    /// The controller is gone.
    #[error("the connection to the controller is lost")]
    Disconnected,
}

impl Client {
    /// Connects to the controller of a connection file.
    ///
    /// Engines that are there count as joined a moment later, once each is heard on every channel:
    /// see [`wait_for_engines`](Self::wait_for_engines).
    ///
    /// # Errors
    /// When nobody listens there, the key is wrong, or what listens is no controller.
    pub async fn connect(file: &ClientConnectionFile) -> Result<Self, ConnectError> {
        Self::connect_for(file, UNREACHABLE).await
    }

    /// The same, with how long it is tried to reach a controller again that is lost.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_for(
        file: &ClientConnectionFile,
        unreachable: Duration,
    ) -> Result<Self, ConnectError> {
        let session = Session::new(username(), file.signing_key()?);
        let (file, tunnel) = file.tunnelled().await?;
        let (sockets, engines) = connect::connect(&file, &session).await?;
        // Unbounded: see `Requests`.
        let (requests, received) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let shared = Arc::new(ClientShared {
            engines: watch::Sender::new(Vec::new()),
            subscribers: Mutex::new(Vec::new()),
            results: AtomicU64::new(0),
        });
        let prefix = format!("{}_{}", session.id(), std::process::id());
        let actor = Actor {
            state: State::new(prefix, host_name(), unreachable),
            file,
            _tunnel: tunnel,
            session,
            sockets,
            requests: received,
            answers: requests.downgrade(),
            shared: Arc::clone(&shared),
            cancel: cancel.clone(),
        };
        let announced = match &engines {
            Event::Engines { engines, .. } => engines.len(),
            _ => 0,
        };
        // Ends with the guard, or when the controller is gone.
        tokio::spawn(actor.run(engines));
        Ok(Self {
            shared,
            requests,
            announced,
            _ends: Arc::new(cancel.drop_guard()),
        })
    }

    /// The number of engines the controller had when the connection was made; each joins once it
    /// answers.
    pub fn announced(&self) -> usize {
        self.announced
    }

    /// The engines that are there, by id.
    pub fn engines(&self) -> Vec<Engine> {
        self.shared.engines.borrow().clone()
    }

    /// The Rust engines that are there, by id: those that run what this client sends.
    pub fn rust_engines(&self) -> Vec<Engine> {
        let mut engines = self.engines();
        engines.retain(|engine| engine.handshake().is_some());
        engines
    }

    /// Subscribes to changes: the channel carries every event from now on.
    pub fn events(&self) -> mpsc::UnboundedReceiver<ClientEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut subscribers = self.shared.subscribers();
        subscribers.retain(|subscriber| !subscriber.is_closed());
        subscribers.push(sender);
        receiver
    }

    /// Runs cells and functions on engines; returns at once.
    ///
    /// A task whose engine is not there ends in `EngineError`.
    pub fn submit(&self, submission: Submission) -> AsyncResult {
        let id = AsyncResultId(self.shared.results.fetch_add(1, Ordering::Relaxed) + 1);
        let requests = self.requests.clone();
        let tasks = &submission.tasks;
        let result = AsyncResult::new(id, submission.name, tasks, Utc::now(), requests);
        let request = Request::Submit {
            result: result.clone(),
            tasks: submission.tasks,
            refused: submission.refused,
        };
        if self.requests.send(request).is_err() {
            result.fail_all("the connection to the controller is lost");
        }
        result
    }

    /// An AsyncResult of tasks that are not submitted here.
    pub(crate) fn unsubmitted(&self, name: &str, tasks: usize) -> AsyncResult {
        let id = AsyncResultId(self.shared.results.fetch_add(1, Ordering::Relaxed) + 1);
        AsyncResult::unsubmitted(id, name.to_owned(), tasks, self.requests.clone())
    }

    /// Waits until at least `n` engines are there.
    ///
    /// # Errors
    /// When they are not in time, or the controller is gone.
    pub async fn wait_for_engines(
        &self,
        n: usize,
        timeout: Duration,
    ) -> Result<Vec<Engine>, WaitError> {
        let wait = self.wait_until(timeout, |engines| engines.len() >= n);
        wait.await.map_err(|error| match error {
            WaitError::NoAnswer(timeout) => WaitError::NotReady {
                wanted: n,
                ready: self.engines().len(),
                timeout,
            },
            error => error,
        })
    }

    /// Ends these engines and waits until the controller says that they are gone.
    ///
    /// # Errors
    /// When they are not in time, or the controller is gone.
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

    /// Sends a signal to engines: SIGINT (2) ends the cell that runs.
    ///
    /// # Errors
    /// When they do not answer in [`CONTROL_TIMEOUT`], or the controller is gone.
    pub async fn signal_engines(&self, engines: &[EngineId], signal: i32) -> Result<(), WaitError> {
        let order = EngineRequest::Signal(Signal::Number(signal));
        self.control(engines, order, CONTROL_TIMEOUT).await
    }

    /// Clears the namespaces of engines.
    ///
    /// # Errors
    /// When they do not answer in [`CONTROL_TIMEOUT`], or the controller is gone.
    pub async fn clear_engines(&self, engines: &[EngineId]) -> Result<(), WaitError> {
        self.control(engines, EngineRequest::Clear, CONTROL_TIMEOUT)
            .await
    }

    /// Asks an engine for the cells that led to the state of its namespace.
    ///
    /// # Errors
    /// When it does not answer in [`CONTROL_TIMEOUT`] or not as a Rust engine of this version, or the
    /// controller is gone.
    pub async fn lineage(&self, engine: EngineId) -> Result<Lineage, WaitError> {
        let (done, answered) = oneshot::channel();
        self.requests
            .send(Request::Lineage { engine, done })
            .map_err(|_| WaitError::Disconnected)?;
        match tokio::time::timeout(CONTROL_TIMEOUT, answered).await {
            Ok(Ok(lineage)) => Ok(lineage),
            Ok(Err(_)) | Err(_) => Err(WaitError::NoAnswer(CONTROL_TIMEOUT)),
        }
    }

    /// The way to the actor; closed once the client has ended.
    pub(crate) fn requests(&self) -> Requests {
        self.requests.clone()
    }

    async fn control(
        &self,
        engines: &[EngineId],
        order: EngineRequest,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let (done, answered) = oneshot::channel();
        let request = Request::Control {
            engines: engines.to_vec(),
            order,
            done,
        };
        self.requests
            .send(request)
            .map_err(|_| WaitError::Disconnected)?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(WaitError::Disconnected),
            Err(_) => Err(WaitError::NoAnswer(timeout)),
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
            .unwrap_or(Err(WaitError::NoAnswer(timeout)))
    }
}

fn username() -> String {
    std::env::var("USER").unwrap_or_else(|_| "username".to_owned())
}
