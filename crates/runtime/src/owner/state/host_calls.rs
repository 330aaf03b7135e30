//! Calls of the `phalanx` library, and requests of the running cell for a line.

use super::OwnerState;
use super::event::OwnerCommand;
use super::port::ProcessPort;
use crate::owner::host::{HostReplier, ReceivedCall};
use crate::owner::{HostCall, RuntimeEvent};
use phalanx_protocol::host::{CellRequest, HostReply, HostRequest, KernelRequest};
use phalanx_protocol::payload::Payload;

impl OwnerState {
    /// Handles a call of the `phalanx` library.
    pub(super) fn host_call(&mut self, call: ReceivedCall, port: &mut dyn ProcessPort) {
        match call.request {
            HostRequest::Output(output) => {
                if self.calls.running().is_some() {
                    // Attributed to the call that is running by now.
                    self.drain_control(port);
                }
                let number = self.capture.hold_for_marker(output);
                let answer = OwnerCommand::Answer(call.reply, HostReply::Place(number));
                self.commands.push_back(answer);
            }
            HostRequest::Kernel(request) => self.call_kernel(request, call.raw, call.reply, port),
        }
    }

    /// Passes a request on to the kernel or, on an engine, to the engine.
    fn call_kernel(
        &mut self,
        request: KernelRequest,
        raw: Vec<Payload>,
        reply: HostReplier,
        port: &mut dyn ProcessPort,
    ) {
        match &request {
            // It shows nothing, so that the value or the error before it remains the cell's last
            // output.
            KernelRequest::Cell(CellRequest::Released { .. }) => self.attribute_output(port),
            _ => self.flush_output(port),
        }
        let run = self.capture.running();
        self.report(RuntimeEvent::HostCall(HostCall {
            run,
            request,
            raw,
            reply,
        }));
    }

    /// Requests a line from the kernel on behalf of the cell.
    pub(super) fn ask(&mut self, request: CellRequest, port: &mut dyn ProcessPort) {
        if self.stdin.is_asking() {
            return;
        }
        self.stdin.ask();
        self.flush_output(port);
        // Otherwise the run has ended by now.
        if self.stdin.is_asking() {
            let run = self.capture.running();
            let ask = OwnerCommand::AskForLine { run, request };
            self.commands.push_back(ask);
        }
    }

    /// Handles the reply to a request for a line.
    pub(super) fn stdin_answered(&mut self, answer: Option<HostReply>) {
        let (line, closes) = match answer {
            Some(HostReply::Input(Some(line))) => (Some(line), false),
            // The cell is being stopped, and must not continue.
            None => (None, false),
            Some(_) => (None, true),
        };
        self.stdin.answered(line.is_some(), self.now);
        if closes {
            self.commands.push_back(OwnerCommand::CloseStdin);
        }
        self.commands.extend(line.map(OwnerCommand::WriteStdin));
    }

    /// Captures the output of the cell before a host call is handled.
    pub(super) fn flush_output(&mut self, port: &mut dyn ProcessPort) {
        self.attribute_output(port);
        self.capture.release();
        self.collect(port);
    }

    /// Captures the output of the cell, and holds back what may be its result or its error.
    fn attribute_output(&mut self, port: &mut dyn ProcessPort) {
        self.read_pipes(port);
        match self.calls.running() {
            Some(_) => self.drain_control(port),
            None => self.attribute_pending(),
        }
        self.collect(port);
    }
}
