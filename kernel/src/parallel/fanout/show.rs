//! The display of a cell on engines: outputs, failures as they occur, a progress bar, and the
//! failure at the end.

use super::Submitted;
use crate::channel::OutputSink;
use crate::context::CellContext;
use crate::context::progress::Progress;
use crate::magic::{PxPlan, Streaming};
use crate::parallel::results::ChosenTasks;
use crate::report::{Fault, FaultSource, report};
use phalanx_client::render::{Streamer, grouped};
use phalanx_client::{AsyncResult, TaskEvent, TaskEventKind};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::parallel::Signal;
use phalanx_transport::until;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The time after a failure during which further failures are collected, to be shown together.
const COLLECT_TIME: Duration = Duration::from_millis(100);

/// Time limit for engines to reply that they have aborted the tasks that wait.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// Time limit for the ends of aborted tasks after those replies.
const ABORT_LAG: Duration = Duration::from_millis(200);

/// The interval of the checks for those ends.
const ABORT_POLL: Duration = Duration::from_millis(10);

/// Time limit for interrupted engines to report that they have stopped.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// Waits for a submission and shows it as planned. An interrupt ends the tasks that have not begun,
/// sends the plan's signal to the engines that run others, and waits for them to stop, within a time limit; a second interrupt ends the wait.
///
/// A failure is shown at once while other engines are still running; equal failures are shown
/// together.
///
/// # Errors
/// Returns the engines' failures as one. The outputs of the other engines are shown nevertheless.
pub async fn show(
    context: &CellContext,
    submitted: &Submitted,
    plan: &PxPlan,
    progress: Progress,
    location: &FaultSource,
) -> Result<(), Fault> {
    let stored = &submitted.stored;
    let view = match plan.streaming {
        Streaming::AsTheyArrive => View::Streamed(Box::new(Streamer::new(
            stored.labels,
            uuid::Uuid::new_v4().to_string(),
        ))),
        Streaming::AtTheEnd => View::Grouped(plan.group_by),
    };
    let chosen = ChosenTasks::from(stored);
    let mut follow = Follow::new(context.sink(), &chosen, progress, view);
    if plan.streaming == Streaming::AsTheyArrive {
        follow.failures = Some(FailuresShown::new(stored.result.clone(), location.clone()));
    }
    let stopped = tokio::select! {
        biased;
        () = follow.run() => None,
        () = context.interrupted().cancelled() => Some(stored.result.pending()),
    };
    let fault = |failure: Failure, shown: bool| Fault {
        shown,
        ..Fault::at(failure, location.clone())
    };
    if let Some(pending) = stopped {
        // The failures of stopped engines are not shown separately.
        let shown = follow.failures.take().is_some_and(|failures| failures.any);
        let stop = stop(context.sink(), submitted, &plan.signal);
        let stopping = async { tokio::join!(stop, follow.run()) };
        tokio::select! {
            _ = stopping => {}
            () = tokio::time::sleep(INTERRUPT_LIMIT) => {}
            () = context.insisted().cancelled() => {}
            () = std::future::ready(()), if plan.signal.number() == Some(0) => {}
        }
        follow.finish().await;
        return Err(fault(interrupted(&stored.result, &pending), shown));
    }
    let shown = follow.finish().await;
    match stored.result.failure() {
        Some(failure) => Err(fault(failure, shown)),
        None => Ok(()),
    }
}

/// Ends the tasks that have not begun, and sends a signal to the engines that run the cell.
async fn stop(sink: &OutputSink, submitted: &Submitted, signal: &Signal) {
    let number = match signal.number() {
        Some(number) if number != 0 => number,
        _ => return,
    };
    let result = &submitted.stored.result;
    abort_waiting(result).await;
    if result.ready() {
        return;
    }
    let text = format!("Received Keyboard Interrupt. Sending signal {signal} to engines...\n");
    sink.text(StreamName::Stderr, text).await;
    // Fails only if there is nothing left to stop.
    let _ = submitted.client.signal_tasks(result, number).await;
    // A cell that has begun is refused if its engine has lost variables, and would be sent again.
    while !result.ready() {
        tokio::time::sleep(ABORT_POLL).await;
        abort_waiting(result).await;
    }
}

/// Ends the tasks that have not begun.
async fn abort_waiting(result: &AsyncResult) {
    if !result.is_waiting() {
        return;
    }
    // Fails only if there is nothing left to abort.
    let _ = tokio::time::timeout(ABORT_LIMIT, result.abort()).await;
    // The ends of aborted tasks arrive on another channel than the engines' replies.
    let deadline = Instant::now() + ABORT_LAG;
    while result.is_waiting() && Instant::now() < deadline {
        tokio::time::sleep(ABORT_POLL).await;
    }
}

/// Returns the failure of an interrupted cell; `pending` are the engines that had not finished by
/// then.
fn interrupted(result: &AsyncResult, pending: &[EngineId]) -> Failure {
    let running = result.pending();
    let failures = result.failures();
    let of_pending = |failure: &RemoteFailure| {
        let engine = failure.engine;
        engine.is_some_and(|engine| pending.contains(&engine))
    };
    if !failures.iter().all(of_pending) {
        // Some engines failed by themselves, which is more important to the user.
        return Failure::composite(&result.name(), failures)
            .unwrap_or_else(|| Failure::Interrupted { lost: Vec::new() });
    }
    let stopped: Vec<EngineId> = failures
        .iter()
        .filter_map(|failure| failure.engine)
        .collect();
    let finished = result.engines().into_iter();
    let finished = finished.filter(|id| !running.contains(id) && !stopped.contains(id));
    Failure::EnginesInterrupted {
        finished: finished.collect(),
        running,
        stopped: failures,
    }
}

/// Waits for tasks with a progress bar, for at most `timeout`; returns true if they are ready.
pub async fn wait_with_bar(
    sink: &OutputSink,
    chosen: &ChosenTasks,
    interval: Duration,
    timeout: Option<Duration>,
) -> bool {
    let progress = Progress::new(
        &chosen.tasks.name(),
        chosen.items(),
        Some(Duration::ZERO),
        Instant::now(),
    );
    let progress = progress.after(chosen.items_ended()).every(interval);
    let mut follow = Follow::new(sink, chosen, progress, View::Nothing);
    let ready = match timeout {
        Some(timeout) => tokio::time::timeout(timeout, follow.run()).await.is_ok(),
        None => {
            follow.run().await;
            true
        }
    };
    follow.finish().await;
    ready
}

/// Shows the outputs of tasks as they arrive, including earlier ones, until all tasks are done.
pub async fn stream(sink: &OutputSink, chosen: &ChosenTasks) {
    let progress = Progress::new(&chosen.tasks.name(), chosen.items(), None, Instant::now());
    let id = uuid::Uuid::new_v4().to_string();
    let view = View::Streamed(Box::new(Streamer::new(chosen.labels, id)));
    let mut follow = Follow::new(sink, chosen, progress, view);
    follow.run().await;
    follow.finish().await;
}

/// The display mode of an AsyncResult's events.
enum View {
    Streamed(Box<Streamer>),
    Grouped(GroupBy),
    Nothing,
}

/// The display of an AsyncResult until its end.
struct Follow<'a> {
    sink: &'a OutputSink,
    chosen: &'a ChosenTasks,
    progress: Progress,
    view: View,
    /// The failures to show as they occur, if requested.
    failures: Option<FailuresShown>,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    /// Outputs to publish next.
    unpublished: VecDeque<Output>,
}

impl<'a> Follow<'a> {
    fn new(sink: &'a OutputSink, chosen: &'a ChosenTasks, progress: Progress, view: View) -> Self {
        Self {
            sink,
            chosen,
            progress,
            view,
            failures: None,
            events: chosen.tasks.events(),
            unpublished: VecDeque::new(),
        }
    }

    /// Waits until all tasks are done. Cancel safe: outputs that were not published yet are
    /// published by the next call, or by [`finish`](Self::finish).
    async fn run(&mut self) {
        loop {
            self.publish().await;
            let deadline = self.deadline();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
                () = until(deadline) => self.tick(),
            }
        }
    }

    async fn publish(&mut self) {
        while let Some(output) = self.unpublished.front() {
            self.sink.output(output.clone()).await;
            self.unpublished.pop_front();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let streamed = match &self.view {
            View::Streamed(streamer) => streamer.deadline(),
            View::Grouped(_) | View::Nothing => None,
        };
        let failures = self.failures.as_ref().and_then(|failures| failures.due);
        [streamed, failures, self.progress.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Handles an event and all others that have arrived, so that they are shown together.
    fn event(&mut self, event: TaskEvent) {
        let mut next = Some(event);
        while let Some(event) = next {
            if let (Some(failures), TaskEventKind::Done { ok: false, .. }) =
                (&mut self.failures, &event.kind)
            {
                failures.failed(event.engine, Instant::now());
            }
            if let View::Streamed(streamer) = &mut self.view {
                let outputs = streamer.event(event, Instant::now());
                self.show(outputs);
            }
            next = self.events.try_recv().ok();
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if let View::Streamed(streamer) = &mut self.view {
            let outputs = streamer.tick(now);
            self.show(outputs);
        }
        let failures = self.failures.as_mut();
        self.unpublished
            .extend(failures.and_then(|failures| failures.tick(now)));
        self.progress.failed(self.chosen.tasks.failed());
        let bar = self.progress.tick(self.chosen.items_ended(), now);
        self.unpublished.extend(bar);
    }

    fn show(&mut self, outputs: Vec<Output>) {
        if outputs
            .iter()
            .any(|output| matches!(output, Output::ClearOutput { .. }))
        {
            self.progress.cleared();
        }
        self.unpublished.extend(outputs);
    }

    /// Shows the remaining outputs and the final bar. Returns true if failures have been shown.
    async fn finish(mut self) -> bool {
        while let Ok(event) = self.events.try_recv() {
            self.event(event);
        }
        let outputs = match &mut self.view {
            View::Streamed(streamer) => streamer.finish(),
            View::Grouped(group_by) => {
                let snapshot = self.chosen.tasks.snapshot();
                grouped(&snapshot, *group_by, false, self.chosen.labels)
            }
            View::Nothing => Vec::new(),
        };
        let done = self.chosen.items_ended();
        self.progress.failed(self.chosen.tasks.failed());
        let bar = self.progress.finish(done, Instant::now());
        self.unpublished.extend(bar);
        self.show(outputs);
        let failures = self.failures.as_mut();
        self.unpublished
            .extend(failures.and_then(FailuresShown::finish));
        self.publish().await;
        self.failures.is_some_and(|failures| failures.any)
    }
}

/// The failures of a cell, shown as they occur.
struct FailuresShown {
    result: AsyncResult,
    location: FaultSource,
    /// Engines whose failures are still to be shown.
    waiting: Vec<EngineId>,
    /// The time at which those failures are shown.
    due: Option<Instant>,
    /// True once a failure has been shown.
    any: bool,
}

impl FailuresShown {
    fn new(result: AsyncResult, location: FaultSource) -> Self {
        Self {
            result,
            location,
            waiting: Vec::new(),
            due: None,
            any: false,
        }
    }

    /// Records a failed engine; others may fail with the same message shortly after.
    fn failed(&mut self, engine: EngineId, now: Instant) {
        self.waiting.push(engine);
        self.due.get_or_insert(now + COLLECT_TIME);
    }

    /// Returns the failures that are due. Once nothing is running, they are part of the cell's own
    /// failure.
    fn tick(&mut self, now: Instant) -> Option<Output> {
        self.due.take_if(|due| *due <= now)?;
        match self.result.ready() {
            true => None,
            false => self.show(),
        }
    }

    /// Returns the remaining failures, if others have been shown before.
    fn finish(&mut self) -> Option<Output> {
        if self.any { self.show() } else { None }
    }

    fn show(&mut self) -> Option<Output> {
        let engines = std::mem::take(&mut self.waiting);
        let mut failures = self.result.failures();
        failures.retain(|failure| failure.engine.is_some_and(|id| engines.contains(&id)));
        let failure = Failure::composite(&self.result.name(), failures)?;
        self.any = true;
        let report = report(&Fault::at(failure, self.location.clone()));
        Some(Output::Stream {
            name: StreamName::Stderr,
            text: report.traceback.join("\n").trim_end().to_owned() + "\n",
        })
    }
}
