//! The engines of a cluster as their launcher has started them.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use phalanx_launcher::{EndedProcesses, Launched};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use std::collections::BTreeSet;

/// The parts in which a cluster's engines were started; they end with this value.
#[derive(Debug, Default)]
pub(super) struct LaunchedEngines(Vec<LaunchedPart>);

/// A part, and those of its engines that were ended on purpose.
#[derive(Debug)]
struct LaunchedPart {
    launched: Box<dyn Launched>,
    retired: BTreeSet<EngineId>,
}

/// An engine that was started and has ended by itself.
pub(super) struct EndedEngine {
    pub(super) id: EngineId,
    /// The system's words.
    pub(super) status: String,
    /// Its process on this machine, where it had one.
    pub(super) pid: Option<u32>,
}

impl LaunchedPart {
    fn ids(&self) -> impl Iterator<Item = EngineId> + '_ {
        let ids = self.launched.ids().iter().copied();
        ids.filter(|id| !self.retired.contains(id))
    }
}

impl LaunchedEngines {
    /// Engines that were just started.
    pub(super) fn new(launched: Vec<Box<dyn Launched>>) -> Self {
        let part = |launched| LaunchedPart {
            launched,
            retired: BTreeSet::new(),
        };
        Self(launched.into_iter().map(part).collect())
    }

    /// The engines that were started, also those that have ended by themselves.
    pub(super) fn ids(&self) -> Vec<EngineId> {
        self.0.iter().flat_map(LaunchedPart::ids).collect()
    }

    /// The process on this machine of an engine that runs.
    pub(super) fn pid_of(&mut self, id: EngineId) -> Option<u32> {
        let mut parts = self.0.iter_mut();
        let part = parts.find(|part| part.ids().any(|known| known == id))?;
        let runs = part.launched.end_of(id).is_none();
        part.launched.pid().filter(|_| runs)
    }

    /// The engines that have ended by themselves.
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

    /// Waits for the next engines that end by themselves. Cancel safe; pending for ever where there are none.
    pub(super) async fn next_end(&mut self) -> EndedProcesses {
        loop {
            let waits = self.0.iter_mut().map(|part| async move {
                let mut ended = part.launched.next_end().await;
                ended.ids.retain(|id| !part.retired.contains(id));
                ended
            });
            let mut ends: FuturesUnordered<_> = waits.collect();
            match ends.next().await {
                Some(ended) if !ended.ids.is_empty() => return ended,
                Some(_) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// Adds others, in whose favour the ended engines of the same ids are forgotten.
    pub(super) async fn join(&mut self, others: Self) {
        self.retire(&others.ids()).await;
        self.0.extend(others.0);
    }

    /// Forgets engines, and ends what is left of the parts they were in.
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

    /// Asks all to end.
    pub(super) fn ask_to_end(&mut self) {
        for part in &mut self.0 {
            part.launched.ask_to_end();
        }
    }

    /// Waits a while for all to end as they were asked to, then ends them.
    pub(super) async fn end(self) {
        let ends = self.0.into_iter().map(|part| part.launched.end());
        futures::future::join_all(ends).await;
    }

    /// Ends all at once.
    pub(super) async fn kill(self) {
        let ends = self.0.into_iter().map(|part| part.launched.kill());
        futures::future::join_all(ends).await;
    }

    /// A failure with what was printed, which has the reason.
    pub(super) async fn with_words(&mut self, failure: Failure) -> Failure {
        let Failure::Environment { mut message, hint } = failure else {
            return failure;
        };
        for part in &mut self.0 {
            let printed = part.launched.printed().await;
            if !printed.text.is_empty() {
                message.push_str(&format!("\n{} printed:\n{}", printed.who, printed.text));
            }
        }
        Failure::Environment { message, hint }
    }
}
