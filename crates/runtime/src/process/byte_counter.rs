//! The number of bytes this process and its predecessors have written to the two pipes.

use crate::{READ_WORDS, READING_WORD, RECALL_WORD};
use phalanx_protocol::id::RunId;
use phalanx_sys::page::SharedPage;
use rustix::io::{fcntl_dupfd_cloexec, ioctl_fionread};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The lowest descriptor for our own copies; lower ones are left to cells.
const MIN_DESCRIPTOR: i32 = 64;

/// Counts the bytes written: those that the owner has read, plus those still in the pipes.
pub(super) struct ByteCounter {
    page: Arc<SharedPage>,
    /// Our own copies, since cells may redirect theirs.
    pipes: [OwnedFd; 2],
}

impl ByteCounter {
    pub(super) fn new(page: Arc<SharedPage>) -> io::Result<Self> {
        let copy = |pipe: BorrowedFd<'_>| fcntl_dupfd_cloexec(pipe, MIN_DESCRIPTOR);
        let pipes = [
            copy(rustix::stdio::stdout())?,
            copy(rustix::stdio::stderr())?,
        ];
        Ok(Self { page, pipes })
    }

    /// The number of bytes written to stdout and stderr, modulo 2³².
    pub(super) fn now(&self) -> [u32; 2] {
        let words = self.page.words();
        loop {
            let begun = words[READING_WORD].load(Ordering::SeqCst);
            if begun.is_multiple_of(2) {
                let of = |at: usize| {
                    // A descriptor that is not a pipe holds no bytes for the owner.
                    let waits = ioctl_fionread(&self.pipes[at]).unwrap_or_default();
                    let read = words[READ_WORDS[at]].load(Ordering::SeqCst);
                    read.wrapping_add(waits as u32)
                };
                let written = [of(0), of(1)];
                if words[READING_WORD].load(Ordering::SeqCst) == begun {
                    return written;
                }
            }
            // The owner is reading, which takes a moment.
            std::thread::yield_now();
        }
    }

    /// Returns true if the owner has recalled a call.
    pub(super) fn is_recalled(&self, run: RunId) -> bool {
        let last = self.page.words()[RECALL_WORD].load(Ordering::SeqCst);
        run.0 <= u64::from(last)
    }
}
