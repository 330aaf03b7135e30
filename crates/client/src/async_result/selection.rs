//! Selections of tasks of one or several AsyncResults, treated as one: parts of split results,
//! joined results, and tasks selected by id.

use super::{AlreadyDone, AsyncResult};
use crate::result::{TaskCounts, TaskEvent, TaskOutcome, TaskTimes};
use chrono::Utc;
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::AsyncResultSnapshot;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A range of tasks of one AsyncResult.
#[derive(Clone, Debug)]
pub struct SelectedTasks {
    /// The AsyncResult.
    pub result: AsyncResult,
    /// The range of its tasks.
    pub tasks: Range<usize>,
}

/// A sequence of parts; its tasks are counted from 0, part by part.
#[derive(Clone, Debug)]
pub struct TaskSelection {
    parts: Vec<SelectedTasks>,
}

impl From<AsyncResult> for TaskSelection {
    fn from(result: AsyncResult) -> Self {
        let tasks = 0..result.len();
        Self {
            parts: vec![SelectedTasks { result, tasks }],
        }
    }
}

impl FromIterator<SelectedTasks> for TaskSelection {
    /// Ranges are truncated to the tasks of their AsyncResult.
    fn from_iter<I: IntoIterator<Item = SelectedTasks>>(parts: I) -> Self {
        let within = |part: SelectedTasks| {
            let to = part.tasks.end.min(part.result.len());
            let from = part.tasks.start.min(to);
            SelectedTasks {
                tasks: from..to,
                ..part
            }
        };
        Self {
            parts: parts.into_iter().map(within).collect(),
        }
    }
}

impl TaskSelection {
    /// The name of the function or magic that was run, from the first part.
    pub fn name(&self) -> String {
        let first = self.parts.first();
        first.map_or_else(String::new, |part| part.result.name())
    }

    /// The parts.
    pub fn parts(&self) -> &[SelectedTasks] {
        &self.parts
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.tasks.len()).sum()
    }

    /// Returns true if there are no tasks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of tasks that have ended.
    pub fn progress(&self) -> usize {
        self.counts().ended
    }

    /// The number of tasks that have failed.
    pub fn failed(&self) -> usize {
        self.counts().failed
    }

    /// Returns true once every task has ended.
    pub fn ready(&self) -> bool {
        self.progress() == self.len()
    }

    /// The time since the first submission, or from it to the last receipt once all have ended, in
    /// seconds.
    pub fn elapsed(&self) -> f64 {
        let now = (!self.ready()).then(Utc::now);
        self.times().elapsed(now)
    }

    /// The sum of the engines' computing times for finished tasks, in seconds.
    pub fn serial_time(&self) -> f64 {
        self.times().serial
    }

    /// The current state, without waiting.
    pub fn snapshot(&self) -> AsyncResultSnapshot {
        let tasks =
            |part: &SelectedTasks| part.result.tracker.state().record.snapshots(&part.tasks);
        AsyncResultSnapshot {
            name: self.name(),
            tasks: self.parts.iter().flat_map(tasks).collect(),
            elapsed: self.elapsed(),
        }
    }

    /// Waits until the [`outcomes`](Self::outcomes) of the finished ones of these tasks are
    /// complete, which for cells includes their displays.
    pub async fn wait_complete(&self, tasks: Range<usize>) {
        let is_whole = || {
            self.numbered().all(|(part, first)| {
                let own = within_part(part, first, &tasks);
                part.result.tracker.state().record.is_whole(&own)
            })
        };
        if !is_whole() {
            self.wait_for_any(None, is_whole).await;
        }
    }

    /// The outcomes of these tasks; `None` for pending ones.
    pub fn outcomes(&self, tasks: Range<usize>) -> Vec<Option<TaskOutcome>> {
        let mut all = Vec::new();
        for (part, first) in self.numbered() {
            let own = within_part(part, first, &tasks);
            if !own.is_empty() {
                all.extend(part.result.outcomes(own));
            }
        }
        all
    }

    /// The failures so far, combined into one.
    pub fn failure(&self) -> Option<Failure> {
        Failure::composite(&self.name(), self.failures())
    }

    fn failures(&self) -> Vec<RemoteFailure> {
        let outcomes = self.outcomes(0..usize::MAX).into_iter().flatten();
        outcomes.filter_map(Result::err).collect()
    }

    /// Waits until a part has more finished tasks than `seen`; returns the additional ones in the
    /// order in which they ended, or an empty list after the timeout or if all tasks are seen.
    pub async fn ended_since(&self, seen: &[usize], limit: Option<Duration>) -> Vec<usize> {
        let known = || self.ended_after(|part| seen.get(part).copied().unwrap_or_default());
        if seen.iter().sum::<usize>() < self.len() {
            self.wait_for_any(limit, || !known().is_empty()).await;
        }
        known()
    }

    /// The finished tasks.
    pub fn ended(&self) -> Vec<usize> {
        self.ended_after(|_| 0)
    }

    fn ended_after(&self, seen: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut ended = Vec::new();
        for (number, (part, first)) in self.numbered().enumerate() {
            let state = part.result.tracker.state();
            let own = state.record.ended_of(&part.tasks, seen(number));
            ended.extend(own.map(|task| first + task - part.tasks.start));
        }
        ended
    }

    /// Waits until every task has ended, at most for `limit`; returns true if all have.
    pub async fn wait(&self, limit: Option<Duration>) -> bool {
        self.wait_for_all(limit, |counts| counts.ended).await
    }

    /// Waits until every task has ended and its output has arrived, at most for `limit`; returns
    /// true if all has arrived.
    pub async fn wait_for_output(&self, limit: Option<Duration>) -> bool {
        self.wait_for_all(limit, |counts| counts.settled).await
    }

    /// Aborts the tasks that have not started, as [`AsyncResult::abort`] does.
    ///
    /// # Errors
    /// [`AlreadyDone`] if every task has ended.
    pub async fn abort(&self) -> Result<(), AlreadyDone> {
        if self.ready() {
            return Err(AlreadyDone);
        }
        // All parts of one result are aborted together.
        let mut results: BTreeMap<usize, (&AsyncResult, Vec<&Range<usize>>)> = BTreeMap::new();
        for part in &self.parts {
            let entry = results.entry(Arc::as_ptr(&part.result.tracker).addr());
            let (_, own) = entry.or_insert_with(|| (&part.result, Vec::new()));
            own.push(&part.tasks);
        }
        for (result, own) in results.into_values() {
            let meant = |task| own.iter().any(|tasks| tasks.contains(&task));
            // A finished result has nothing to abort.
            let _ = result.abort_tasks(meant).await;
        }
        Ok(())
    }

    /// Subscribes to the events of the tasks, starting with past ones; the channel closes once the
    /// output of the last task is complete.
    pub fn events(&self) -> mpsc::UnboundedReceiver<TaskEvent> {
        // Unbounded, like that of a single AsyncResult.
        let (sender, receiver) = mpsc::unbounded_channel();
        for (part, first) in self.numbered() {
            part.result
                .tracker
                .subscribe(part.tasks.clone(), first, sender.clone());
        }
        receiver
    }

    /// The parts, each with the index of its first task.
    fn numbered(&self) -> impl Iterator<Item = (&SelectedTasks, usize)> {
        self.parts.iter().scan(0, |first, part| {
            let here = *first;
            *first += part.tasks.len();
            Some((part, here))
        })
    }

    fn counts(&self) -> TaskCounts {
        let mut all = TaskCounts::default();
        for part in &self.parts {
            let counts = part.result.tracker.state().record.counts(&part.tasks);
            all.ended += counts.ended;
            all.failed += counts.failed;
            all.settled += counts.settled;
        }
        all
    }

    fn times(&self) -> TaskTimes {
        let times = |part: &SelectedTasks| part.result.tracker.state().record.times(&part.tasks);
        let all = self.parts.iter().map(times);
        all.fold(TaskTimes::default(), TaskTimes::and)
    }

    /// Waits until all tasks satisfy a condition, at most for `limit`; returns true if they do.
    async fn wait_for_all(
        &self,
        limit: Option<Duration>,
        count: impl Fn(TaskCounts) -> usize,
    ) -> bool {
        let wait = async {
            for part in &self.parts {
                let mut changes = part.result.tracker.changes();
                let counted = || count(part.result.tracker.state().record.counts(&part.tasks));
                // Fails only if the result is dropped, but `part` holds it.
                let _ = changes.wait_for(|_| counted() == part.tasks.len()).await;
            }
        };
        within(limit, wait).await
    }

    /// Waits until a condition that depends on any part holds, at most for `limit`.
    async fn wait_for_any(&self, limit: Option<Duration>, holds: impl Fn() -> bool) {
        let parts = self.parts.iter();
        let mut changes: Vec<_> = parts.map(|part| part.result.tracker.changes()).collect();
        let wait = async {
            loop {
                changes.iter_mut().for_each(|one| one.mark_unchanged());
                if holds() {
                    return;
                }
                let mut next: Vec<_> = changes
                    .iter_mut()
                    .map(|one| Box::pin(one.changed()))
                    .collect();
                poll_fn(|context| {
                    let mut next = next.iter_mut();
                    match next.any(|one| one.as_mut().poll(context).is_ready()) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
            }
        };
        within(limit, wait).await;
    }
}

/// The tasks of `tasks` that belong to a part starting at `first`, as indices of its result.
fn within_part(part: &SelectedTasks, first: usize, tasks: &Range<usize>) -> Range<usize> {
    let from = tasks.start.saturating_sub(first).min(part.tasks.len());
    let to = tasks.end.saturating_sub(first).min(part.tasks.len());
    part.tasks.start + from..part.tasks.start + to.max(from)
}

/// Waits at most for `limit`; returns false after the timeout.
async fn within(limit: Option<Duration>, wait: impl Future<Output = ()>) -> bool {
    match limit {
        None => {
            wait.await;
            true
        }
        Some(limit) => timeout(limit, wait).await.is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HandleRequest;
    use crate::result::{RecordedOutcome, TaskUpdate};
    use crate::task::SubmissionId;
    use chrono::{DateTime, TimeDelta};
    use phalanx_protocol::host::TaskStatus;
    use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    /// Creates tasks on engines 0, 1, …, submitted one second apart.
    fn result(id: u64, tasks: usize) -> (AsyncResult, mpsc::UnboundedReceiver<HandleRequest>) {
        let (requests, asked) = mpsc::unbounded_channel();
        let name = format!("f{id}");
        let result = AsyncResult::unsubmitted(SubmissionId(id), name, tasks, requests);
        for task in 0..tasks {
            let (id, uuid) = (EngineId(task as u32), EngineUuid::new("x"));
            result.tracker.apply(
                task,
                TaskUpdate::Placed {
                    id,
                    uuid: uuid.clone(),
                },
            );
            let sent = TaskUpdate::Sent {
                msg_id: MsgId::new(format!("{id}-{task}")),
                engine_uuid: Some(uuid),
                at: at(task as i64),
            };
            result.tracker.apply(task, sent);
        }
        (result, asked)
    }

    fn end(result: &AsyncResult, task: usize, received: i64) {
        reply(result, task, received);
        result.tracker.apply(task, TaskUpdate::OutputDone);
    }

    fn reply(result: &AsyncResult, task: usize, received: i64) {
        let end = RecordedOutcome {
            status: TaskStatus::Ok,
            failure: None,
            execution_count: None,
            value: None,
            started: Some(at(received - 2)),
            completed: Some(at(received - 1)),
            received: at(received),
            state: None,
        };
        result.tracker.apply(task, TaskUpdate::Ended(Box::new(end)));
    }

    fn select(parts: &[(&AsyncResult, Range<usize>)]) -> TaskSelection {
        let part = |(result, tasks): &(&AsyncResult, Range<usize>)| SelectedTasks {
            result: AsyncResult::clone(result),
            tasks: tasks.clone(),
        };
        parts.iter().map(part).collect()
    }

    #[tokio::test]
    async fn a_part_is_ready_when_its_own_tasks_are() {
        let (whole, _asked) = result(1, 3);
        let part = select(&[(&whole, 1..2)]);
        let mut events = part.events();
        assert!(!part.wait(Some(Duration::ZERO)).await);
        end(&whole, 2, 7);
        assert_eq!((part.progress(), part.ready()), (0, false));
        // Ends when the part has ended; awaited below.
        let waiting = tokio::spawn({
            let part = part.clone();
            async move { part.wait_for_output(PATIENCE).await && part.wait(PATIENCE).await }
        });
        end(&whole, 1, 9);
        assert!(waiting.await.unwrap());
        assert_eq!(
            (part.len(), part.elapsed(), part.serial_time()),
            (1, 8.0, 1.0)
        );
        assert_eq!(part.snapshot().tasks.len(), 1);
        assert_eq!(part.outcomes(0..usize::MAX).len(), 1);
        let mut seen = Vec::new();
        while let Some(event) = events.recv().await {
            seen.push((event.task, event.engine.0));
        }
        assert_eq!(
            seen,
            [(0, 1), (0, 1)],
            "the other tasks' events are not its own"
        );
        assert!(!whole.ready());
        assert_eq!(part.abort().await, Err(AlreadyDone));
    }

    #[tokio::test]
    async fn what_is_joined_ends_in_the_order_in_which_its_tasks_do() {
        let ((a, _), (b, _)) = (result(1, 3), result(2, 1));
        let joined = select(&[(&a, 1..usize::MAX), (&b, 0..1), (&a, 0..1)]);
        assert_eq!((joined.len(), joined.name()), (4, "f1".to_owned()));
        assert!(
            joined
                .ended_since(&[0, 0, 0], Some(Duration::ZERO))
                .await
                .is_empty()
        );
        // Ends when a task has ended; awaited below.
        let waiting = tokio::spawn({
            let joined = joined.clone();
            async move { joined.ended_since(&[0, 0, 0], PATIENCE).await }
        });
        end(&b, 0, 5);
        assert_eq!(waiting.await.unwrap(), [2]);
        end(&a, 2, 6);
        assert_eq!(joined.ended_since(&[0, 1, 0], PATIENCE).await, [1]);
        end(&a, 0, 7);
        end(&a, 1, 8);
        assert_eq!(joined.ended_since(&[1, 1, 0], PATIENCE).await, [0, 3]);
        assert_eq!(joined.ended_since(&[2, 1, 1], None).await, [] as [usize; 0]);
        assert_eq!(joined.ended(), [1, 0, 2, 3]);
        assert!(joined.wait(None).await);
        assert_eq!((joined.elapsed(), joined.serial_time()), (8.0, 4.0));
    }

    #[tokio::test]
    async fn of_a_part_only_its_own_tasks_are_dropped() {
        let (whole, mut asked) = result(1, 3);
        let part = select(&[(&whole, 1..3)]);
        end(&whole, 1, 3);
        // Ends when the request is answered; awaited below.
        let aborting = tokio::spawn(async move { part.abort().await });
        let Some(HandleRequest::Abort { keys, done }) = asked.recv().await else {
            panic!("nothing is asked")
        };
        assert_eq!(keys.iter().map(|key| key.task).collect::<Vec<_>>(), [2]);
        done.send(()).unwrap();
        aborting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_cells_have_shown_is_waited_for() {
        let (cells, _requests) = result(1, 2);
        let both = select(&[(&cells, 0..2)]);
        both.wait_complete(0..2).await;
        reply(&cells, 0, 3);
        both.wait_complete(1..2).await;
        // Ends when the output has arrived; awaited below.
        let mut waiting = tokio::spawn({
            let both = both.clone();
            async move { both.wait_complete(0..1).await }
        });
        let early = timeout(Duration::from_millis(20), &mut waiting).await;
        assert!(early.is_err(), "nothing that the cell has shown was here");
        cells.tracker.apply(0, TaskUpdate::OutputDone);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_ready() {
        let nothing = select(&[]);
        assert!(nothing.is_empty() && nothing.ready() && nothing.wait(None).await);
        assert!(nothing.ended_since(&[], None).await.is_empty());
        assert_eq!((nothing.elapsed(), nothing.name()), (0.0, String::new()));
    }
}
