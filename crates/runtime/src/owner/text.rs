//! The text in the runtime's two pipes, read and attributed to the run that wrote it.
//!
//! Several calls may run before their owner handles the first reply. Each reply contains the number
//! of bytes written when the call returned: the number read by the owner until then, from the
//! shared page, plus the bytes still in the pipes. The page also shows whether the owner is reading
//! at that moment, so that both numbers are consistent.

use super::actor::Actor;
use crate::{READ_WORDS, READING_WORD};
use phalanx_protocol::output::StreamName;
use rustix::io::retry_on_intr;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The maximum number of bytes read from a pipe at once.
const READ: usize = 1 << 16;

/// The maximum number of consecutive reads of a pipe: more than its capacity.
const MOST_READS: usize = 256;

const PIPES: [StreamName; 2] = [StreamName::Stdout, StreamName::Stderr];

/// Text that has been read but not attributed.
pub(super) struct PendingText {
    buffer: Vec<u8>,
    /// Text that may belong to a call after the first.
    pending: [Vec<u8>; 2],
    /// The number of bytes attributed to runs, modulo 2³².
    placed: [u32; 2],
}

impl Default for PendingText {
    fn default() -> Self {
        Self {
            buffer: vec![0; READ],
            pending: Default::default(),
            placed: [0; 2],
        }
    }
}

impl PendingText {
    fn is_pending(&self) -> bool {
        self.pending.iter().any(|bytes| !bytes.is_empty())
    }
}

impl Actor {
    /// Reads a pipe once; returns the number of bytes, or `None` if it is empty.
    pub(super) fn read_pipe(&mut self, name: StreamName) -> Option<usize> {
        let words = self.process.page.words();
        let pipe = match name {
            StreamName::Stdout => &self.process.stdout,
            StreamName::Stderr => &self.process.stderr,
        };
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        // Through the poller, so that its readiness is cleared.
        let read = pipe.try_read(&mut self.text.buffer);
        let count = read.as_ref().copied().unwrap_or_default();
        words[READ_WORDS[name as usize]].fetch_add(count as u32, Ordering::SeqCst);
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        let pending = &mut self.text.pending[name as usize];
        pending.extend_from_slice(&self.text.buffer[..count]);
        read.ok()
    }

    /// Reads the content of the pipes, without waiting for more.
    pub(super) fn read_pipes(&mut self) {
        let words = self.process.page.words();
        let pipes = [&self.process.stdout, &self.process.stderr];
        for ((name, pipe), pending) in PIPES.into_iter().zip(pipes).zip(&mut self.text.pending) {
            let buffer = &mut self.text.buffer;
            // A process started by an earlier cell may write without end.
            for _ in 0..MOST_READS {
                words[READING_WORD].fetch_add(1, Ordering::SeqCst);
                // Directly from the descriptor: the poller may not have been notified yet of bytes
                // written before a known event.
                let read = retry_on_intr(|| rustix::io::read(pipe, &mut **buffer));
                let count = read.unwrap_or_default();
                words[READ_WORDS[name as usize]].fetch_add(count as u32, Ordering::SeqCst);
                words[READING_WORD].fetch_add(1, Ordering::SeqCst);
                if count == 0 {
                    break;
                }
                pending.extend_from_slice(&buffer[..count]);
            }
        }
    }

    /// Attributes the text read so far to the run that is known to have written it.
    pub(super) fn attribute_pending(&mut self) {
        for name in PIPES {
            let all = self.text.pending[name as usize].len();
            self.place(name, all);
        }
    }

    /// Attributes the text written by then to the run that has just ended; returns true if pipes
    /// had to be read.
    pub(super) fn attribute_up_to(&mut self, written: [u32; 2]) -> bool {
        let outstanding = |text: &PendingText, at: usize| {
            let since = written[at].wrapping_sub(text.placed[at]);
            // Negative if a child process of the cell has the pipe and continues to write.
            usize::try_from(since as i32).unwrap_or_default()
        };
        let lacks = |at: usize| outstanding(&self.text, at) > self.text.pending[at].len();
        let read = lacks(0) || lacks(1);
        if read {
            self.read_pipes();
        }
        for name in PIPES {
            let count = outstanding(&self.text, name as usize);
            self.place(name, count);
        }
        read
    }

    /// Returns true if text was read that may belong to another run than the known one.
    pub(super) fn is_text_pending(&self) -> bool {
        self.text.is_pending()
    }

    fn place(&mut self, name: StreamName, count: usize) {
        let pending = &mut self.text.pending[name as usize];
        let count = count.min(pending.len());
        if count > 0 {
            self.text.placed[name as usize] =
                self.text.placed[name as usize].wrapping_add(count as u32);
            self.capture.push(name, &pending[..count], Instant::now());
            pending.drain(..count);
        }
    }
}
