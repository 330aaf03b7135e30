//! The decisions about the cluster: the running one, and the steps that a request takes. Pure; one
//! request is served at a time.

use super::owner::{OwnerReply, OwnerRequest};
use super::{ClusterError, StartedCluster, StoppedCluster};
use crate::magic::Targets;
use phalanx_launcher::StartRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::time::Instant;

/// The running cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RunningCluster {
    /// Started by this kernel, with which it ends.
    Own,
    /// Started elsewhere; it outlives this kernel.
    Elsewhere {
        /// Its id or connection file.
        name: String,
        /// True if its owner takes requests of this kernel.
        has_owner: bool,
    },
}

/// The state of the kernel's cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    running: Option<RunningCluster>,
    /// The end of a cluster that was stopped elsewhere, until it is reported.
    stopped: Option<ClusterError>,
    request: Option<CurrentRequest>,
}

/// The request that is being served, with what is known of its reply.
#[derive(Debug)]
enum CurrentRequest {
    Start,
    /// The start of the missing engines of a running cluster, as when a notebook is run again.
    Complete {
        before: usize,
        wanted: usize,
        began: Instant,
    },
    Stop,
    Scale {
        before: usize,
        now: usize,
    },
    Restart {
        engines: usize,
    },
    Connect,
}

/// An event of the cluster.
#[derive(Debug)]
pub(super) enum ClusterStateEvent {
    /// The running cluster was found to have ended without a request of this kernel.
    Ended,
    /// Start a cluster, or the missing ones of `registered` engines.
    Start {
        request: StartRequest,
        registered: usize,
    },
    /// Stop the cluster.
    Stop,
    /// Start or stop engines to reach a number of engines.
    Scale { engines: usize },
    /// Restart engines; `engines` are those that can be restarted.
    Restart {
        targets: Option<Targets>,
        engines: Vec<EngineId>,
    },
    /// Connect to a cluster; `registered` engines belong to a running one.
    Connect {
        to: Option<String>,
        registered: usize,
    },
    /// The cluster was started.
    Started(StartedCluster),
    /// The kernel is connected to a cluster.
    Connected {
        name: String,
        has_owner: bool,
        engines: usize,
    },
    /// The cluster was stopped.
    Stopped { engines: usize },
    /// The owner of the cluster has carried out a request.
    OwnerReplied(OwnerReply),
    /// The namespaces of engines are cleared.
    Cleared,
    /// New engines are registered, or did not register in time, which is the owner's concern.
    Registered,
    /// A command has failed.
    Failed(Failure),
}

/// A command for the cluster.
#[derive(Debug, PartialEq)]
pub(super) enum ClusterStateCommand {
    /// Start a controller and engines; `Started` or `Failed` follows.
    Start(StartRequest),
    /// Connect to a cluster that was started elsewhere; `Connected` or `Failed` follows.
    Connect(Option<String>),
    /// Stop the cluster of this kernel; `Stopped` follows.
    Stop,
    /// Drop the connection, and end what is left of a cluster of this kernel.
    Drop,
    /// Send a request to the owner of the cluster, this process or another one; `OwnerReplied` or
    /// `Failed` follows.
    AskOwner(OwnerRequest),
    /// Clear the namespaces of engines; `Cleared` or `Failed` follows.
    Clear(Vec<EngineId>),
    /// Wait for this number of engines besides those before the request to the owner; `Registered`
    /// follows.
    WaitForNew(usize),
    /// Reply to the request.
    Reply(Result<ClusterResult, Failure>),
}

/// The result of a request, by its kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ClusterResult {
    Started(StartedCluster),
    Stopped(StoppedCluster),
    Scaled {
        before: usize,
        now: usize,
    },
    Restarted(usize),
    /// The name of the cluster, and the number of its engines.
    Connected(String, usize),
}

impl ClusterState {
    /// Takes the end of a cluster that was stopped elsewhere, to report it.
    pub(super) fn take_stopped(&mut self) -> Option<ClusterError> {
        self.stopped.take()
    }

    /// Handles an event at time `now` and returns the commands to perform.
    pub(super) fn handle(
        &mut self,
        event: ClusterStateEvent,
        now: Instant,
    ) -> Vec<ClusterStateCommand> {
        let handled = match event {
            ClusterStateEvent::Ended => return self.ended(),
            ClusterStateEvent::Start {
                request,
                registered,
            } => self.start(request, registered, now),
            ClusterStateEvent::Stop => self.stop(),
            ClusterStateEvent::Scale { engines } => {
                let (before, now) = (engines, engines);
                self.request = Some(CurrentRequest::Scale { before, now });
                self.ask_owner(OwnerRequest::Scale { engines })
            }
            ClusterStateEvent::Restart { targets, engines } => self.restart(targets, engines),
            ClusterStateEvent::Connect { to, registered } => self.connect(to, registered),
            ClusterStateEvent::Started(started) => {
                self.running = Some(RunningCluster::Own);
                Ok(self.reply(ClusterResult::Started(started)))
            }
            ClusterStateEvent::Connected {
                name,
                has_owner,
                engines,
            } => {
                self.running = Some(RunningCluster::Elsewhere {
                    name: name.clone(),
                    has_owner,
                });
                Ok(self.reply(ClusterResult::Connected(name, engines)))
            }
            ClusterStateEvent::Stopped { engines } => {
                Ok(self.reply(ClusterResult::Stopped(StoppedCluster::Ended { engines })))
            }
            ClusterStateEvent::OwnerReplied(reply) => Ok(self.owner_replied(&reply, now)),
            ClusterStateEvent::Cleared | ClusterStateEvent::Registered => Ok(self.done(now)),
            ClusterStateEvent::Failed(failure) => Err(failure),
        };
        handled.unwrap_or_else(|failure| {
            self.request = None;
            vec![ClusterStateCommand::Reply(Err(failure))]
        })
    }

    fn reply(&mut self, result: ClusterResult) -> Vec<ClusterStateCommand> {
        self.request = None;
        vec![ClusterStateCommand::Reply(Ok(result))]
    }

    /// Forgets a cluster that was stopped elsewhere.
    fn ended(&mut self) -> Vec<ClusterStateCommand> {
        let Some(running) = self.running.take() else {
            return Vec::new();
        };
        self.stopped = Some(match running {
            RunningCluster::Own => ClusterError::StoppedByClient,
            RunningCluster::Elsewhere { name, .. } => ClusterError::Stopped(name),
        });
        vec![ClusterStateCommand::Drop]
    }

    /// Returns the failure of a request without a running cluster.
    fn not_running(&mut self) -> Failure {
        self.stopped
            .take()
            .unwrap_or(ClusterError::NotRunning)
            .into()
    }

    fn start(
        &mut self,
        request: StartRequest,
        before: usize,
        now: Instant,
    ) -> Result<Vec<ClusterStateCommand>, Failure> {
        if self.running.is_none() {
            self.stopped = None;
            self.request = Some(CurrentRequest::Start);
            return Ok(vec![ClusterStateCommand::Start(request)]);
        }
        let wanted = request.engines.unwrap_or(before).max(before);
        self.request = Some(CurrentRequest::Complete {
            before,
            wanted,
            began: now,
        });
        if wanted == before {
            return Ok(self.done(now));
        }
        self.ask_owner(OwnerRequest::Scale { engines: wanted })
    }

    /// Stops the cluster, or disconnects from it if it was started elsewhere.
    fn stop(&mut self) -> Result<Vec<ClusterStateCommand>, Failure> {
        match self.running.take() {
            Some(RunningCluster::Own) => {
                self.request = Some(CurrentRequest::Stop);
                Ok(vec![ClusterStateCommand::Stop])
            }
            Some(RunningCluster::Elsewhere { name, .. }) => {
                let mut commands = vec![ClusterStateCommand::Drop];
                let left = StoppedCluster::Left { cluster: name };
                commands.extend(self.reply(ClusterResult::Stopped(left)));
                Ok(commands)
            }
            None => Err(self.not_running()),
        }
    }

    fn restart(
        &mut self,
        targets: Option<Targets>,
        mut there: Vec<EngineId>,
    ) -> Result<Vec<ClusterStateCommand>, Failure> {
        if self.running.is_none() {
            return Err(self.not_running());
        }
        let elsewhere = match self.running {
            Some(RunningCluster::Elsewhere { has_owner, .. }) => Some(has_owner),
            _ => None,
        };
        // The owner elsewhere also restarts engines that have ended.
        if there.is_empty() && (elsewhere != Some(true) || targets.is_some()) {
            return Err(ClusterError::NoneToRestart.into());
        }
        there.sort_unstable();
        let engines = targets
            .map(|targets| targets.resolve(&there))
            .transpose()
            .map_err(ClusterError::from)?;
        let count = engines.as_ref().map_or(there.len(), Vec::len);
        self.request = Some(CurrentRequest::Restart { engines: count });
        match elsewhere {
            // The processes belong to another owner, so only their namespaces are cleared.
            Some(false) => Ok(vec![ClusterStateCommand::Clear(engines.unwrap_or(there))]),
            _ => self.ask_owner(OwnerRequest::Restart { engines }),
        }
    }

    fn connect(
        &mut self,
        to: Option<String>,
        engines: usize,
    ) -> Result<Vec<ClusterStateCommand>, Failure> {
        if self.running.is_some() {
            return Err(ClusterError::Running { engines }.into());
        }
        self.stopped = None;
        self.request = Some(CurrentRequest::Connect);
        Ok(vec![ClusterStateCommand::Connect(to)])
    }

    fn ask_owner(&mut self, request: OwnerRequest) -> Result<Vec<ClusterStateCommand>, Failure> {
        match &self.running {
            Some(RunningCluster::Elsewhere {
                name,
                has_owner: false,
            }) => Err(ClusterError::NotOwned {
                cluster: name.clone(),
                request,
            }
            .into()),
            Some(_) => Ok(vec![ClusterStateCommand::AskOwner(request)]),
            None => Err(self.not_running()),
        }
    }

    fn owner_replied(&mut self, reply: &OwnerReply, time: Instant) -> Vec<ClusterStateCommand> {
        let (before, now) = match *reply {
            OwnerReply::Scaled { before, now } => (before, now),
            OwnerReply::Restarted { engines } => (engines, engines),
        };
        let new = match &mut self.request {
            Some(CurrentRequest::Restart { engines }) => {
                *engines = now;
                now
            }
            Some(request) => {
                if let CurrentRequest::Scale { .. } = request {
                    *request = CurrentRequest::Scale { before, now };
                }
                now.saturating_sub(before)
            }
            None => return Vec::new(),
        };
        match self.running {
            // The next cell is to use them.
            Some(RunningCluster::Elsewhere { .. }) => vec![ClusterStateCommand::WaitForNew(new)],
            // This process has waited for its engines.
            _ => self.done(time),
        }
    }

    /// Replies to a request whose last step is done.
    fn done(&mut self, now: Instant) -> Vec<ClusterStateCommand> {
        let result = match self.request.take() {
            Some(CurrentRequest::Complete {
                before,
                wanted,
                began,
            }) => ClusterResult::Started(StartedCluster {
                engines: wanted,
                before: Some(before),
                took: now.saturating_duration_since(began),
                is_open: false,
            }),
            Some(CurrentRequest::Scale { before, now }) => ClusterResult::Scaled { before, now },
            Some(CurrentRequest::Restart { engines }) => ClusterResult::Restarted(engines),
            Some(CurrentRequest::Start | CurrentRequest::Stop | CurrentRequest::Connect) | None => {
                return Vec::new();
            }
        };
        self.reply(result)
    }
}

#[cfg(test)]
mod tests;
