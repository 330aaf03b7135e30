//! A blocking connection to the owner, for the runtime's processes.

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

/// The maximum number of bytes read at once.
const READ: usize = 1 << 16;

/// The maximum number of bytes joined in one write.
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

    /// Converts it into the bare connection, for the process that only keeps it open.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    pub(super) fn send(&mut self, message: &impl Serialize) -> Result<(), ProcessError> {
        self.stream.write_all(&frame::encode(message)?)?;
        Ok(())
    }

    /// Sends a message and the raw frame it announces; small ones in one write, so that the owner
    /// wakes up once.
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

    /// Receives the raw frame that follows a message.
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

    /// Receives a message; `None` once the owner has closed the connection.
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

    /// Waits at most for `limit`; returns true if there is a message or the owner has closed the
    /// connection.
    pub(super) fn is_readable(&self, limit: Duration) -> Result<bool, ProcessError> {
        if self.decoder.is_begun() {
            return Ok(true);
        }
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        let mut waited = [PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut waited, Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            // Cells may have installed signal handlers.
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Takes a message that has been read.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ProcessError> {
        Ok(self.decoder.decode()?)
    }

    /// Waits for bytes; returns false at the end of the connection.
    pub(super) fn read(&mut self) -> Result<bool, ProcessError> {
        // Cells may have installed signal handlers.
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
