//! The engines of a cluster, as started by their launcher.

use super::ClusterError;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use phalanx_launcher::{EndedProcesses, Launched};
use phalanx_protocol::id::EngineId;
use std::collections::BTreeSet;

/// The parts in which a cluster's engines were launched; they end on drop.
#[derive(Debug, Default)]
pub(super) struct LaunchedEngines(Vec<LaunchedPart>);

/// A launched part, and those of its engines that were stopped on purpose.
#[derive(Debug)]
struct LaunchedPart {
    launched: Box<dyn Launched>,
    retired: BTreeSet<EngineId>,
}

/// An engine that has ended unexpectedly.
pub(super) struct EndedEngine {
    pub(super) id: EngineId,
    /// The exit status.
    pub(super) status: String,
    /// Its process, if it ran on this machine.
    pub(super) pid: Option<u32>,
}

impl LaunchedPart {
    fn ids(&self) -> impl Iterator<Item = EngineId> + '_ {
        let ids = self.launched.ids().iter().copied();
        ids.filter(|id| !self.retired.contains(id))
    }
}

impl LaunchedEngines {
    /// Wraps newly launched engines.
    pub(super) fn new(launched: Vec<Box<dyn Launched>>) -> Self {
        let part = |launched| LaunchedPart {
            launched,
            retired: BTreeSet::new(),
        };
        Self(launched.into_iter().map(part).collect())
    }

    /// Returns the launched engines, including those that have ended unexpectedly.
    pub(super) fn ids(&self) -> Vec<EngineId> {
        self.0.iter().flat_map(LaunchedPart::ids).collect()
    }

    /// Returns the process of a running engine, if it is on this machine.
    pub(super) fn pid_of(&mut self, id: EngineId) -> Option<u32> {
        let mut parts = self.0.iter_mut();
        let part = parts.find(|part| part.ids().any(|known| known == id))?;
        let runs = part.launched.end_of(id).is_none();
        part.launched.pid().filter(|_| runs)
    }

    /// Returns the engines that have ended unexpectedly.
    pub(super) fn ended(&mut self) -> Vec<EndedEngine> {
        let mut ended = Vec::new();
        for part in &mut self.0 {
            let ids: Vec<EngineId> = part.ids().collect();
            let pid = part.launched.pid();
            ended.extend(ids.into_iter().filter_map(|id| {
                let status = part.launched.end_of(id)?;
                Some(EndedEngine { id, status, pid })
            }));
        }
        ended
    }

    /// Waits for the next engines that end unexpectedly; pending forever if there are none. Cancel
    /// safe.
    pub(super) async fn next_end(&mut self) -> EndedProcesses {
        loop {
            let waits = self.0.iter_mut().map(|part| async move {
                let mut ended = part.launched.next_end().await;
                ended.ids.retain(|id| !part.retired.contains(id));
                ended
            });
            let mut waits: FuturesUnordered<_> = waits.collect();
            match waits.next().await {
                Some(ended) if !ended.ids.is_empty() => return ended,
                Some(_) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// Adds engines, replacing ended ones with the same ids.
    pub(super) async fn join(&mut self, others: Self) {
        self.retire(&others.ids()).await;
        self.0.extend(others.0);
    }

    /// Removes engines, and ends the parts that have no others.
    pub(super) async fn retire(&mut self, ids: &[EngineId]) {
        for part in &mut self.0 {
            let known = part.launched.ids().iter();
            let retired = known.filter(|id| ids.contains(id)).copied();
            part.retired.extend(retired);
        }
        let parts = std::mem::take(&mut self.0);
        let (staying, ending) = parts
            .into_iter()
            .partition(|part| part.ids().next().is_some());
        self.0 = staying;
        Self(ending).end().await;
    }

    /// Requests the end of all engines.
    pub(super) fn ask_to_end(&mut self) {
        for part in &mut self.0 {
            part.launched.ask_to_end();
        }
    }

    /// Requests the end of all engines, and kills them after a time limit.
    pub(super) async fn end(self) {
        let ended = self.0.into_iter().map(|part| part.launched.end());
        futures::future::join_all(ended).await;
    }

    /// Kills all engines.
    pub(super) async fn kill(self) {
        let killed = self.0.into_iter().map(|part| part.launched.kill());
        futures::future::join_all(killed).await;
    }

    /// Adds the processes' output, which contains the cause, to an error.
    pub(super) async fn with_printed(&mut self, error: ClusterError) -> ClusterError {
        let mut all = Vec::new();
        for part in &mut self.0 {
            let printed = part.launched.printed().await;
            if !printed.text.is_empty() {
                all.push(printed);
            }
        }
        ClusterError::Printed {
            error: Box::new(error),
            printed: all,
        }
    }
}
