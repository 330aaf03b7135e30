use super::task::{Record, TaskNo};
use phalanx_protocol::id::EngineUuid;
use std::collections::{BTreeSet, HashMap};

/// Tasks that wait for nothing but an engine, so kept that the next one is found without a look at
/// all of them. A task that is tried again comes before those that came after it.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Those any engine may run.
    open: BTreeSet<TaskNo>,
    /// Those for certain engines, by these.
    targeted: HashMap<Vec<EngineUuid>, BTreeSet<TaskNo>>,
    /// Those that were tried before or follow others: each has its own conditions.
    special: BTreeSet<TaskNo>,
}

impl Ready {
    pub fn insert(&mut self, no: TaskNo, record: &Record) {
        if record.is_special() {
            self.special.insert(no);
        } else if let Some(targets) = &record.task.targets {
            match self.targeted.get_mut(targets) {
                Some(group) => drop(group.insert(no)),
                None => drop(self.targeted.insert(targets.clone(), BTreeSet::from([no]))),
            }
        } else {
            self.open.insert(no);
        }
    }

    /// Takes a task out, if it is in.
    pub fn remove(&mut self, no: TaskNo, record: &Record) {
        if record.is_special() {
            self.special.remove(&no);
        } else if let Some(targets) = &record.task.targets {
            if let Some(group) = self.targeted.get_mut(targets) {
                group.remove(&no);
                if group.is_empty() {
                    self.targeted.remove(targets);
                }
            }
        } else {
            self.open.remove(&no);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.targeted.is_empty() && self.special.is_empty()
    }

    /// The oldest task that can run now; tasks with the same conditions are asked about once.
    pub fn first(&self, can_run: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        let heads = self.targeted.values().filter_map(BTreeSet::first);
        let heads = heads.chain(self.open.first()).copied();
        let head = heads.filter(|no| can_run(*no)).min();
        let older = |no: &TaskNo| head.is_none_or(|head| *no < head);
        let special = self.special.iter().copied().take_while(older);
        special.into_iter().find(|no| can_run(*no)).or(head)
    }

    /// The tasks of the same conditions as this one's that wait: the oldest, and how many. None of
    /// one that has its own.
    pub fn alike(&self, record: &Record) -> (Option<TaskNo>, usize) {
        let group = if record.is_special() {
            None
        } else if let Some(targets) = &record.task.targets {
            self.targeted.get(targets)
        } else {
            Some(&self.open)
        };
        group.map_or((None, 0), |group| (group.first().copied(), group.len()))
    }

    /// The tasks that not every engine may run, oldest first.
    pub fn bound(&self) -> Vec<TaskNo> {
        let targeted = self.targeted.values().flatten();
        let mut bound: Vec<_> = targeted.chain(&self.special).copied().collect();
        bound.sort();
        bound
    }
}
