//! The large arguments each machine has, so that those of several engines of a machine travel to it
//! once. Pure.
//!
//! One engine is sent them, keeps them and says where; the others are told that. Once no task needs
//! them any more, it is told so.

use super::artifacts::Cache;
use crate::request::TaskKey;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::payload::Segment;
use std::collections::{HashMap, HashSet};

/// The way large arguments travel to an engine of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
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
type Place = (Cache, Segment);

#[derive(Debug)]
struct Deposit {
    presence: Presence,
    /// The tasks that have not ended, held ones too.
    users: HashSet<TaskKey>,
}

#[derive(Debug)]
enum Presence {
    /// With the message of this task.
    Travelling(TaskKey),
    /// This engine keeps them.
    There(EngineUuid, Segment),
}

/// The arguments that are freed by the end of tasks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Freed {
    /// These engines need not keep these any more.
    pub taken: Vec<(EngineUuid, Segment)>,
    /// True if tasks that wait have to be sent some other way.
    pub lost: bool,
}

/// The large arguments on every machine.
#[derive(Debug, Default)]
pub(crate) struct Deposits(HashMap<Place, Deposit>);

impl Deposits {
    /// Returns true if nothing is kept anywhere, or on its way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides how arguments get to an engine.
    pub fn plan(&mut self, cache: &Cache, host: &str, args: &Segment, key: TaskKey) -> Route {
        let Some(deposit) = self.0.get_mut(&(cache.clone(), args.clone())) else {
            return Route::Carry;
        };
        deposit.users.insert(key);
        match &deposit.presence {
            Presence::Travelling(_) => Route::Hold,
            Presence::There(_, reference) => Route::There {
                host: host.to_owned(),
                reference: reference.clone(),
            },
        }
    }

    /// A task's message carries them.
    pub fn carried(&mut self, cache: Cache, args: Segment, key: TaskKey) {
        let deposit = Deposit {
            presence: Presence::Travelling(key),
            users: HashSet::from([key]),
        };
        self.0.insert((cache, args), deposit);
    }

    /// An engine keeps what a task's message has carried to it; whether somebody wants that.
    pub fn kept(&mut self, key: TaskKey, engine: &EngineUuid, reference: &Segment) -> bool {
        let travelling = |deposit: &&mut Deposit| matches!(deposit.presence, Presence::Travelling(carrier) if carrier == key);
        match self.0.values_mut().find(travelling) {
            Some(deposit) => {
                deposit.presence = Presence::There(engine.clone(), reference.clone());
                true
            }
            None => false,
        }
    }

    /// All of a task is here, or it could not be sent.
    pub fn ended(&mut self, key: TaskKey) -> Freed {
        let mut freed = Freed::default();
        self.0.retain(|_, deposit| {
            deposit.users.remove(&key);
            match &deposit.presence {
                Presence::Travelling(carrier) if *carrier == key => {
                    freed.lost = true;
                    false
                }
                Presence::There(engine, reference) if deposit.users.is_empty() => {
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
        let gone = |deposit: &Deposit| matches!(&deposit.presence, Presence::There(keeper, _) if keeper == engine);
        self.0.retain(|_, deposit| !gone(deposit));
    }
}
