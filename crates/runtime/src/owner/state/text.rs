//! Text that has been read from the runtime's two pipes, attributed to the run that wrote it.
//!
//! Several calls may run before their owner handles the first reply. Each reply contains the number
//! of bytes written when the call returned: the number read by the owner until then, from the
//! shared page, plus the bytes still in the pipes. The page also shows whether the owner is reading
//! at that moment, so that both numbers are consistent.

use super::OwnerState;
use super::port::ProcessPort;
use phalanx_protocol::output::StreamName;

const PIPES: [StreamName; 2] = [StreamName::Stdout, StreamName::Stderr];

/// Text that has been read but not attributed.
#[derive(Default)]
pub(super) struct PendingText {
    /// Text that may belong to a call after the first.
    pending: [Vec<u8>; 2],
    /// The number of bytes attributed to runs, modulo 2³².
    attributed: [u32; 2],
}

impl PendingText {
    /// Returns true if text was read that may belong to another run than the known one.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.iter().any(|bytes| !bytes.is_empty())
    }

    /// The number of bytes of a pipe that a run has written up to its end and that have not been
    /// attributed.
    fn outstanding(&self, written: [u32; 2], name: StreamName) -> usize {
        let at = name as usize;
        let since = written[at].wrapping_sub(self.attributed[at]);
        // Negative if a child process of the cell has the pipe and continues to write.
        usize::try_from(since as i32).unwrap_or_default()
    }

    /// Returns true if not all bytes that a run has written up to its end have been read.
    fn lacks(&self, written: [u32; 2]) -> bool {
        let lacks = |name| self.outstanding(written, name) > self.pending[name as usize].len();
        PIPES.into_iter().any(lacks)
    }
}

impl OwnerState {
    /// Reads a pipe once; returns the number of bytes, or `None` if it is empty.
    pub(super) fn read_pipe(
        &mut self,
        name: StreamName,
        port: &mut dyn ProcessPort,
    ) -> Option<usize> {
        port.read_pipe(name, &mut self.text.pending[name as usize])
    }

    /// Reads the content of the pipes, without waiting for more.
    pub(super) fn read_pipes(&mut self, port: &mut dyn ProcessPort) {
        for name in PIPES {
            port.drain_pipe(name, &mut self.text.pending[name as usize]);
        }
    }

    /// Attributes the text read so far to the run that is known to have written it.
    pub(super) fn attribute_pending(&mut self) {
        for name in PIPES {
            let all = self.text.pending[name as usize].len();
            self.attribute(name, all);
        }
    }

    /// Attributes the text written by then to the run that has just ended; returns true if pipes
    /// had to be read.
    pub(super) fn attribute_up_to(
        &mut self,
        written: [u32; 2],
        port: &mut dyn ProcessPort,
    ) -> bool {
        let reads = self.text.lacks(written);
        if reads {
            self.read_pipes(port);
        }
        for name in PIPES {
            let count = self.text.outstanding(written, name);
            self.attribute(name, count);
        }
        reads
    }

    fn attribute(&mut self, name: StreamName, count: usize) {
        let pending = &mut self.text.pending[name as usize];
        let count = count.min(pending.len());
        if count > 0 {
            let attributed = &mut self.text.attributed[name as usize];
            *attributed = attributed.wrapping_add(count as u32);
            self.capture.push(name, &pending[..count], self.now);
            pending.drain(..count);
        }
    }
}
