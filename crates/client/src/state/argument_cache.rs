//! The large arguments on each machine, so that arguments for several engines of a machine are sent
//! to it only once. Pure.
//!
//! One engine receives the arguments, keeps them and reports their location; tasks of the other
//! engines refer to it. Once no task needs them any more, the engine is notified.

use super::artifacts::ArtifactCache;
use crate::task::TaskKey;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::payload::Segment;
use std::collections::{HashMap, HashSet};

/// The way large arguments are sent to an engine on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentRoute {
    /// Inline, and kept by the engine for others of its machine.
    Carry,
    /// By reference: another engine of the machine keeps them.
    There {
        /// The machine.
        host: String,
        /// A reference that the machine's engines can open.
        reference: Segment,
    },
    /// Another message is carrying them to the machine: wait for it.
    Wait,
}

/// Arguments on a machine, or on a single engine.
type CacheOwner = (ArtifactCache, Segment);

#[derive(Debug)]
struct CachedArgument {
    presence: ArgumentPresence,
    /// The pending tasks that use them, including waiting ones.
    users: HashSet<TaskKey>,
}

#[derive(Debug)]
enum ArgumentPresence {
    /// In transit with the message of this task.
    Travelling(TaskKey),
    /// Kept by this engine.
    There(EngineUuid, Segment),
}

/// Arguments that are no longer needed after the end of tasks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FreedArguments {
    /// The arguments that engines can release.
    pub segments: Vec<(EngineUuid, Segment)>,
    /// True if waiting tasks must be sent in another way.
    pub lost: bool,
}

/// The large arguments on all machines.
#[derive(Debug, Default)]
pub(crate) struct ArgumentCache(HashMap<CacheOwner, CachedArgument>);

impl ArgumentCache {
    /// Returns true if nothing is kept or in transit.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides how arguments are sent to an engine.
    pub fn plan(
        &mut self,
        cache: &ArtifactCache,
        host: &str,
        args: &Segment,
        key: TaskKey,
    ) -> ArgumentRoute {
        let Some(cached) = self.0.get_mut(&(cache.clone(), args.clone())) else {
            return ArgumentRoute::Carry;
        };
        cached.users.insert(key);
        match &cached.presence {
            ArgumentPresence::Travelling(_) => ArgumentRoute::Wait,
            ArgumentPresence::There(_, reference) => ArgumentRoute::There {
                host: host.to_owned(),
                reference: reference.clone(),
            },
        }
    }

    /// Records that a task's message carries arguments.
    pub fn carried(&mut self, cache: ArtifactCache, args: Segment, key: TaskKey) {
        let cached = CachedArgument {
            presence: ArgumentPresence::Travelling(key),
            users: HashSet::from([key]),
        };
        self.0.insert((cache, args), cached);
    }

    /// Records that an engine keeps the arguments of a task's message; returns true if a task uses
    /// them.
    pub fn kept(&mut self, key: TaskKey, engine: &EngineUuid, reference: &Segment) -> bool {
        let travelling = |cached: &&mut CachedArgument| matches!(cached.presence, ArgumentPresence::Travelling(carrier) if carrier == key);
        match self.0.values_mut().find(travelling) {
            Some(cached) => {
                cached.presence = ArgumentPresence::There(engine.clone(), reference.clone());
                true
            }
            None => false,
        }
    }

    /// Records that a task has ended with all its output, or could not be sent.
    pub fn ended(&mut self, key: TaskKey) -> FreedArguments {
        let mut freed = FreedArguments::default();
        self.0.retain(|_, cached| {
            cached.users.remove(&key);
            match &cached.presence {
                ArgumentPresence::Travelling(carrier) if *carrier == key => {
                    freed.lost = true;
                    false
                }
                ArgumentPresence::There(engine, reference) if cached.users.is_empty() => {
                    freed.segments.push((engine.clone(), reference.clone()));
                    false
                }
                _ => true,
            }
        });
        freed
    }

    /// Records that an engine has left, with the arguments it kept.
    pub fn left(&mut self, engine: &EngineUuid) {
        let gone = |cached: &CachedArgument| matches!(&cached.presence, ArgumentPresence::There(keeper, _) if keeper == engine);
        self.0.retain(|_, cached| !gone(cached));
    }
}
