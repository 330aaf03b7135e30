//! A connection to the owner, as the runtime's processes use it: one message at a time.

use super::ProcessError;
use phalanx_protocol::frame::{self, Decoder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Most bytes taken at once.
const READ: usize = 1 << 16;

/// Most bytes that are put together to be sent at once.
const PIECE: usize = 1 << 14;

pub(super) struct Control {
    stream: UnixStream,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Control {
    pub(super) fn connect(path: &Path) -> Result<Self, ProcessError> {
        Ok(Self {
            stream: UnixStream::connect(path)?,
            decoder: Decoder::default(),
            buffer: vec![0; READ],
        })
    }

    /// The same connection for the process that only keeps it open.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    pub(super) fn send(&mut self, message: &impl Serialize) -> Result<(), ProcessError> {
        self.stream.write_all(&frame::encode(message)?)?;
        Ok(())
    }

    /// A message and the raw frame it announces; small ones as one piece, so that the owner wakes
    /// once.
    pub(super) fn send_with(
        &mut self,
        message: &impl Serialize,
        raw: &[u8],
    ) -> Result<(), ProcessError> {
        let mut stream = BufWriter::with_capacity(PIECE, &self.stream);
        let head = frame::raw_head(raw)?;
        stream.write_all(&frame::encode(message)?)?;
        stream.write_all(&head)?;
        stream.write_all(raw)?;
        stream.flush()?;
        Ok(())
    }

    /// Waits for the raw frame that follows a message.
    pub(super) fn raw(&mut self) -> Result<Vec<u8>, ProcessError> {
        loop {
            if let Some(raw) = self.decoder.raw()? {
                return Ok(raw);
            }
            if !self.read()? {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Waits for a message; `None` once the owner has closed the connection.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ProcessError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Waits for a message no longer than `limit`; whether there is one, or the owner has closed the
    /// connection.
    pub(super) fn is_readable(&self, limit: Duration) -> Result<bool, ProcessError> {
        if self.decoder.is_begun() {
            return Ok(true);
        }
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let mut waited = [PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut waited, Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            // Code of cells may have set handlers for signals.
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// A message that has already been read.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ProcessError> {
        Ok(self.decoder.decode()?)
    }

    /// Waits for bytes; whether there were any.
    pub(super) fn read(&mut self) -> Result<bool, ProcessError> {
        // Code of cells may have set handlers for signals.
        let count = retry_on_intr(|| rustix::io::read(&self.stream, &mut *self.buffer));
        let count = count.map_err(std::io::Error::from)?;
        self.decoder.push(&self.buffer[..count]);
        Ok(count > 0)
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
