//! The session's comms: performs the frontends' actions and the code's requests.

use super::actor::SessionActor;
use super::{CellId, SessionEvent};
use crate::channel::{InputPrompter, OutputSink, OutputVisibility, Requester};
use crate::comm::CommCommand;
use crate::context::CellContext;
use phalanx_protocol::comm::{CommEvent, CommRequest};
use phalanx_protocol::output::Output;
use phalanx_runtime::HostReplier;
use std::time::Instant;

impl SessionActor {
    /// Handles a frontend's action. Its request stays open until the code has handled it, so that
    /// frontends do not send a slider's changes faster than the code handles them. A running cell
    /// is not waited for.
    pub(super) async fn comm(&mut self, from: Requester, event: CommEvent) {
        let commands = self.comms.frontend(&from, event);
        let woken = self.perform_comms(commands).await;
        let local = self.services.local().clone();
        self.tasks.spawn(async move {
            for context in woken {
                local.run_callbacks(context).await;
            }
            Some(SessionEvent::Replied { from, reply: None })
        });
    }

    /// Replies to a comm request of the code.
    pub(super) async fn comm_call(
        &mut self,
        cause: &Requester,
        request: CommRequest,
        reply: HostReplier,
    ) {
        if matches!(request, CommRequest::Close(_)) {
            self.redraw(true).await;
        }
        let (result, commands) = self.comms.library(cause, request, Instant::now());
        self.perform_comms(commands).await;
        self.redraw(false).await;
        reply.send(result);
    }

    /// Returns the time at which [`Self::comms_due`] is due.
    pub(super) fn comms_deadline(&self) -> Option<Instant> {
        let redraw = self.comms.displays_due();
        let redraw = redraw.filter(|_| self.console().is_some());
        self.comms.deadline().into_iter().chain(redraw).min()
    }

    /// Sends the delayed updates that are due.
    pub(super) async fn comms_due(&mut self) {
        let commands = self.comms.tick(Instant::now());
        self.perform_comms(commands).await;
        self.redraw(false).await;
    }

    /// Sends all delayed updates, because a cell has ended, and updates what its frontend has saved
    /// of widgets.
    pub(super) async fn comms_settled(&mut self, cell: CellId) {
        let commands = self.comms.flush();
        self.perform_comms(commands).await;
        let Some(context) = self.running.remove(&cell) else {
            return;
        };
        let sink = context.sink();
        // Otherwise the next cell does it.
        if !sink.is_silent() {
            for display in self.comms.displays(Instant::now()) {
                sink.output(Output::Display(display)).await;
            }
        }
        sink.finish().await;
    }

    /// Redraws widgets on a console, if an update is due or for the `last` time. Frontends that have
    /// views of widgets would replace a view with each update, and a user could not move a slider.
    async fn redraw(&mut self, last: bool) {
        let now = Instant::now();
        let is_due = |due| last || now >= due;
        if !self.comms.displays_due().is_some_and(is_due) {
            return;
        }
        if let Some(console) = self.console().cloned() {
            for display in self.comms.displays(now) {
                console.sink().output(Output::Display(display)).await;
            }
        }
    }

    /// Returns the running cell of a console.
    fn console(&self) -> Option<&CellContext> {
        let mut running = self.running.values();
        running.find(|context| context.sink().is_terminal())
    }

    /// Performs commands; returns the contexts on whose behalf the code must be woken.
    async fn perform_comms(&self, commands: Vec<CommCommand>) -> Vec<CellContext> {
        let mut woken = Vec::new();
        for command in commands {
            match command {
                CommCommand::Publish(publication) => {
                    self.channels.iopub().publish_comm(publication).await;
                }
                CommCommand::Wake(from) => {
                    let iopub = self.channels.iopub().clone();
                    let input = self.channels.input().clone();
                    // No cell is running, so frontends do not expect an `input_request`.
                    let prompter = InputPrompter::new(input, from.clone(), false);
                    let sink = OutputSink::new(iopub, from, 0, OutputVisibility::Published);
                    woken.push(CellContext::new(sink, prompter, "", 0));
                }
            }
        }
        woken
    }
}
