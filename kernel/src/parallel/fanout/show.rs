//! Outputs of engines in a cell, their failures as they happen, a bar while they take their time, and the
//! failure at the end.

use super::Submitted;
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

/// The time after a failure in which further failures with the same words are gathered.
const GATHERED: Duration = Duration::from_millis(100);

/// The time interrupted engines may take to report that they have stopped.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// Waits for what was submitted and shows it as its plan says. Interrupted, it sends the engines the
/// plan's signal and waits a while for them to stop; interrupted again, it waits no longer.
///
/// A failure is shown at once where others are still running; those that say the same are shown together.
///
/// # Errors
/// The engines' failures as one. The outputs of the others are shown nevertheless.
pub async fn show(
    context: &CellContext,
    submitted: &Submitted,
    plan: &PxPlan,
    progress: Progress,
    place: &FaultSource,
) -> Result<(), Fault> {
    let held = &submitted.held;
    let view = match plan.streaming {
        Streaming::AsTheyArrive => View::Streamed(Box::new(Streamer::new(
            held.labels,
            uuid::Uuid::new_v4().to_string(),
        ))),
        Streaming::AtTheEnd => View::Grouped(plan.group_by),
    };
    let chosen = ChosenTasks::from(held);
    let mut follow = Follow::new(context, &chosen, progress, view);
    if plan.streaming == Streaming::AsTheyArrive {
        follow.failures = Some(FailuresShown::new(held.result.clone(), place.clone()));
    }
    let stopped = tokio::select! {
        biased;
        () = follow.run() => None,
        () = context.interrupted().cancelled() => Some(held.result.pending()),
    };
    let fault = |failure: Failure, shown: bool| Fault {
        shown,
        ..Fault::at(failure, place.clone())
    };
    if let Some(pending) = stopped {
        // What is stopped now fails for that.
        let shown = follow.failures.take().is_some_and(|failures| failures.any);
        let stop = stop(context, submitted, &plan.signal);
        let ends = async { tokio::join!(stop, follow.run()) };
        tokio::select! {
            _ = ends => {}
            () = tokio::time::sleep(INTERRUPT_LIMIT) => {}
            () = context.insisted().cancelled() => {}
            () = std::future::ready(()), if plan.signal.number() == Some(0) => {}
        }
        follow.finish().await;
        return Err(fault(interrupted(&held.result, &pending), shown));
    }
    let shown = follow.finish().await;
    match held.result.failure() {
        Some(failure) => Err(fault(failure, shown)),
        None => Ok(()),
    }
}

/// Sends the engines that still run the cell the signal, as ipyparallel does.
async fn stop(context: &CellContext, submitted: &Submitted, signal: &Signal) {
    let number = match signal.number() {
        Some(number) if number != 0 => number,
        _ => return,
    };
    let text = format!("Received Keyboard Interrupt. Sending signal {signal} to engines...\n");
    context.sink().text(StreamName::Stderr, text).await;
    let result = &submitted.held.result;
    let pending = result.pending();
    // Both fail only when there is nothing left to stop.
    let (_, _) = tokio::join!(
        result.abort(),
        submitted.client.signal_engines(&pending, number)
    );
}

/// The failure of a cell that was interrupted; `pending` had not ended then.
fn interrupted(result: &AsyncResult, pending: &[EngineId]) -> Failure {
    let running = result.pending();
    let failures = result.failures();
    let of_pending = |failure: &RemoteFailure| {
        let engine = failure.engine;
        engine.is_some_and(|engine| pending.contains(&engine))
    };
    if !failures.iter().all(of_pending) {
        // Some failed of themselves: that is what the user has to know.
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

/// Waits for an AsyncResult with a bar, at most for `timeout`; whether it is ready.
pub async fn wait_with_bar(
    context: &CellContext,
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
    let mut follow = Follow::new(context, chosen, progress, View::Nothing);
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

/// Shows the outputs of an AsyncResult as they arrive, first what has arrived, until all are here.
pub async fn stream(context: &CellContext, chosen: &ChosenTasks) {
    let progress = Progress::new(&chosen.tasks.name(), chosen.items(), None, Instant::now());
    let id = uuid::Uuid::new_v4().to_string();
    let view = View::Streamed(Box::new(Streamer::new(chosen.labels, id)));
    let mut follow = Follow::new(context, chosen, progress, view);
    follow.run().await;
    follow.finish().await;
}

/// The view of an AsyncResult's events.
enum View {
    Streamed(Box<Streamer>),
    Grouped(GroupBy),
    Nothing,
}

/// An AsyncResult being followed to its end.
struct Follow<'a> {
    context: &'a CellContext,
    chosen: &'a ChosenTasks,
    progress: Progress,
    view: View,
    /// The failures shown as they happen, if they are to be.
    failures: Option<FailuresShown>,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    /// Outputs that are next to be published.
    page: VecDeque<Output>,
}

impl<'a> Follow<'a> {
    fn new(
        context: &'a CellContext,
        chosen: &'a ChosenTasks,
        progress: Progress,
        view: View,
    ) -> Self {
        Self {
            context,
            chosen,
            progress,
            view,
            failures: None,
            events: chosen.tasks.events(),
            page: VecDeque::new(),
        }
    }

    /// Returns when all is over. Cancel-safe: what was not published yet is so by the next call, or
    /// by [`finish`](Self::finish).
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
        while let Some(output) = self.page.front() {
            self.context.sink().output(output.clone()).await;
            self.page.pop_front();
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

    /// Takes an event and all that came with it, so that they are shown together.
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
        self.page
            .extend(failures.and_then(|failures| failures.tick(now)));
        let bar = self.progress.tick(self.chosen.items_ended(), now);
        self.page.extend(bar);
    }

    fn show(&mut self, outputs: Vec<Output>) {
        if outputs
            .iter()
            .any(|output| matches!(output, Output::ClearOutput { .. }))
        {
            self.progress.cleared();
        }
        self.page.extend(outputs);
    }

    /// Shows what is left, and the bar as it stays. Returns true if failures have been shown.
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
        let bar = self.progress.finish(done, Instant::now());
        self.page.extend(bar);
        self.show(outputs);
        let failures = self.failures.as_mut();
        self.page.extend(failures.and_then(FailuresShown::finish));
        self.publish().await;
        self.failures.is_some_and(|failures| failures.any)
    }
}

/// Failures of a cell that are shown as they happen.
struct FailuresShown {
    result: AsyncResult,
    place: FaultSource,
    /// Engines whose failures are to be shown.
    waiting: Vec<EngineId>,
    /// The time at which those failures are due.
    due: Option<Instant>,
    /// True once any have been shown.
    any: bool,
}

impl FailuresShown {
    fn new(result: AsyncResult, place: FaultSource) -> Self {
        Self {
            result,
            place,
            waiting: Vec::new(),
            due: None,
            any: false,
        }
    }

    /// A cell has failed on an engine; it may have on others too, with the same words.
    fn failed(&mut self, engine: EngineId, now: Instant) {
        self.waiting.push(engine);
        self.due.get_or_insert(now + GATHERED);
    }

    /// The failures due by now. Once nothing runs any more, that is the cell's own failure.
    fn tick(&mut self, now: Instant) -> Option<Output> {
        self.due.take_if(|due| *due <= now)?;
        match self.result.ready() {
            true => None,
            false => self.show(),
        }
    }

    /// The failures left, unless nothing was shown before.
    fn finish(&mut self) -> Option<Output> {
        if self.any { self.show() } else { None }
    }

    fn show(&mut self) -> Option<Output> {
        let engines = std::mem::take(&mut self.waiting);
        let mut failures = self.result.failures();
        failures.retain(|failure| failure.engine.is_some_and(|id| engines.contains(&id)));
        let failure = Failure::composite(&self.result.name(), failures)?;
        self.any = true;
        let told = report(&Fault::at(failure, self.place.clone()));
        Some(Output::Stream {
            name: StreamName::Stderr,
            text: told.traceback.join("\n").trim_end().to_owned() + "\n",
        })
    }
}
