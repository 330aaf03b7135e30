//! The queue of tasks that only wait for an engine, fair between clients. Pure.

use super::task::{Language, SchedulerEntry, TaskNo};
use crate::hash::HashMap;
use bytes::Bytes;
use phalanx_protocol::id::EngineUuid;
use std::collections::{BTreeMap, BTreeSet};

/// Tasks that wait only for an engine, organized such that the next one is found without examining
/// all. Clients are served in turn, and the tasks of each in order of arrival; a retried task keeps
/// its position.
#[derive(Debug, Default)]
pub(super) struct ReadyTasks {
    clients: HashMap<Bytes, ClientQueue>,
    /// The turn that was last assigned.
    turn: u64,
}

/// The tasks of one client.
#[derive(Debug, Default)]
struct ClientQueue {
    /// The client with the lowest turn is served first.
    turn: u64,
    /// Tasks without conditions of their own, by language.
    simple: [UnconditionalTasks; Language::ALL.len()],
    /// Tasks that are retried or follow others, each with conditions of its own.
    special: BTreeSet<TaskNo>,
}

/// Tasks of one language without conditions of their own.
#[derive(Debug, Default)]
struct UnconditionalTasks {
    /// Tasks that any engine may run.
    open: BTreeSet<TaskNo>,
    /// Tasks restricted to certain engines, by these.
    targeted: BTreeMap<Vec<EngineUuid>, BTreeSet<TaskNo>>,
}

impl UnconditionalTasks {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.targeted.is_empty()
    }
}

impl ClientQueue {
    fn is_empty(&self) -> bool {
        self.simple.iter().all(UnconditionalTasks::is_empty) && self.special.is_empty()
    }

    /// The oldest task that can run now; `can_run` is called once for tasks with the same
    /// conditions.
    fn first(&self, can_run: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        let heads = self.simple.iter().flat_map(|simple| {
            let targeted = simple.targeted.values().filter_map(BTreeSet::first);
            targeted.chain(simple.open.first())
        });
        let head = heads.copied().filter(|no| can_run(*no)).min();
        let older = |no: &TaskNo| head.is_none_or(|head| *no < head);
        let mut special = self.special.iter().copied().take_while(older);
        special.find(|no| can_run(*no)).or(head)
    }
}

impl ReadyTasks {
    pub fn insert(&mut self, no: TaskNo, entry: &SchedulerEntry) {
        let client = entry.task.client();
        if !self.clients.contains_key(client) {
            // Starts with the current turn. The key is copied, so that it does not keep the memory
            // of the received message.
            let queue = ClientQueue {
                turn: self.turn + 1,
                ..ClientQueue::default()
            };
            self.clients.insert(Bytes::copy_from_slice(client), queue);
        }
        let Some(queue) = self.clients.get_mut(client) else {
            return;
        };
        let simple = &mut queue.simple[entry.task.language as usize];
        if entry.is_special() {
            queue.special.insert(no);
        } else if let Some(targets) = entry.task.targets() {
            match simple.targeted.get_mut(targets) {
                Some(group) => drop(group.insert(no)),
                None => drop(
                    simple
                        .targeted
                        .insert(targets.clone(), BTreeSet::from([no])),
                ),
            }
        } else {
            simple.open.insert(no);
        }
    }

    /// Removes a task, if it is contained.
    pub fn remove(&mut self, no: TaskNo, entry: &SchedulerEntry) {
        let client = entry.task.client();
        let Some(queue) = self.clients.get_mut(client) else {
            return;
        };
        let simple = &mut queue.simple[entry.task.language as usize];
        if entry.is_special() {
            queue.special.remove(&no);
        } else if let Some(targets) = entry.task.targets() {
            if let Some(group) = simple.targeted.get_mut(targets) {
                group.remove(&no);
                if group.is_empty() {
                    simple.targeted.remove(targets);
                }
            }
        } else {
            simple.open.remove(&no);
        }
        if queue.is_empty() {
            self.clients.remove(client);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The next task to run, among those that can run now.
    pub fn first(&self, can_run: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        let first = |queue: &ClientQueue| Some((queue.turn, queue.first(&can_run)?));
        let next = self.clients.values().filter_map(first).min();
        next.map(|(_, no)| no)
    }

    /// Records that a client was served: its next turn comes after all others.
    pub fn served(&mut self, client: &[u8]) {
        if let Some(queue) = self.clients.get_mut(client) {
            self.turn = queue.turn;
            queue.turn += 1;
        }
    }

    /// The waiting tasks of the same client with the same conditions: the oldest one, and their
    /// number. None for a task with conditions of its own.
    pub fn alike(&self, entry: &SchedulerEntry) -> (Option<TaskNo>, usize) {
        let queue = self.clients.get(entry.task.client());
        let simple = queue.map(|queue| &queue.simple[entry.task.language as usize]);
        let group = simple.and_then(|simple| match entry.task.targets() {
            _ if entry.is_special() => None,
            Some(targets) => simple.targeted.get(targets),
            None => Some(&simple.open),
        });
        group.map_or((None, 0), |group| (group.first().copied(), group.len()))
    }

    /// The tasks that not every engine may run, oldest first; all tasks of languages that are
    /// `without_workers`.
    pub fn bound(&self, without_workers: [bool; Language::ALL.len()]) -> Vec<TaskNo> {
        let bound = self.clients.values().flat_map(|queue| {
            let simple = queue.simple.iter().zip(without_workers);
            let simple = simple.flat_map(|(simple, without_workers)| {
                let open = simple.open.iter().filter(move |_| without_workers);
                simple.targeted.values().flatten().chain(open)
            });
            simple.chain(&queue.special)
        });
        let mut bound: Vec<_> = bound.copied().collect();
        bound.sort();
        bound
    }
}
