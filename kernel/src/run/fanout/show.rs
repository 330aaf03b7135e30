//! Outputs of engines in a cell, a bar while they take their time, and the failure at the end.

use super::Submitted;
use crate::magic::{PxPlan, Streaming};
use crate::run::CellContext;
use crate::run::progress::Progress;
use crate::run::results::Held;
use phalanx_client::TaskEvent;
use phalanx_client::render::{Streamer, grouped};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::output::StreamName;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// SIGINT, which ends the cell that runs on an engine.
const INTERRUPT: i32 = 2;

/// How long interrupted engines may take to say that they have stopped.
const INTERRUPT_LIMIT: Duration = Duration::from_secs(5);

/// How much of an AsyncResult is shown when all of it is there.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// How outputs are grouped.
    pub group_by: GroupBy,
    /// Whether only results are shown.
    pub result_only: bool,
}

/// Waits for what was submitted and shows it as its plan says.
///
/// # Errors
/// The engines' failures as one. What the others put out is shown nevertheless.
pub async fn show(
    context: &CellContext,
    submitted: &Submitted,
    plan: &PxPlan,
) -> Result<(), Failure> {
    let held = &submitted.held;
    let now = Instant::now();
    let progress = Progress::new(
        &held.result.name(),
        held.result.len(),
        plan.progress_after,
        now,
    );
    let view = match plan.streaming {
        Streaming::AsTheyArrive => View::Streamed(Streamer::new(held.labels)),
        Streaming::AtTheEnd => View::Grouped(plan.group_by),
    };
    let follow = Follow {
        context,
        held,
        progress,
        view,
    };
    let stopped = tokio::select! {
        () = follow.run() => false,
        () = context.interrupted().cancelled() => true,
    };
    if stopped {
        interrupt(context, submitted).await;
    }
    match held.result.failure() {
        Some(failure) => Err(failure),
        None if stopped => Err(Failure::Interrupted { lost: Vec::new() }),
        None => Ok(()),
    }
}

/// Ends the engines' cells, as ipyparallel does when a blocking cell is interrupted.
async fn interrupt(context: &CellContext, submitted: &Submitted) {
    let text = "Received Keyboard Interrupt. Sending signal SIGINT to engines...\n";
    context.outlet().text(StreamName::Stderr, text).await;
    // Both fail only when there is nothing left to stop.
    let _ = submitted.held.result.abort().await;
    let _ = submitted
        .client
        .signal_engines(&submitted.engines, INTERRUPT)
        .await;
    submitted.held.result.wait(Some(INTERRUPT_LIMIT)).await;
}

/// Waits for an AsyncResult with a bar, at most for `timeout`; whether it is ready.
pub async fn wait_with_bar(
    context: &CellContext,
    held: &Held,
    interval: Duration,
    timeout: Option<Duration>,
) -> bool {
    let progress = Progress::new(
        &held.result.name(),
        held.result.len(),
        Some(Duration::ZERO),
        Instant::now(),
    );
    let follow = Follow {
        context,
        held,
        progress: progress.every(interval),
        view: View::Nothing,
    };
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, follow.run()).await.is_ok(),
        None => {
            follow.run().await;
            true
        }
    }
}

/// What is shown of the events of an AsyncResult.
enum View {
    Streamed(Streamer),
    Grouped(GroupBy),
    Nothing,
}

/// An AsyncResult being followed to its end.
struct Follow<'a> {
    context: &'a CellContext,
    held: &'a Held,
    progress: Progress,
    view: View,
}

impl Follow<'_> {
    async fn run(mut self) {
        let mut events = self.held.result.events();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.event(event, &mut events).await,
                    None => break,
                },
                () = until(deadline) => self.tick().await,
            }
        }
        self.finish().await;
    }

    fn deadline(&self) -> Option<Instant> {
        let streamed = match &self.view {
            View::Streamed(streamer) => streamer.deadline(),
            View::Grouped(_) | View::Nothing => None,
        };
        [streamed, self.progress.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes an event and all that came with it, so that they are shown together.
    async fn event(&mut self, event: TaskEvent, events: &mut mpsc::UnboundedReceiver<TaskEvent>) {
        let mut next = Some(event);
        while let Some(event) = next {
            if let View::Streamed(streamer) = &mut self.view {
                let outputs = streamer.event(event, Instant::now());
                self.context.outlet().outputs(outputs).await;
            }
            next = events.try_recv().ok();
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if let View::Streamed(streamer) = &mut self.view {
            let outputs = streamer.tick(now);
            self.context.outlet().outputs(outputs).await;
        }
        if let Some(bar) = self.progress.tick(self.held.result.progress(), now) {
            self.context.outlet().output(bar).await;
        }
    }

    async fn finish(mut self) {
        let outputs = match &mut self.view {
            View::Streamed(streamer) => streamer.finish(),
            View::Grouped(group_by) => {
                let snapshot = self.held.result.snapshot();
                grouped(&snapshot, *group_by, false, self.held.labels)
            }
            View::Nothing => Vec::new(),
        };
        let outlet = self.context.outlet();
        let done = self.held.result.progress();
        if let Some(bar) = self.progress.finish(done, Instant::now()) {
            outlet.output(bar).await;
        }
        outlet.outputs(outputs).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
