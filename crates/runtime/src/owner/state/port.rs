//! The parts of a runtime process that decisions read.
//!
//! Text is attributed to a run by what the process has reported up to the moment at which the text
//! is read, so reads of pipes and messages belong to the decision and cannot be events of their own.
//! All of them return at once.

use crate::{CONDEMNED, IDLE, POLLED_WORD, RECALL_WORD, RUN_WORD, RUNNING, STOP_WORD};
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::RuntimeReply;
use phalanx_sys::page::WORDS;
use std::sync::atomic::{AtomicU32, Ordering};

/// The non-blocking reads of a runtime process, and the words shared with it.
pub(crate) trait ProcessPort {
    /// Reads a pipe once and appends its bytes; returns their number, which is 0 at the end of the
    /// pipe, or `None` if the pipe is empty.
    fn read_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>) -> Option<usize>;

    /// Reads the content of a pipe and appends it, without waiting for more.
    fn drain_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>);

    /// Receives all messages sent so far.
    fn receive(&mut self);

    /// Takes the next of the received messages.
    fn take_reply(&mut self) -> Option<RuntimeReply>;

    /// Takes the value announced by the last message, if it has been received.
    fn take_value(&mut self) -> Option<Payload>;

    /// The words shared with the process.
    fn words(&self) -> &[AtomicU32; WORDS];

    /// Withdraws a request to stop, before a run starts.
    fn clear_stop(&self) {
        for word in [STOP_WORD, POLLED_WORD] {
            self.words()[word].store(0, Ordering::SeqCst);
        }
    }

    /// Requests the run to stop; returns true if its code has polled for such requests.
    fn request_stop(&self) -> bool {
        let words = self.words();
        words[STOP_WORD].store(1, Ordering::SeqCst);
        words[POLLED_WORD].load(Ordering::SeqCst) != 0
    }

    /// Decides that the running code does not end by itself; returns false if no code is running.
    fn condemn(&self) -> bool {
        let order = Ordering::SeqCst;
        self.words()[RUN_WORD]
            .compare_exchange(RUNNING, CONDEMNED, order, order)
            .is_ok()
    }

    /// Records that no code is running, since its process has exited.
    fn set_idle(&self) {
        self.words()[RUN_WORD].store(IDLE, Ordering::SeqCst);
    }

    /// Recalls the calls up to `last` that have not started.
    fn recall(&self, last: RunId) {
        // The number of runs of one process stays far below 2³².
        self.words()[RECALL_WORD].store(last.0 as u32, Ordering::SeqCst);
    }
}
