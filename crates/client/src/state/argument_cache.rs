//! The large arguments each machine has, so that those of several engines of a machine travel to it
//! once. Pure.
//!
//! One engine is sent them, keeps them and says where; the others are told that. Once no task needs
//! them any more, it is told so.

use super::artifacts::ArtifactCache;
use crate::task::TaskKey;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::payload::Segment;
use std::collections::{HashMap, HashSet};

/// The way large arguments travel to an engine of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentRoute {
    /// With its message, to be kept for other engines of the machine.
    Carry,
    /// An engine of that machine has them there.
    There {
        /// The machine.
        host: String,
        /// A reference that its engines can follow.
        reference: Segment,
    },
    /// Another message is carrying them to that machine: wait for it.
    Hold,
}

/// Arguments as a machine, or an engine by itself, is to have them.
type CacheOwner = (ArtifactCache, Segment);

#[derive(Debug)]
struct CachedArgument {
    presence: ArgumentPresence,
    /// The tasks that have not ended, held ones too.
    users: HashSet<TaskKey>,
}

#[derive(Debug)]
enum ArgumentPresence {
    /// With the message of this task.
    Travelling(TaskKey),
    /// This engine keeps them.
    There(EngineUuid, Segment),
}

/// The arguments that are freed by the end of tasks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FreedArguments {
    /// These engines need not keep these any more.
    pub taken: Vec<(EngineUuid, Segment)>,
    /// True if tasks that wait have to be sent some other way.
    pub lost: bool,
}

/// The large arguments on every machine.
#[derive(Debug, Default)]
pub(crate) struct ArgumentCache(HashMap<CacheOwner, CachedArgument>);

impl ArgumentCache {
    /// Returns true if nothing is kept anywhere, or on its way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides how arguments get to an engine.
    pub fn plan(
        &mut self,
        cache: &ArtifactCache,
        host: &str,
        args: &Segment,
        key: TaskKey,
    ) -> ArgumentRoute {
        let Some(deposit) = self.0.get_mut(&(cache.clone(), args.clone())) else {
            return ArgumentRoute::Carry;
        };
        deposit.users.insert(key);
        match &deposit.presence {
            ArgumentPresence::Travelling(_) => ArgumentRoute::Hold,
            ArgumentPresence::There(_, reference) => ArgumentRoute::There {
                host: host.to_owned(),
                reference: reference.clone(),
            },
        }
    }

    /// A task's message carries them.
    pub fn carried(&mut self, cache: ArtifactCache, args: Segment, key: TaskKey) {
        let deposit = CachedArgument {
            presence: ArgumentPresence::Travelling(key),
            users: HashSet::from([key]),
        };
        self.0.insert((cache, args), deposit);
    }

    /// An engine keeps what a task's message has carried to it; whether somebody wants that.
    pub fn kept(&mut self, key: TaskKey, engine: &EngineUuid, reference: &Segment) -> bool {
        let travelling = |deposit: &&mut CachedArgument| matches!(deposit.presence, ArgumentPresence::Travelling(carrier) if carrier == key);
        match self.0.values_mut().find(travelling) {
            Some(deposit) => {
                deposit.presence = ArgumentPresence::There(engine.clone(), reference.clone());
                true
            }
            None => false,
        }
    }

    /// All of a task is here, or it could not be sent.
    pub fn ended(&mut self, key: TaskKey) -> FreedArguments {
        let mut freed = FreedArguments::default();
        self.0.retain(|_, deposit| {
            deposit.users.remove(&key);
            match &deposit.presence {
                ArgumentPresence::Travelling(carrier) if *carrier == key => {
                    freed.lost = true;
                    false
                }
                ArgumentPresence::There(engine, reference) if deposit.users.is_empty() => {
                    freed.taken.push((engine.clone(), reference.clone()));
                    false
                }
                _ => true,
            }
        });
        freed
    }

    /// An engine is gone, with what it kept.
    pub fn left(&mut self, engine: &EngineUuid) {
        let gone = |deposit: &CachedArgument| matches!(&deposit.presence, ArgumentPresence::There(keeper, _) if keeper == engine);
        self.0.retain(|_, deposit| !gone(deposit));
    }
}
