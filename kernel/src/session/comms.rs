//! The session's comms: performs the frontends' actions and the code's requests.

use super::SessionEvent;
use super::actor::SessionActor;
use crate::channel::{InputPrompter, OutputSink, OutputVisibility, Requester};
use crate::comm::CommCommand;
use crate::context::CellContext;
use phalanx_protocol::comm::{CommEvent, CommRequest};
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
        let (result, commands) = self.comms.library(cause, request, Instant::now());
        self.perform_comms(commands).await;
        reply.send(result);
    }

    /// Sends the delayed updates that are due.
    pub(super) async fn comms_due(&mut self) {
        let commands = self.comms.tick(Instant::now());
        self.perform_comms(commands).await;
    }

    /// Sends all delayed updates, because a cell has ended.
    pub(super) async fn comms_settled(&mut self) {
        let commands = self.comms.flush();
        self.perform_comms(commands).await;
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
