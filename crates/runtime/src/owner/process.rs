//! The [`ProcessPort`] of a runtime process: its pipes, its control socket and the shared page.

use super::start::StartedRuntime;
use super::state::ProcessPort;
use super::wire::Wire;
use crate::{READ_WORDS, READING_WORD};
use phalanx_protocol::output::StreamName;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::runtime::{RuntimeReply, RuntimeRequest};
use phalanx_sys::page::WORDS;
use phalanx_sys::segment;
use rustix::io::retry_on_intr;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::unix::pipe::Receiver;

/// The maximum number of bytes read from a pipe at once.
pub(super) const READ: usize = 1 << 16;

/// The maximum number of consecutive reads of a pipe: more than its capacity.
const MAX_READS: usize = 256;

impl StartedRuntime {
    /// Reads a pipe, during which the process does not trust the number of bytes read by now.
    fn counted(
        &mut self,
        name: StreamName,
        read: impl FnOnce(&Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let words = self.page.words();
        let pipe = match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        };
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        let read = read(pipe, &mut self.buffer);
        let count = read.as_ref().copied().unwrap_or_default();
        words[READ_WORDS[name as usize]].fetch_add(count as u32, Ordering::SeqCst);
        words[READING_WORD].fetch_add(1, Ordering::SeqCst);
        read
    }
}

impl ProcessPort for StartedRuntime {
    fn read_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>) -> Option<usize> {
        // Through the poller, so that its readiness is cleared.
        let count = self.counted(name, |pipe, buffer| pipe.try_read(buffer));
        let count = count.ok()?;
        bytes.extend_from_slice(&self.buffer[..count]);
        Some(count)
    }

    fn drain_pipe(&mut self, name: StreamName, bytes: &mut Vec<u8>) {
        // A process started by an earlier cell may write without end.
        for _ in 0..MAX_READS {
            // Directly from the descriptor: the poller may not have been notified yet of bytes
            // written before a known event.
            let count = self.counted(name, |pipe, buffer| {
                Ok(retry_on_intr(|| rustix::io::read(pipe, &mut *buffer))?)
            });
            let count = count.unwrap_or_default();
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&self.buffer[..count]);
        }
    }

    fn receive(&mut self) {
        self.control.read_all();
    }

    fn take_reply(&mut self) -> Option<RuntimeReply> {
        self.control.take().ok().flatten()
    }

    fn take_value(&mut self) -> Option<Payload> {
        let frame = self.control.take_raw().ok().flatten()?;
        Some(open_value(frame, &mut self.control))
    }

    fn words(&self) -> &[AtomicU32; WORDS] {
        self.page.words()
    }
}

/// Decodes a value. If it is large, opens its segment, which the process can release then; if it
/// cannot be opened, the value is empty.
pub(super) fn open_value(frame: Vec<u8>, control: &mut Wire) -> Payload {
    let value = Payload::read(frame.into());
    if value.segment().is_none() {
        return value;
    }
    let opened = segment::hold(vec![value]).map(|mut all| all.pop());
    let value = opened.unwrap_or_else(|error| {
        tracing::warn!(%error, "a large value cannot be opened");
        None
    });
    control.queue(&RuntimeRequest::ValueOpened);
    value.unwrap_or_default()
}
