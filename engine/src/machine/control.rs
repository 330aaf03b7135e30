//! Requests about the engine itself, which are replied to at once.

use super::event::{EngineCommand, IncomingRequest};
use super::failure::EngineFailure;
use super::{AcceptedTask, MAX_ABORTED, Machine, RuntimeState, status};
use phalanx_protocol::id::MsgId;
use phalanx_protocol::parallel::{
    EngineKind, EngineReplyContent, EngineRequest, EngineStatus, KernelInfo, Signal, SignalRequest,
};
use std::sync::Arc;

impl Machine {
    pub(super) fn control(&mut self, request: IncomingRequest, commands: &mut Vec<EngineCommand>) {
        status(&request, EngineStatus::Busy, commands);
        match &request.content {
            EngineRequest::KernelInfo { probe } => {
                let open = |probe| EngineCommand::OpenProbe {
                    client: request.header.session.clone(),
                    probe,
                };
                commands.extend(probe.clone().map(open));
                let info = EngineReplyContent::KernelInfo(Box::new(self.kernel_info()));
                self.reply_with(request, info, commands);
            }
            EngineRequest::Lineage => {
                let lineage = Box::new(self.records.lineage(self.state.clone()));
                self.reply_with(
                    request,
                    EngineReplyContent::Lineage(Some(lineage)),
                    commands,
                );
            }
            EngineRequest::Abort(ids) => {
                let ids = ids.clone();
                self.abort(&ids, commands);
                self.reply_with(request, EngineReplyContent::Done, commands);
            }
            EngineRequest::Clear => {
                self.clear(commands);
                self.reply_with(request, EngineReplyContent::Done, commands);
            }
            EngineRequest::Shutdown => {
                self.reply_with(request, EngineReplyContent::ShutDown, commands);
                self.flush(commands);
                commands.push(EngineCommand::Stop);
            }
            EngineRequest::Signal(signal) => {
                let signal = signal.clone();
                self.signal(request, &signal, commands);
            }
            EngineRequest::Unknown
            | EngineRequest::ReleaseSegment(_)
            | EngineRequest::Execute { .. }
            | EngineRequest::Apply(_)
            | EngineRequest::Batch(_) => {
                let failure = EngineFailure::UnknownRequest(request.header.msg_type.clone());
                self.reply_failed(request, &failure, commands);
            }
        }
    }

    /// Interrupts the running cell, but not the queued ones.
    pub(super) fn interrupt(&mut self, commands: &mut Vec<EngineCommand>) {
        if let Some(current) = &mut self.current {
            current.interrupted = true;
            if current.running {
                commands.push(EngineCommand::Interrupt);
            } else if current.artifacts.is_some() {
                // It waits for the runtime, which may take long to start.
                self.fail(EngineFailure::InterruptedBefore, commands);
            }
        }
    }

    fn reply_with(
        &mut self,
        request: IncomingRequest,
        content: EngineReplyContent,
        commands: &mut Vec<EngineCommand>,
    ) {
        let reply = self.build_reply(&request, content, self.now);
        self.reply(request, reply, commands);
    }

    fn signal(
        &mut self,
        request: IncomingRequest,
        signal: &SignalRequest,
        commands: &mut Vec<EngineCommand>,
    ) {
        let Some(number) = signal.sig.number() else {
            let failure = EngineFailure::UnknownSignal(signal.sig.clone());
            self.reply_failed(request, &failure, commands);
            return;
        };
        let tasks = &signal.msg_ids;
        let runs = |current: &AcceptedTask| tasks.contains(&current.request.msg_id());
        if !tasks.is_empty() && !self.current.as_ref().is_some_and(runs) {
            // The task has ended or not begun, so the signal would hit another one.
            self.reply_with(request, EngineReplyContent::Done, commands);
            return;
        }
        match number {
            0 => {}
            Signal::INTERRUPT => self.interrupt(commands),
            Signal::KILL => commands.push(EngineCommand::Kill),
            other => commands.push(EngineCommand::Signal(other)),
        }
        self.reply_with(request, EngineReplyContent::Done, commands);
    }

    fn abort(&mut self, ids: &[MsgId], commands: &mut Vec<EngineCommand>) {
        let (dropped, kept) =
            std::mem::take(&mut self.queue)
                .into_iter()
                .partition(|request: &IncomingRequest| {
                    ids.is_empty() || ids.contains(&request.msg_id())
                });
        self.queue = kept;
        self.drop_prefetched(ids, commands);
        let current = self.current.iter().map(|c| c.request.msg_id());
        let mut come = current.chain(self.prefetched.ids()).collect::<Vec<_>>();
        for request in dropped {
            come.push(request.msg_id());
            self.reply_aborted(request, commands);
        }
        for id in ids.iter().filter(|id| !come.contains(id)) {
            if self.aborted.len() == MAX_ABORTED {
                self.aborted.pop_front();
            }
            self.aborted.push_back(id.clone());
        }
    }

    fn clear(&mut self, commands: &mut Vec<EngineCommand>) {
        match &mut self.current {
            Some(current) if current.running => {
                current.interrupted = true;
                current.clear = true;
            }
            _ => {
                self.reset_namespace();
                if self.runtime == RuntimeState::Up {
                    self.forget_runtime();
                }
            }
        }
        commands.push(EngineCommand::Kill);
    }

    fn kernel_info(&self) -> KernelInfo {
        KernelInfo {
            protocol_version: phalanx_transport::wire::VERSION.to_owned(),
            banner: format!("Phalanx engine {}", self.identity.id),
            kind: EngineKind::Rust(Arc::new(self.handshake())),
        }
    }
}
