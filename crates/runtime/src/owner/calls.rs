//! The calls that are under way, in the order in which the runtime takes them. Several are sent
//! ahead, so that short ones follow each other without waiting for their owner.

use super::actor::Actor;
use super::{FunctionCall, RuntimeEvent};
use crate::RECALL_WORD;
use phalanx_protocol::id::RunId;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::RuntimeRequest;
use phalanx_sys::segment;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// The calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// The first is the one that runs, as far as is known.
    flying: VecDeque<RunId>,
    /// The reply to the first; its value comes next on the control socket.
    announced: Option<ReturnedCall>,
    /// True if the first has changed the namespace, once its value has arrived.
    changed: bool,
}

/// A function has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReturnedCall {
    pub run: RunId,
    /// True if it has changed the namespace.
    pub changed: bool,
    /// The bytes written to the two pipes by then, modulo 2³².
    pub written: [u32; 2],
}

impl Calls {
    /// A function is to be called; whether nothing is before it.
    pub fn begin(&mut self, run: RunId) -> bool {
        self.flying.push_back(run);
        self.flying.len() == 1
    }

    /// The one that runs, as far as is known.
    pub fn running(&self) -> Option<RunId> {
        self.flying.front().copied()
    }

    /// The value of the one that runs comes next on the control socket.
    pub fn announce(&mut self, returned: ReturnedCall) {
        if self.running() == Some(returned.run) {
            self.announced = Some(returned);
        }
    }

    /// The run whose value comes next on the control socket.
    pub fn announced(&self) -> Option<RunId> {
        self.announced.map(|returned| returned.run)
    }

    /// The value is here.
    pub fn returned(&mut self) -> Option<ReturnedCall> {
        let returned = self.announced.take()?;
        self.changed = returned.changed;
        Some(returned)
    }

    /// A run is over; whether it leaves something behind, where it was a call.
    pub fn end_run(&mut self, run: RunId) -> Option<bool> {
        self.flying.pop_front_if(|flying| *flying == run)?;
        self.announced = None;
        Some(std::mem::take(&mut self.changed))
    }

    /// The process is gone: those it has not begun.
    pub fn not_begun(&mut self) -> Vec<RunId> {
        let begun = self.flying.len().min(1);
        self.flying.drain(begun..).collect()
    }

    /// The last of those under way.
    fn last(&self) -> Option<RunId> {
        self.flying.back().copied()
    }
}

impl Actor {
    /// Calls a function after those that are under way; its arguments are sent while other things
    /// happen.
    pub(super) fn call(&mut self, run: RunId, call: FunctionCall) {
        if self.calls.begin(run) {
            self.start_call(run);
        }
        let request = RuntimeRequest::Call {
            run,
            artifact: call.artifact,
            offset: call.offset,
        };
        if let Err(error) = self
            .process
            .control
            .queue_with(&request, call.args.into_frame())
        {
            self.hear_out();
            self.capture.fail(run, &format!("the arguments: {error}"));
        }
    }

    pub(super) fn start_call(&mut self, run: RunId) {
        self.capture.start(run, false, Vec::new());
        self.begin();
    }

    /// Takes back what the runtime has not begun; it says which.
    pub(super) fn recall(&mut self) {
        if let Some(last) = self.calls.last() {
            // Runs of one process do not come near a number of 32 bits.
            self.process.page.words()[RECALL_WORD].store(last.0 as u32, Ordering::SeqCst);
        }
    }

    /// A call was not begun, and will not be.
    pub(super) fn recalled(&mut self, run: RunId) {
        if self.calls.end_run(run).is_some() {
            self.capture.forget(run);
            self.collect();
            self.backlog.push_back(RuntimeEvent::Recalled { run });
            self.start_next();
        }
    }

    /// The next call, if any, is the one that runs.
    pub(super) fn start_next(&mut self) {
        if let Some(next) = self.calls.running()
            && self.capture.running().is_none()
        {
            self.start_call(next);
        }
    }

    /// The process is gone, and with it what it was sent ahead.
    pub(super) fn lose_calls(&mut self) -> Vec<RunId> {
        self.attribute_pending();
        self.calls.not_begun()
    }

    /// The value of a function is here, which is its end; whether pipes had to be read for it.
    pub(super) fn returned(&mut self, value: Vec<u8>) -> bool {
        let Some(ReturnedCall { run, written, .. }) = self.calls.returned() else {
            return false;
        };
        let value = self.taken(Payload::read(value.into()));
        self.backlog.push_back(RuntimeEvent::Value { run, value });
        let read = self.let_go_up_to(written);
        self.capture.end_run(run);
        self.collect();
        read
    }

    /// A value that is large is taken over; the runtime need not keep it any more then.
    fn taken(&mut self, value: Payload) -> Payload {
        if value.segment().is_none() {
            return value;
        }
        let taken = segment::hold(vec![value]).map(|mut all| all.pop());
        let value = taken.unwrap_or_else(|error| {
            tracing::warn!(%error, "what a function gave back is gone");
            None
        });
        self.process.control.queue(&RuntimeRequest::Taken);
        // Where it is gone, the caller is told that nothing came.
        value.unwrap_or_default()
    }

    /// Hears everything the process has said, and lets go of what it has written since.
    pub(super) fn hear_out(&mut self) {
        // What is written by a call is read after the word about the calls before it: those words
        // came first.
        loop {
            // Its snapshot has the connection too, so there is no end of it.
            self.process.control.read_all();
            if !self.hear_rest() {
                break;
            }
        }
        self.attribute_pending();
    }

    /// Hears what has come with the last message; whether pipes had to be read for it.
    pub(super) fn hear_rest(&mut self) -> bool {
        let mut read = false;
        loop {
            if self.calls.announced().is_some() {
                let Ok(Some(value)) = self.process.control.take_raw() else {
                    return read;
                };
                read |= self.returned(value);
            }
            let Ok(Some(reply)) = self.process.control.take() else {
                return read;
            };
            self.reply(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId(7);
    const NEXT: RunId = RunId(8);

    #[test]
    fn calls_end_one_after_the_other() {
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
    fn a_process_that_is_gone_has_begun_one() {
        let mut calls = Calls::default();
        assert_eq!(calls.not_begun(), []);
        calls.begin(RUN);
        calls.begin(NEXT);
        calls.announce(ReturnedCall {
            run: RUN,
            changed: true,
            written: [0, 0],
        });
        assert_eq!(calls.not_begun(), [NEXT]);
        assert_eq!(calls.end_run(RUN), Some(false), "its value has not come");
        assert_eq!(calls.announced(), None);
    }
}
