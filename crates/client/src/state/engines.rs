//! The registered engines, and the handshake with new ones.
//!
//! A new engine is sent a `kernel_info_request` over mux. It counts as joined once its reply has
//! arrived *and* the `idle` of that request has arrived over iopub: the output of its first cell is
//! certain to arrive then. The request is repeated while either is missing.

use crate::engine::Engine;
use crate::error::TaskError;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::EngineKind;
use phalanx_protocol::release::{Release, ReleaseMismatch};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The time after which the request is repeated if a response is missing; doubled each time.
pub(crate) const GREETING_RETRY: Duration = Duration::from_millis(250);

/// The number of requests after which an engine joins without a response (a Python engine that runs
/// a long task replies when the task is done, and its description is updated then).
pub(crate) const GREETINGS: u32 = 5;

/// The number of engines that have left whose ids are remembered.
const MAX_DEPARTED: usize = 256;

/// An action of the handshake with an engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HandshakeAction {
    /// Send a request with this id to the engine.
    Ask(EngineUuid, MsgId),
    /// The engine has joined, or its description has changed.
    Joined(Engine),
}

/// The engines announced by the controller.
#[derive(Debug, Default)]
pub(crate) struct EngineTable {
    by_id: BTreeMap<EngineId, EngineEntry>,
    asked: HashMap<MsgId, EngineId>,
    /// The engines that left last, the oldest first: errors of their tasks may arrive later.
    departed: VecDeque<(EngineUuid, EngineId)>,
    /// True while the list last returned by [`changed`](Self::changed) is current.
    is_current: bool,
}

#[derive(Debug)]
struct EngineEntry {
    uuid: EngineUuid,
    kind: EngineKind,
    has_replied: bool,
    has_published: bool,
    joined: bool,
    asked: u32,
    ask_again: Option<Instant>,
}

impl EngineTable {
    /// The engines that have joined, ordered by id.
    pub fn joined(&self) -> Vec<Engine> {
        self.by_id
            .iter()
            .filter(|(_, entry)| entry.joined)
            .map(|(&id, entry)| entry.engine(id))
            .collect()
    }

    /// The engines that have joined, unless nothing has changed since the last call.
    pub fn changed(&mut self) -> Option<Vec<Engine>> {
        (!std::mem::replace(&mut self.is_current, true)).then(|| self.joined())
    }

    /// A registered engine, joined or not.
    pub fn get(&self, id: EngineId) -> Option<Engine> {
        self.by_id.get(&id).map(|entry| entry.engine(id))
    }

    /// Returns true if a registered engine is not a Rust engine of a compatible version.
    pub fn is_foreign(&self, id: EngineId) -> bool {
        let entry = self.by_id.get(&id);
        entry.is_some_and(|entry| entry.joined && entry.kind.handshake().is_none())
    }

    /// The reason why a registered engine cannot run our tasks, if it cannot.
    pub fn unfit(&self, id: EngineId) -> Option<TaskError> {
        let entry = self.by_id.get(&id).filter(|entry| entry.joined)?;
        match &entry.kind {
            EngineKind::Rust(_) => None,
            EngineKind::OtherRelease(theirs) => Some(TaskError::OtherRelease(mismatch(id, theirs))),
            EngineKind::Foreign => Some(TaskError::Foreign(id)),
            EngineKind::Silent => Some(TaskError::Silent(id)),
        }
    }

    /// The reason why none of these engines, or of all if none is named, can run our tasks, if some
    /// are registered.
    pub fn none_fit(&self, wanted: &[EngineId]) -> Option<TaskError> {
        let joined = self.by_id.iter().filter(|(_, entry)| entry.joined);
        let meant = joined.filter(|(id, _)| wanted.is_empty() || wanted.contains(id));
        let reasons = meant.filter_map(|(id, _)| self.unfit(*id));
        // The least expected one counts.
        let reason = reasons.min_by_key(|reason| match reason {
            TaskError::OtherRelease(_) => 0,
            TaskError::Silent(_) => 1,
            _ => 2,
        })?;
        Some(match reason {
            TaskError::Foreign(_) => TaskError::NoneIsRust,
            reason => reason,
        })
    }

    /// Returns true if a registered engine is not a Rust engine.
    pub fn is_mixed(&self) -> bool {
        self.by_id.keys().any(|id| self.is_foreign(*id))
    }

    /// The id of the engine with this identity, or its last id if it has left, and the shared form
    /// of the identity.
    pub fn known(&self, uuid: &EngineUuid) -> Option<(EngineId, EngineUuid)> {
        let found = self.by_id.iter().find(|(_, entry)| entry.uuid == *uuid);
        let departed = || self.departed.iter().find(|(engine, _)| engine == uuid);
        found
            .map(|(&id, entry)| (id, entry.uuid.clone()))
            .or_else(|| departed().map(|(engine, id)| (*id, engine.clone())))
    }

    /// Records an engine announced by the controller; announcing it again has no effect.
    pub fn registered(
        &mut self,
        id: EngineId,
        uuid: EngineUuid,
        now: Instant,
        next_id: &mut impl FnMut() -> MsgId,
    ) -> Option<HandshakeAction> {
        if self.by_id.get(&id).is_some_and(|entry| entry.uuid == uuid) {
            return None;
        }
        let entry = EngineEntry {
            uuid,
            kind: EngineKind::Silent,
            has_replied: false,
            has_published: false,
            joined: false,
            asked: 0,
            ask_again: None,
        };
        self.by_id.insert(id, entry);
        self.is_current = false;
        self.ask(id, now, next_id)
    }

    /// The engines we know that are missing from the controller's list.
    pub fn missing(&self, there: &[(EngineId, EngineUuid)]) -> Vec<(EngineId, EngineUuid)> {
        self.by_id
            .iter()
            .map(|(&id, entry)| (id, entry.uuid.clone()))
            .filter(|known| !there.contains(known))
            .collect()
    }

    /// Records that an engine has left; returns it if it was known.
    pub fn left(&mut self, id: EngineId, uuid: &EngineUuid) -> Option<Engine> {
        if self.by_id.get(&id)?.uuid != *uuid {
            return None;
        }
        self.asked.retain(|_, asked| *asked != id);
        self.is_current = false;
        self.departed.push_back((uuid.clone(), id));
        if self.departed.len() > MAX_DEPARTED {
            self.departed.pop_front();
        }
        Some(self.by_id.remove(&id)?.engine(id))
    }

    /// Returns true if `msg_id` is one of our handshake requests.
    pub fn is_greeting(&self, msg_id: &MsgId) -> bool {
        self.asked.contains_key(msg_id)
    }

    /// Records the reply of an engine.
    pub fn replied(&mut self, msg_id: &MsgId, kind: EngineKind) -> Option<HandshakeAction> {
        let id = *self.asked.get(msg_id)?;
        let entry = self.by_id.get_mut(&id)?;
        let is_first = !entry.has_replied;
        entry.has_replied = true;
        entry.kind = kind;
        self.is_current = false;
        if entry.joined {
            self.asked.retain(|_, asked| *asked != id);
            let engine = self.by_id.get(&id)?.engine(id);
            return is_first.then_some(HandshakeAction::Joined(engine));
        }
        self.join(id)
    }

    /// Records the `idle` of a request.
    pub fn handshake_idle(&mut self, msg_id: &MsgId) -> Option<HandshakeAction> {
        let id = *self.asked.get(msg_id)?;
        self.by_id.get_mut(&id)?.has_published = true;
        self.join(id)
    }

    /// The time at which [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.by_id.values().filter_map(|e| e.ask_again).min()
    }

    /// Repeats the requests that are due.
    pub fn tick(
        &mut self,
        now: Instant,
        next_id: &mut impl FnMut() -> MsgId,
    ) -> Vec<HandshakeAction> {
        let due: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, entry)| entry.ask_again.is_some_and(|at| at <= now))
            .map(|(&id, _)| id)
            .collect();
        due.into_iter()
            .filter_map(|id| self.ask(id, now, next_id))
            .collect()
    }

    fn ask(
        &mut self,
        id: EngineId,
        now: Instant,
        next_id: &mut impl FnMut() -> MsgId,
    ) -> Option<HandshakeAction> {
        let entry = self.by_id.get_mut(&id)?;
        if entry.asked == GREETINGS {
            entry.joined = true;
            entry.ask_again = None;
            self.is_current = false;
            return Some(HandshakeAction::Joined(entry.engine(id)));
        }
        entry.ask_again = Some(now + GREETING_RETRY * 2u32.pow(entry.asked));
        entry.asked += 1;
        let msg_id = next_id();
        self.asked.insert(msg_id.clone(), id);
        Some(HandshakeAction::Ask(entry.uuid.clone(), msg_id))
    }

    fn join(&mut self, id: EngineId) -> Option<HandshakeAction> {
        let entry = self.by_id.get_mut(&id)?;
        if entry.joined || !(entry.has_replied && entry.has_published) {
            return None;
        }
        entry.joined = true;
        entry.ask_again = None;
        self.is_current = false;
        self.asked.retain(|_, asked| *asked != id);
        Some(HandshakeAction::Joined(self.by_id.get(&id)?.engine(id)))
    }
}

impl EngineEntry {
    fn engine(&self, id: EngineId) -> Engine {
        Engine {
            id,
            uuid: self.uuid.clone(),
            kind: self.kind.clone(),
        }
    }
}

fn mismatch(id: EngineId, theirs: &Release) -> ReleaseMismatch {
    ReleaseMismatch {
        engine: id,
        of_engine: theirs.clone(),
        of_kernel: Release::ours(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ids(u32);

    impl Ids {
        fn next(&mut self) -> impl FnMut() -> MsgId {
            || {
                self.0 += 1;
                MsgId::new(self.0.to_string())
            }
        }
    }

    fn uuid() -> EngineUuid {
        EngineUuid::new("u")
    }

    fn ask(id: &str) -> Option<HandshakeAction> {
        Some(HandshakeAction::Ask(uuid(), MsgId::new(id)))
    }

    #[test]
    fn an_engine_joins_once_it_is_connected_to_both_channels() {
        for reply_first in [true, false] {
            let (mut engines, mut ids, now) = (EngineTable::default(), Ids(0), Instant::now());
            let asked = engines.registered(EngineId(3), uuid(), now, &mut ids.next());
            assert_eq!(asked, ask("1"));
            assert!(engines.joined().is_empty());
            let msg = MsgId::new("1");
            let actions = if reply_first {
                [
                    engines.replied(&msg, EngineKind::Foreign),
                    engines.handshake_idle(&msg),
                ]
            } else {
                [
                    engines.handshake_idle(&msg),
                    engines.replied(&msg, EngineKind::Foreign),
                ]
            };
            assert_eq!(actions[0], None);
            assert!(matches!(&actions[1], Some(HandshakeAction::Joined(e)) if e.id == EngineId(3)));
            assert_eq!(engines.joined().len(), 1);
            assert_eq!(engines.deadline(), None);
            assert!(engines.asked.is_empty());
        }
    }

    #[test]
    fn a_lost_idle_is_asked_for_again() {
        let (mut engines, mut ids, now) = (EngineTable::default(), Ids(0), Instant::now());
        engines.registered(EngineId(0), uuid(), now, &mut ids.next());
        engines.replied(&MsgId::new("1"), EngineKind::Foreign);
        let again = engines.tick(now + GREETING_RETRY, &mut ids.next());
        assert_eq!(again.into_iter().next(), ask("2"));
        assert!(engines.handshake_idle(&MsgId::new("2")).is_some());
    }

    #[test]
    fn a_silent_engine_joins_in_the_end_and_is_known_better_later() {
        let (mut engines, mut ids, now) = (EngineTable::default(), Ids(0), Instant::now());
        engines.registered(EngineId(0), uuid(), now, &mut ids.next());
        let mut joined = Vec::new();
        while let Some(at) = engines.deadline() {
            joined = engines.tick(at, &mut ids.next());
        }
        assert!(matches!(&joined[..], [HandshakeAction::Joined(_)]));
        assert_eq!(ids.0, GREETINGS);
        assert_eq!(
            engines.unfit(EngineId(0)),
            Some(TaskError::Silent(EngineId(0)))
        );
        let silent = Some(TaskError::Silent(EngineId(0)));
        assert_eq!(engines.none_fit(&[]), silent);
        assert_eq!(engines.none_fit(&[EngineId(0), EngineId(7)]), silent);
        assert_eq!(engines.none_fit(&[EngineId(7)]), None);
        let late = engines.replied(&MsgId::new("1"), EngineKind::Foreign);
        assert!(matches!(late, Some(HandshakeAction::Joined(_))));
        assert_eq!(engines.none_fit(&[]), Some(TaskError::NoneIsRust));
        assert_eq!(engines.replied(&MsgId::new("2"), EngineKind::Foreign), None);
    }

    #[test]
    fn an_engine_leaves_by_id_and_identity() {
        let (mut engines, mut ids, now) = (EngineTable::default(), Ids(0), Instant::now());
        engines.registered(EngineId(0), uuid(), now, &mut ids.next());
        let twice = engines.registered(EngineId(0), uuid(), now, &mut ids.next());
        assert_eq!(twice, None);
        assert_eq!(engines.left(EngineId(0), &EngineUuid::new("other")), None);
        assert!(engines.left(EngineId(0), &uuid()).is_some());
        // Errors of its tasks that arrive later contain its id.
        assert_eq!(engines.known(&uuid()), Some((EngineId(0), uuid())));
        assert!(!engines.is_greeting(&MsgId::new("1")));
        assert_eq!(engines.replied(&MsgId::new("1"), EngineKind::Foreign), None);
    }
}
