//! Text that the runtime has written to its two pipes, read and attributed to the run that wrote
//! it.
//!
//! Several calls may run before their owner hears of the first. Each says how many bytes had been
//! written when it returned: what the owner had read by then, by its count on the shared page, and what
//! was still in the pipes. The count and the reading go together, since the page tells when the owner
//! is at it.

use super::actor::Actor;
use crate::{READ_WORDS, READING_WORD};
use phalanx_protocol::output::StreamName;
use rustix::io::retry_on_intr;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Most bytes taken from a pipe at once.
const READ: usize = 1 << 16;

/// The number of reads of a pipe in a row: enough for more than it holds.
const MOST_READS: usize = 256;

const PIPES: [StreamName; 2] = [StreamName::Stdout, StreamName::Stderr];

/// The text that has been read.
pub(super) struct PendingText {
    buffer: Vec<u8>,
    /// Text that may belong to a call other than the first.
    pending: [Vec<u8>; 2],
    /// The number of bytes attributed to a run, modulo 2³².
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
    /// Reads a pipe once; the number of bytes, none when there is nothing.
    pub(super) fn read_pipe(&mut self, name: StreamName) -> Option<usize> {
        let words = self.process.page.words();
        let pipe = match name {
            StreamName::Stdout => &self.process.stdout,
            StreamName::Stderr => &self.process.stderr,
        };
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        // By way of the poller, which so learns that it is to wait again.
        let read = pipe.try_read(&mut self.text.buffer);
        let count = read.as_ref().copied().unwrap_or_default();
        words[READ_WORDS[name as usize]].fetch_add(count as u32, Ordering::SeqCst);
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        let pending = &mut self.text.pending[name as usize];
        pending.extend_from_slice(&self.text.buffer[..count]);
        read.ok()
    }

    /// Reads what is in the pipes, without waiting for more.
    pub(super) fn read_pipes(&mut self) {
        let words = self.process.page.words();
        let pipes = [&self.process.stdout, &self.process.stderr];
        for ((name, pipe), pending) in PIPES.into_iter().zip(pipes).zip(&mut self.text.pending) {
            let buffer = &mut self.text.buffer;
            // A process that an earlier cell has started may never stop writing.
            for _ in 0..MOST_READS {
                words[READING_WORD].fetch_add(1, Ordering::SeqCst);
                // Straight from the descriptor: what was written before something that is known may
                // be news to the poller.
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

    /// Attributes the text written by then to the run that has just ended; returns true if it had
    /// to be read.
    pub(super) fn let_go_up_to(&mut self, written: [u32; 2]) -> bool {
        let outstanding = |text: &PendingText, at: usize| {
            let since = written[at].wrapping_sub(text.placed[at]);
            // Less than nothing, where a cell's child has the pipe and writes on.
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

    /// Returns true if text that was read may belong to another run than the known one.
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
