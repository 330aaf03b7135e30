//! The client's state and decisions, without I/O and without a clock: event in, commands out.

pub(crate) mod argument_cache;
mod artifacts;
pub(crate) mod batch;
mod connection;
mod control;
mod engines;
mod event;
mod membership;
pub(crate) mod message;
mod outcome;
pub(crate) mod segments;
mod submit;
mod tasks;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use event::{EventTime, StateCommand, StateEvent, Ticket, WatchedChannel};

use crate::engine::{ClientEvent, Engine};
use crate::result::TaskUpdate;
use argument_cache::ArgumentCache;
use artifacts::ArtifactCaches;
use engines::EngineTable;
use message::{OutgoingContent, OutgoingMessage, Reply, ReplyContent};
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{EngineKind, EnginePublication, EngineRequest, EngineStatus};
use phalanx_protocol::payload::Segment;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tasks::{ReplyAction, TaskTable};

/// The time after which the list of engines is requested again: an engine that registered between
/// the reply to the first request and our subscription to notifications would be missed.
pub(crate) const SECOND_QUERY: Duration = Duration::from_millis(500);

/// The time between two queries about tasks whose replies may be lost.
pub(crate) const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// A client's state.
#[derive(Debug)]
pub(crate) struct State {
    /// The prefix of the ids of messages.
    session: String,
    /// The number of messages sent, for their ids.
    sent: u64,
    engines: EngineTable,
    artifacts: ArtifactCaches,
    /// Large arguments on other machines.
    arguments: ArgumentCache,
    tasks: TaskTable,
    /// Pending requests on the control channel.
    pending_control: HashMap<MsgId, (EngineUuid, Ticket)>,
    /// The time after which a lost connection is given up.
    unreachable: Duration,
    /// The channels that have lost their connection.
    lost: HashSet<WatchedChannel>,
    /// The deadline for restoring the connection; `None` while there is one.
    link: Option<Instant>,
    /// The time at which the list of engines is requested once more.
    second_query: Option<Instant>,
    /// The time of the next query about lost tasks.
    recovery: Option<Instant>,
    /// True if the scheduler supports several tasks in one message.
    batches: bool,
    ended: bool,
}

impl State {
    /// Creates the state of a client without engines. `host` is this machine's name; `session` is
    /// the prefix of every message's id.
    pub fn new(session: String, host: String, unreachable: Duration) -> Self {
        Self {
            session,
            sent: 0,
            engines: EngineTable::default(),
            artifacts: ArtifactCaches::new(host),
            arguments: ArgumentCache::default(),
            tasks: TaskTable::default(),
            pending_control: HashMap::new(),
            unreachable,
            lost: HashSet::new(),
            link: None,
            second_query: None,
            recovery: None,
            batches: false,
            ended: false,
        }
    }

    /// The engines that have joined, ordered by id, unless nothing has changed since the last call.
    pub fn changed_engines(&mut self) -> Option<Vec<Engine>> {
        self.engines.changed()
    }

    /// Returns true once the connection is given up; no more commands follow.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The time at which [`StateEvent::Tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.engines.deadline(),
            self.tasks.deadline(),
            self.link,
            self.second_query,
            self.recovery,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Handles an event; returns the commands to perform, in order.
    pub fn handle(&mut self, event: StateEvent, now: EventTime) -> Vec<StateCommand> {
        let mut commands = Vec::new();
        self.apply(event, now, &mut commands);
        self.free(now, &mut commands);
        if self.tasks.many_ended() {
            commands.push(StateCommand::Trim);
        }
        commands
    }

    /// Releases large arguments on other machines whose last task has ended, according to the
    /// commands of this event; may add commands.
    fn free(&mut self, now: EventTime, commands: &mut Vec<StateCommand>) {
        let mut seen = 0;
        while !self.arguments.is_empty() && seen < commands.len() {
            let next = &commands[seen];
            seen += 1;
            let StateCommand::Update(key, TaskUpdate::OutputDone) = next else {
                continue;
            };
            let freed = self.arguments.ended(*key);
            for (engine, reference) in freed.segments {
                self.release_segment(engine, reference, commands);
            }
            if freed.lost {
                self.release(now, commands);
            }
        }
    }

    /// Notifies an engine that it can release a segment: its value was opened, or its arguments are no
    /// longer needed.
    fn release_segment(
        &mut self,
        engine: EngineUuid,
        reference: Segment,
        commands: &mut Vec<StateCommand>,
    ) {
        commands.push(StateCommand::Send(OutgoingMessage {
            engine: Some(engine),
            msg_id: counter(&self.session, &mut self.sent)(),
            body: OutgoingContent::Control(EngineRequest::ReleaseSegment(reference)),
        }));
    }

    fn apply(&mut self, event: StateEvent, now: EventTime, commands: &mut Vec<StateCommand>) {
        match event {
            StateEvent::Submit { tasks } => {
                for (key, work) in tasks {
                    self.submit(key, work, 0, now, commands);
                }
                if self.batches {
                    *commands = batch::batch_sends(std::mem::take(commands));
                }
            }
            StateEvent::Resend { key, work } => {
                if self.tasks.is_parked(key) {
                    self.submit(key, work, 0, now, commands);
                }
            }
            StateEvent::Fail { key, failure } => {
                self.tasks.fail_parked(key, failure, now, commands);
            }
            StateEvent::Abort { keys, ticket } => {
                let asked = self.tasks.abort(&keys, now, commands);
                self.abort(asked, ticket, commands);
            }
            StateEvent::Control {
                engines,
                request,
                ticket,
            } => self.control(&engines, &request, ticket, commands),
            StateEvent::Engines { engines, batches } => {
                self.batches = batches;
                for (id, uuid) in self.engines.missing(&engines) {
                    self.left(id, &uuid, now, commands);
                }
                for (id, uuid) in engines {
                    self.registered(id, uuid, now, commands);
                }
            }
            StateEvent::Registered(id, uuid) => self.registered(id, uuid, now, commands),
            StateEvent::Unregistered(id, uuid) => self.left(id, &uuid, now, commands),
            StateEvent::Replied(reply) => self.replied(reply, now, commands),
            StateEvent::Batch(replies) => {
                for reply in replies {
                    self.replied(reply, now, commands);
                }
            }
            StateEvent::Published {
                parent,
                engine,
                published,
            } => self.published(&parent, engine, published, now, commands),
            StateEvent::SendFailed { msg_id, error } => {
                self.control_replied(&msg_id, commands);
                self.tasks.fail(&msg_id, error, now, commands);
                if self.artifacts.lost(&msg_id) {
                    self.release(now, commands);
                }
            }
            StateEvent::Connected => self.second_query = Some(now.instant + SECOND_QUERY),
            StateEvent::ChannelLost(channel) => self.channel_lost(channel, now, commands),
            StateEvent::ChannelRestored(channel) => self.channel_restored(channel, commands),
            StateEvent::Subscribed => self.subscribed(commands),
            StateEvent::Recovered(recovered) => self.recovered(recovered, now, commands),
            StateEvent::NotRecovered => self.recovery = Some(now.instant + RECOVERY_INTERVAL),
            StateEvent::Disconnected { reason } => self.disconnected(reason, now, commands),
            StateEvent::Tick if self.link.is_some_and(|until| until <= now.instant) => {
                let reason = format!("no connection for {} s", self.unreachable.as_secs());
                self.disconnected(reason, now, commands);
            }
            StateEvent::Tick => {
                if self.second_query.take_if(|at| *at <= now.instant).is_some() {
                    commands.push(StateCommand::QueryEngines);
                }
                if self.recovery.take_if(|at| *at <= now.instant).is_some() {
                    self.recover(commands);
                }
                let mut next = counter(&self.session, &mut self.sent);
                let greetings = self.engines.tick(now.instant, &mut next);
                drop(next);
                for greeting in greetings {
                    self.greet(Some(greeting), commands);
                }
                self.tasks.tick(now, commands);
            }
        }
    }

    fn replied(&mut self, mut reply: Reply, now: EventTime, commands: &mut Vec<StateCommand>) {
        self.segment_received(&mut reply, commands);
        if let ReplyContent::Lineage(lineage) = &mut reply.content
            && let Some((_, ticket)) = self.pending_control.get(&reply.parent)
            && let Some(lineage) = lineage.take()
        {
            commands.push(StateCommand::Lineage(*ticket, lineage));
        }
        self.control_replied(&reply.parent, commands);
        if self.engines.is_greeting(&reply.parent) {
            let kind = match reply.content {
                ReplyContent::KernelInfo(kind) => kind,
                _ => EngineKind::Foreign,
            };
            let greeting = self.engines.replied(&reply.parent, kind);
            self.greet(greeting, commands);
            return;
        }
        // An engine keeps a task's artifacts even if it refuses the task.
        let parent = reply.parent.clone();
        let released = if reply.by_engine {
            self.artifacts.arrived(&parent)
        } else {
            self.artifacts.lost(&parent)
        };
        let engine = self.known(reply.engine.clone());
        if let ReplyAction::NeedArtifacts {
            key,
            uuid,
            work,
            attempt,
            artifacts,
        } = self.tasks.replied(reply, engine, now, commands)
        {
            if let Some(uuid) = uuid {
                self.artifacts.lacks(&uuid, &artifacts);
            }
            self.submit(key, *work, attempt, now, commands);
        }
        if released {
            self.release(now, commands);
        }
    }

    fn published(
        &mut self,
        parent: &MsgId,
        engine: Option<EngineUuid>,
        published: EnginePublication,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        if self.engines.is_greeting(parent) {
            if published == EnginePublication::Status(EngineStatus::Idle) {
                let greeting = self.engines.handshake_idle(parent);
                self.greet(greeting, commands);
            }
            return;
        }
        if let EnginePublication::Kept(Some(reference)) = published {
            self.kept(parent, engine, reference, now, commands);
            return;
        }
        if let (EnginePublication::Output(output), None) = (&published, self.tasks.key(parent)) {
            if let Some((id, _)) = self.known(engine) {
                commands.push(StateCommand::Notify(ClientEvent::LateOutput(
                    id,
                    output.clone(),
                )));
            }
            return;
        }
        // Our engines publish their input once they have all artifacts.
        let begun = matches!(
            published,
            EnginePublication::Input { .. } | EnginePublication::Kept(_)
        );
        let engine = self.known(engine);
        self.tasks
            .published(parent, engine, published, now, commands);
        if begun && self.artifacts.arrived(parent) {
            self.release(now, commands);
        }
    }

    /// Handles that an engine keeps arguments for others of its machine, whose tasks may be
    /// waiting.
    fn kept(
        &mut self,
        parent: &MsgId,
        engine: Option<EngineUuid>,
        reference: Segment,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let Some(engine) = engine else {
            return;
        };
        let key = self.tasks.key(parent);
        match key.is_some_and(|key| self.arguments.kept(key, &engine, &reference)) {
            true => self.release(now, commands),
            false => self.release_segment(engine, reference, commands),
        }
    }

    /// The engine with its id.
    fn known(&self, uuid: Option<EngineUuid>) -> Option<(EngineId, EngineUuid)> {
        self.engines.known(&uuid?)
    }
}

/// Generates message ids like jupyter_client's: `<session>_<pid>_<n>`.
fn counter<'a>(session: &'a str, sent: &'a mut u64) -> impl FnMut() -> MsgId + 'a {
    move || {
        *sent += 1;
        MsgId::new(format!("{session}_{sent}"))
    }
}
