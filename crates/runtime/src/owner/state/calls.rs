//! The pending calls, in the order in which the runtime performs them. Several are sent ahead, so
//! that short calls follow each other without waiting for the owner.

use super::OwnerState;
use super::event::OwnerCommand;
use super::port::ProcessPort;
use crate::owner::{FunctionCall, RuntimeEvent};
use phalanx_protocol::id::RunId;
use phalanx_protocol::payload::Payload;
use std::collections::VecDeque;

/// The pending calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The first one is running, as far as known.
    pending: VecDeque<RunId>,
    /// The reply to the first call, if its value follows on the control socket.
    announced: Option<ReturnedCall>,
    /// True if the first call has changed the namespace; valid once its value has arrived.
    changed: bool,
}

/// The end of a function call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReturnedCall {
    pub run: RunId,
    /// True if it has changed the namespace.
    pub changed: bool,
    /// The number of bytes written to the two pipes by then, modulo 2³².
    pub written: [u32; 2],
}

impl Calls {
    /// Adds a call; returns true if no other call precedes it.
    pub fn begin(&mut self, run: RunId) -> bool {
        self.pending.push_back(run);
        self.pending.len() == 1
    }

    /// The running call, as far as known.
    pub fn running(&self) -> Option<RunId> {
        self.pending.front().copied()
    }

    /// Records the reply to the running call, whose value follows on the control socket.
    pub fn announce(&mut self, returned: ReturnedCall) {
        if self.running() == Some(returned.run) {
            self.announced = Some(returned);
        }
    }

    /// The run whose value follows on the control socket.
    pub fn announced(&self) -> Option<RunId> {
        self.announced.map(|returned| returned.run)
    }

    /// Takes the announced reply, whose value has arrived.
    pub fn returned(&mut self) -> Option<ReturnedCall> {
        let returned = self.announced.take()?;
        self.changed = returned.changed;
        Some(returned)
    }

    /// Ends a run; returns whether it has changed the namespace, if it was a call.
    pub fn end_run(&mut self, run: RunId) -> Option<bool> {
        self.pending.pop_front_if(|pending| *pending == run)?;
        self.announced = None;
        Some(std::mem::take(&mut self.changed))
    }

    /// Returns the calls that have not started, since the process has exited.
    pub fn take_unstarted(&mut self) -> Vec<RunId> {
        let begun = self.pending.len().min(1);
        self.pending.drain(begun..).collect()
    }

    /// The last pending call.
    fn last(&self) -> Option<RunId> {
        self.pending.back().copied()
    }
}

impl OwnerState {
    /// Calls a function after the pending calls.
    pub(super) fn call(&mut self, run: RunId, call: FunctionCall, port: &mut dyn ProcessPort) {
        if self.calls.begin(run) {
            self.start_call(run, port);
        }
        self.commands.push_back(OwnerCommand::Call(run, call));
    }

    /// Ends a call that cannot be sent.
    pub(super) fn call_refused(&mut self, run: RunId, message: &str, port: &mut dyn ProcessPort) {
        self.drain_control(port);
        self.capture.fail(run, &format!("the arguments: {message}"));
    }

    fn start_call(&mut self, run: RunId, port: &mut dyn ProcessPort) {
        self.capture.start(run, false, Vec::new());
        self.begin(port);
    }

    /// Recalls the calls that have not started; the runtime reports which.
    pub(super) fn recall(&mut self, port: &dyn ProcessPort) {
        if let Some(last) = self.calls.last() {
            port.recall(last);
        }
    }

    /// Handles that a call was recalled.
    pub(super) fn recalled(&mut self, run: RunId, port: &mut dyn ProcessPort) {
        if self.calls.end_run(run).is_some() {
            self.capture.forget(run);
            self.collect(port);
            self.report(RuntimeEvent::Recalled { run });
            self.start_next(port);
        }
    }

    /// Marks the next call, if any, as the running one.
    pub(super) fn start_next(&mut self, port: &mut dyn ProcessPort) {
        if let Some(next) = self.calls.running()
            && self.capture.running().is_none()
        {
            self.start_call(next, port);
        }
    }

    /// Takes the calls that were sent ahead to a process that has exited.
    pub(super) fn take_unstarted_calls(&mut self) -> Vec<RunId> {
        self.attribute_pending();
        self.calls.take_unstarted()
    }

    /// Handles the value of a function, which ends the call; returns true if pipes were read for
    /// it.
    pub(super) fn returned(&mut self, value: Payload, port: &mut dyn ProcessPort) -> bool {
        let Some(ReturnedCall { run, written, .. }) = self.calls.returned() else {
            return false;
        };
        self.report(RuntimeEvent::Value { run, value });
        let reads = self.attribute_up_to(written, port);
        self.capture.end_run(run);
        self.collect(port);
        reads
    }

    /// Handles all messages received after the current one.
    pub(super) fn drain_after_message(&mut self, port: &mut dyn ProcessPort) {
        if self.drain_received(port) || self.text.is_pending() {
            self.drain_control(port);
        }
    }

    /// Handles all messages the process has sent, and attributes the output written since.
    pub(super) fn drain_control(&mut self, port: &mut dyn ProcessPort) {
        // The output of a call is read after the reports on earlier calls, which precede it.
        loop {
            // Not closed at the exit of the process: its snapshot holds the connection too.
            port.receive();
            if !self.drain_received(port) {
                break;
            }
        }
        self.attribute_pending();
    }

    /// Handles the messages received with the last one; returns true if pipes were read for them.
    fn drain_received(&mut self, port: &mut dyn ProcessPort) -> bool {
        let mut reads = false;
        loop {
            if self.calls.announced().is_some() {
                let Some(value) = port.take_value() else {
                    return reads;
                };
                reads |= self.returned(value, port);
            }
            let Some(reply) = port.take_reply() else {
                return reads;
            };
            self.reply(reply, port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(7);
    const NEXT: RunId = RunId(8);

    #[test]
    fn calls_end_in_order() {
        let mut calls = Calls::default();
        assert!(calls.begin(RUN));
        assert!(!calls.begin(NEXT));
        for (run, changed) in [(RUN, true), (NEXT, false)] {
            let returned = ReturnedCall {
                run,
                changed,
                written: [3, 0],
            };
            assert_eq!(calls.running(), Some(run));
            assert_eq!(calls.announced(), None);
            calls.announce(returned);
            assert_eq!(calls.announced(), Some(run));
            assert_eq!(calls.returned(), Some(returned));
            assert_eq!(calls.announced(), None);
            assert_eq!(calls.end_run(run), Some(changed));
        }
        assert_eq!(calls.running(), None);
        assert_eq!(
            calls.end_run(RUN),
            None,
            "what is no call has effects of its own"
        );
    }

    #[test]
    fn of_the_calls_of_an_ended_process_only_the_first_has_begun() {
        let mut calls = Calls::default();
        assert_eq!(calls.take_unstarted(), []);
        calls.begin(RUN);
        calls.begin(NEXT);
        calls.announce(ReturnedCall {
            run: RUN,
            changed: true,
            written: [0, 0],
        });
        assert_eq!(calls.take_unstarted(), [NEXT]);
        assert_eq!(calls.end_run(RUN), Some(false), "its value has not come");
        assert_eq!(calls.announced(), None);
    }
}
