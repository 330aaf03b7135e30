use super::task::{Language, Record, TaskNo};
use phalanx_protocol::id::EngineUuid;
use std::collections::{BTreeSet, HashMap};

/// Tasks that wait for nothing but an engine, so kept that the next one is found without a look at
/// all of them. A task that is tried again comes before those that came after it.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// By language.
    simple: [Simple; Language::ALL.len()],
    /// Those that were tried before or follow others: each has its own conditions.
    special: BTreeSet<TaskNo>,
}

/// Tasks of one language that have no conditions of their own.
#[derive(Debug, Default)]
struct Simple {
    /// Those any engine may run.
    open: BTreeSet<TaskNo>,
    /// Those for certain engines, by these.
    targeted: HashMap<Vec<EngineUuid>, BTreeSet<TaskNo>>,
}

impl Ready {
    pub fn insert(&mut self, no: TaskNo, record: &Record) {
        let simple = &mut self.simple[record.task.language as usize];
        if record.is_special() {
            self.special.insert(no);
        } else if let Some(targets) = &record.task.targets {
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

    /// Takes a task out, if it is in.
    pub fn remove(&mut self, no: TaskNo, record: &Record) {
        let simple = &mut self.simple[record.task.language as usize];
        if record.is_special() {
            self.special.remove(&no);
        } else if let Some(targets) = &record.task.targets {
            if let Some(group) = simple.targeted.get_mut(targets) {
                group.remove(&no);
                if group.is_empty() {
                    simple.targeted.remove(targets);
                }
            }
        } else {
            simple.open.remove(&no);
        }
    }

    pub fn is_empty(&self) -> bool {
        let mut simple = self.simple.iter();
        simple.all(|simple| simple.open.is_empty() && simple.targeted.is_empty())
            && self.special.is_empty()
    }

    /// The oldest task that can run now; tasks with the same conditions are asked about once.
    pub fn first(&self, can_run: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        let heads = self.simple.iter().flat_map(|simple| {
            let targeted = simple.targeted.values().filter_map(BTreeSet::first);
            targeted.chain(simple.open.first())
        });
        let head = heads.copied().filter(|no| can_run(*no)).min();
        let older = |no: &TaskNo| head.is_none_or(|head| *no < head);
        let special = self.special.iter().copied().take_while(older);
        special.into_iter().find(|no| can_run(*no)).or(head)
    }

    /// The tasks of the same conditions as this one's that wait: the oldest, and how many. None of
    /// one that has its own.
    pub fn alike(&self, record: &Record) -> (Option<TaskNo>, usize) {
        let simple = &self.simple[record.task.language as usize];
        let group = if record.is_special() {
            None
        } else if let Some(targets) = &record.task.targets {
            simple.targeted.get(targets)
        } else {
            Some(&simple.open)
        };
        group.map_or((None, 0), |group| (group.first().copied(), group.len()))
    }

    /// The tasks that not every engine may run, oldest first; of languages that are `unmanned`, all.
    pub fn bound(&self, unmanned: [bool; Language::ALL.len()]) -> Vec<TaskNo> {
        let simple = self.simple.iter().zip(unmanned);
        let simple = simple.flat_map(|(simple, unmanned)| {
            let open = simple.open.iter().filter(move |_| unmanned);
            simple.targeted.values().flatten().chain(open)
        });
        let mut bound: Vec<_> = simple.chain(&self.special).copied().collect();
        bound.sort();
        bound
    }
}
