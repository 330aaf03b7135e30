//! The comms of a session: their states, and the delivery of their messages. Pure.
//!
//! Comms outlive the runtime and every page: this is the only copy of a widget's state, which the
//! code's handle and the frontends' views follow.

mod control;
mod event_queue;

use crate::channel::{Publication, Requester};
use bytes::Bytes;
use control::{CONTROL_TARGET, update_states};
use event_queue::{EventQueue, is_update};
use phalanx_protocol::comm::{Buffer, CommEvent, CommMessage, CommRequest, WIDGET_TARGET};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::CommId;
use phalanx_protocol::jupyter::{self, CommClose, CommInfoReply, CommMsg, CommOpen};
use phalanx_protocol::output::Display;
use phalanx_protocol::widget::{WidgetDisplays, WidgetModel};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The shortest time between two updates of a widget by the code; those in between are merged.
const UPDATE_INTERVAL: Duration = Duration::from_millis(50);

/// All comms of a session.
#[derive(Debug)]
pub struct Comms {
    comms: BTreeMap<CommId, Comm>,
    displays: WidgetDisplays,
    /// The targets for which frontends may open comms.
    accepted: BTreeSet<String>,
    events: EventQueue,
}

#[derive(Debug)]
struct Comm {
    target: String,
    /// False once the comm is closed. A closed widget's state can still be read through its handle.
    open: bool,
    model: WidgetModel,
    /// True if the code receives the frontends' messages.
    observed: bool,
    /// The time at which the code's last update was sent.
    updated: Option<Instant>,
    /// The merged updates delayed since, and the request that caused them.
    waiting: Option<(Requester, WidgetModel)>,
}

/// A command of the comms.
#[derive(Debug)]
pub enum CommCommand {
    /// Publish a comm message on iopub.
    Publish(Publication),
    /// Wake the code, on behalf of this request, to handle the queued events.
    Wake(Requester),
}

impl Default for Comms {
    fn default() -> Self {
        Self {
            comms: BTreeMap::new(),
            displays: WidgetDisplays::new(true),
            accepted: BTreeSet::new(),
            events: EventQueue::default(),
        }
    }
}

impl Comms {
    /// Handles a frontend's action.
    pub fn frontend(&mut self, from: &Requester, event: CommEvent) -> Vec<CommCommand> {
        let mut commands = Vec::new();
        match event {
            CommEvent::Opened { target, message } => {
                self.opened(from, target, message, &mut commands);
            }
            CommEvent::Message(message) => self.received(from, message, &mut commands),
            CommEvent::Closed(id) => {
                if let Some(comm) = self.comms.get_mut(&id).filter(|comm| comm.open) {
                    comm.open = false;
                    if comm.observed {
                        self.wake(from, CommEvent::Closed(id), &mut commands);
                    }
                }
            }
        }
        commands
    }

    /// Returns the open comms of a target, or of all targets.
    pub fn info(&self, target: Option<&str>) -> CommInfoReply {
        let comms = self
            .comms
            .iter()
            .filter(|(_, comm)| comm.open)
            .filter(|(_, comm)| target.is_none_or(|target| comm.target == target))
            .map(|(id, comm)| {
                let target_name = comm.target.clone();
                (wire_id(id), jupyter::CommInfo { target_name })
            });
        CommInfoReply {
            comms: comms.collect(),
            ..CommInfoReply::default()
        }
    }

    /// Handles a request of the code, on behalf of the request that runs the code.
    pub fn library(
        &mut self,
        cause: &Requester,
        request: CommRequest,
        now: Instant,
    ) -> (HostReply, Vec<CommCommand>) {
        let mut commands = Vec::new();
        let reply = match request {
            CommRequest::Open { target, comms } => {
                for message in comms {
                    self.open(cause, &target, message, &mut commands);
                }
                HostReply::Done
            }
            CommRequest::Send(message) => self.send(cause, message, now, &mut commands),
            CommRequest::Close(ids) => {
                for id in ids {
                    self.close(cause, &id, &mut commands);
                }
                HostReply::Done
            }
            CommRequest::State(id) => {
                let comm = self.comms.get(&id);
                HostReply::CommState(comm.map(|comm| comm.model.state.clone()))
            }
            CommRequest::Buffers(id) => {
                let comm = self.comms.get(&id);
                HostReply::CommBuffers(comm.map(|comm| comm.model.buffers()).unwrap_or_default())
            }
            CommRequest::Display(id) => {
                let models = |id: &CommId| self.comms.get(id).map(|comm| &comm.model);
                match self.displays.display(&id, &models, now) {
                    Some(display) => HostReply::CommDisplay(display),
                    None => HostReply::Failed(UnknownComm(id).into()),
                }
            }
            CommRequest::Observe(id) => match self.comms.get_mut(&id) {
                Some(comm) => {
                    comm.observed = true;
                    HostReply::Done
                }
                None => HostReply::Failed(UnknownComm(id).into()),
            },
            CommRequest::Accept(target) => {
                self.accepted.insert(target);
                HostReply::Done
            }
            CommRequest::NextEvent => HostReply::CommEvent(self.events.pop()),
            CommRequest::Capture { comm_id, on } => {
                // Updates sent before are not part of the capture.
                commands.extend(self.flush());
                let msg_id = if on { cause.msg_id() } else { "" };
                let data = Map::from_iter([
                    ("method".to_owned(), json!("update")),
                    ("state".to_owned(), json!({"msg_id": msg_id})),
                ]);
                let reply = self.send(cause, message(comm_id, data), now, &mut commands);
                commands.extend(self.flush());
                reply
            }
        };
        (reply, commands)
    }

    /// Returns the time at which [`Self::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let waiting = self.comms.values().filter(|comm| comm.waiting.is_some());
        waiting
            .filter_map(|comm| Some(comm.updated? + UPDATE_INTERVAL))
            .min()
    }

    /// Sends the delayed updates that are due.
    pub fn tick(&mut self, now: Instant) -> Vec<CommCommand> {
        self.send_waiting(|comm| {
            comm.updated
                .is_none_or(|at| now >= at + UPDATE_INTERVAL)
                .then_some(now)
        })
    }

    /// Sends all delayed updates, because the code that sent them has ended.
    pub fn flush(&mut self) -> Vec<CommCommand> {
        self.send_waiting(|comm| comm.updated)
    }

    /// Returns the time at which a console's displays are out of date.
    pub fn displays_due(&self) -> Option<Instant> {
        self.displays.due()
    }

    /// Returns the updates of displays whose widgets have changed.
    pub fn displays(&mut self, now: Instant) -> Vec<Display> {
        let models = |id: &CommId| self.comms.get(id).map(|comm| &comm.model);
        self.displays.updates(&models, now)
    }

    fn send_waiting(&mut self, due: impl Fn(&Comm) -> Option<Instant>) -> Vec<CommCommand> {
        let mut commands = Vec::new();
        for (id, comm) in &mut self.comms {
            if let Some(at) = due(comm)
                && let Some((cause, update)) = comm.waiting.take()
            {
                comm.updated = Some(at);
                commands.push(updated(&cause, id, &update, "update"));
            }
        }
        commands
    }

    /// Handles a comm opened by a frontend; one of an unknown target is closed.
    fn opened(
        &mut self,
        from: &Requester,
        target: String,
        message: CommMessage,
        commands: &mut Vec<CommCommand>,
    ) {
        let observed = self.accepted.contains(&target);
        if !observed && target != CONTROL_TARGET && target != WIDGET_TARGET {
            commands.push(closed(from, &message.comm_id));
            return;
        }
        let comm = Comm::new(&target, &message, observed);
        self.comms.insert(message.comm_id.clone(), comm);
        if observed {
            self.wake(from, CommEvent::Opened { target, message }, commands);
        }
    }

    /// Handles a frontend's message.
    fn received(
        &mut self,
        from: &Requester,
        received: CommMessage,
        commands: &mut Vec<CommCommand>,
    ) {
        let comm = self.comms.get_mut(&received.comm_id);
        let Some(comm) = comm.filter(|comm| comm.open) else {
            // A page may still show the widgets of an earlier kernel.
            tracing::debug!(comm_id = %received.comm_id, "a message for an unknown comm");
            return;
        };
        let method = received.data.get("method").and_then(Value::as_str);
        match (comm.target.as_str(), method) {
            (CONTROL_TARGET, Some("request_states")) => {
                let (data, buffers) = update_states(&self.comms);
                let reply = CommMessage {
                    buffers,
                    ..message(received.comm_id, data)
                };
                commands.push(sent(from, reply));
                return;
            }
            (WIDGET_TARGET, Some("request_state")) => {
                commands.push(updated(from, &received.comm_id, &comm.model, "update"));
                return;
            }
            (WIDGET_TARGET, Some("update")) => {
                let update = WidgetModel::of(&received.data, received.buffers.clone());
                if let Some((_, waiting)) = &mut comm.waiting {
                    // The last change of a value takes precedence.
                    update.state.keys().for_each(|key| waiting.forget(key));
                }
                // Sent to every frontend, including the one that made the change.
                commands.push(updated(from, &received.comm_id, &update, "echo_update"));
                comm.model.merge(update);
                match comm.model.state.get("_model_name").and_then(Value::as_str) {
                    // Only the page knows what it has captured.
                    Some("OutputModel") => self.displays.changed(&received.comm_id),
                    _ => self.displays.operated(&received.comm_id),
                }
            }
            _ => {}
        }
        if comm.observed {
            self.wake(from, CommEvent::Message(received), commands);
        }
    }

    fn wake(&mut self, from: &Requester, event: CommEvent, commands: &mut Vec<CommCommand>) {
        if self.events.push(event) {
            commands.push(CommCommand::Wake(from.clone()));
        }
    }

    fn close(&mut self, cause: &Requester, id: &CommId, commands: &mut Vec<CommCommand>) {
        if let Some(comm) = self.comms.get_mut(id).filter(|comm| comm.open) {
            comm.open = false;
            comm.waiting = None;
            self.displays.remove(id);
            commands.push(closed(cause, id));
        }
    }

    fn open(
        &mut self,
        cause: &Requester,
        target: &str,
        message: CommMessage,
        commands: &mut Vec<CommCommand>,
    ) {
        let comm = Comm::new(target, &message, false);
        self.comms.insert(message.comm_id.clone(), comm);
        let content = CommOpen {
            comm_id: wire_id(&message.comm_id),
            target_name: target.to_owned(),
            data: message.data,
            target_module: None,
        };
        let (metadata, buffers) = (message.metadata, message.buffers);
        commands.push(publish(cause, content.into(), metadata, buffers));
    }

    fn send(
        &mut self,
        cause: &Requester,
        message: CommMessage,
        now: Instant,
        commands: &mut Vec<CommCommand>,
    ) -> HostReply {
        let Some(comm) = self.comms.get_mut(&message.comm_id) else {
            return HostReply::Failed(UnknownComm(message.comm_id).into());
        };
        if !comm.open {
            comm.model
                .merge(WidgetModel::of(&message.data, message.buffers));
            return HostReply::Done;
        }
        if comm.target == WIDGET_TARGET && is_update(&message) {
            let update = WidgetModel::of(&message.data, message.buffers);
            comm.model.merge(update.clone());
            self.displays.changed(&message.comm_id);
            match &mut comm.waiting {
                Some((_, waiting)) => waiting.merge(update),
                waiting => *waiting = Some((cause.clone(), update)),
            }
            commands.extend(self.tick(now));
            return HostReply::Done;
        }
        if let Some((cause, update)) = comm.waiting.take() {
            commands.push(updated(&cause, &message.comm_id, &update, "update"));
        }
        commands.push(sent(cause, message));
        HostReply::Done
    }
}

impl Comm {
    fn new(target: &str, first: &CommMessage, observed: bool) -> Self {
        Self {
            target: target.to_owned(),
            open: true,
            model: WidgetModel::of(&first.data, first.buffers.clone()),
            observed,
            updated: None,
            waiting: None,
        }
    }
}

fn message(comm_id: CommId, data: Map<String, Value>) -> CommMessage {
    CommMessage {
        comm_id,
        data,
        metadata: Map::new(),
        buffers: Vec::new(),
    }
}

fn updated(cause: &Requester, id: &CommId, model: &WidgetModel, method: &str) -> CommCommand {
    let (data, buffers) = model.message(method);
    let message = CommMessage {
        buffers,
        ..message(id.clone(), data)
    };
    sent(cause, message)
}

fn sent(cause: &Requester, message: CommMessage) -> CommCommand {
    let content = CommMsg {
        comm_id: wire_id(&message.comm_id),
        data: message.data,
    };
    publish(cause, content.into(), message.metadata, message.buffers)
}

fn closed(cause: &Requester, id: &CommId) -> CommCommand {
    let content = CommClose {
        comm_id: wire_id(id),
        data: Map::new(),
    };
    publish(cause, content.into(), Map::new(), Vec::new())
}

fn publish(
    cause: &Requester,
    content: jupyter::JupyterMessageContent,
    metadata: Map<String, Value>,
    buffers: Vec<Buffer>,
) -> CommCommand {
    CommCommand::Publish(Publication {
        cause: cause.clone(),
        content,
        metadata,
        buffers: buffers.into_iter().map(|b| Bytes::from(b.0)).collect(),
    })
}

fn wire_id(id: &CommId) -> jupyter::CommId {
    jupyter::CommId(id.to_string())
}

/// A comm that the kernel does not have.
#[derive(Debug, thiserror::Error)]
#[error("the kernel has no comm {0}")]
struct UnknownComm(CommId);

impl From<UnknownComm> for Failure {
    fn from(error: UnknownComm) -> Self {
        let hint = "comms and widgets do not outlive the kernel that made them";
        Self::new(FailureKind::Usage, error, Some(hint.to_owned()))
    }
}

#[cfg(test)]
mod tests;
