//! One connection to a process of the runtime.

use bytes::{Buf, Bytes};
use phalanx_protocol::frame::{self, Decoder};
use rustix::io::retry_on_intr;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The maximum number of bytes read at once.
const READ: usize = 1 << 16;

/// The maximum size, in bytes, of data that is joined to its message, so that the other end wakes
/// up once.
const PIECE: usize = 1 << 14;

/// The maximum number of pieces sent at once.
const PIECES: usize = 16;

pub(super) struct Wire {
    stream: UnixStream,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// Data to be sent while waiting for messages: it may exceed the capacity of the connection,
    /// and the other end may never read it.
    outgoing: VecDeque<Bytes>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            buffer: Vec::new(),
            outgoing: VecDeque::new(),
        }
    }

    pub(super) async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let bytes = frame::encode(message).map_err(io::Error::other)?;
        if !self.outgoing.is_empty() {
            self.outgoing.push_back(bytes.into());
            return Ok(());
        }
        self.stream.write_all(&bytes).await
    }

    /// Queues a message and the raw frame it announces, which are sent by the next
    /// [`flush`](Self::flush), or while [`next`](Self::next) or [`raw`](Self::raw) waits.
    pub(super) fn queue_with(&mut self, message: &impl Serialize, raw: Bytes) -> io::Result<()> {
        let mut bytes = frame::encode(message).map_err(io::Error::other)?;
        bytes.extend(frame::raw_head(&raw).map_err(io::Error::other)?);
        if raw.len() <= PIECE {
            bytes.extend(&raw);
            self.outgoing.push_back(bytes.into());
        } else {
            self.outgoing.extend([bytes.into(), raw]);
        }
        Ok(())
    }

    /// Queues a message, which is sent while [`next`](Self::next) or [`raw`](Self::raw) waits.
    pub(super) fn queue(&mut self, message: &impl Serialize) {
        // An error is reported by the next use of the connection.
        if let Ok(bytes) = frame::encode(message) {
            self.outgoing.push_back(bytes.into());
        }
    }

    /// Shuts down the connection, so that the other end is notified.
    pub(super) async fn close(&mut self) {
        // A broken connection is closed already.
        let _ = self.stream.shutdown().await;
    }

    /// Receives the next message; an error of kind `UnexpectedEof` once the other end is closed.
    /// Cancel safe.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            self.turn().await?;
        }
    }

    /// Receives the raw frame announced by the last message. Cancel safe.
    pub(super) async fn raw(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(raw) = self.take_raw()? {
                return Ok(raw);
            }
            self.turn().await?;
        }
    }

    /// Takes a message that has been read.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.decoder.decode().map_err(io::Error::other)
    }

    /// Takes a raw frame that has been read.
    pub(super) fn take_raw(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.decoder.raw().map_err(io::Error::other)
    }

    /// Reads all available bytes, without waiting for more. Directly from the descriptor: the
    /// poller may not have been notified yet of bytes sent before a known event.
    pub(super) fn read_all(&mut self) {
        self.buffer.resize(READ, 0);
        while let Ok(count @ 1..) =
            retry_on_intr(|| rustix::io::read(&self.stream, &mut *self.buffer))
        {
            self.decoder.push(&self.buffer[..count]);
        }
    }

    fn read(&mut self) -> io::Result<()> {
        self.buffer.resize(READ, 0);
        match self.stream.try_read(&mut self.buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.decoder.push(&self.buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until bytes can be read or sent, and reads or sends them.
    async fn turn(&mut self) -> io::Result<()> {
        let mut interest = Interest::READABLE;
        if !self.outgoing.is_empty() {
            interest |= Interest::WRITABLE;
        }
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() {
            self.flush()?;
        }
        if ready.is_readable() {
            self.read()?;
        }
        Ok(())
    }

    /// Sends as many bytes as possible without blocking.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        loop {
            while self.outgoing.front().is_some_and(Bytes::is_empty) {
                self.outgoing.pop_front();
            }
            if self.outgoing.is_empty() {
                return Ok(());
            }
            let pieces = self.outgoing.iter().take(PIECES);
            let pieces: Vec<_> = pieces.map(|piece| IoSlice::new(piece)).collect();
            match self.stream.try_write_vectored(&pieces) {
                Ok(sent) => self.sent(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn sent(&mut self, mut count: usize) {
        for piece in &mut self.outgoing {
            let of_piece = count.min(piece.len());
            piece.advance(of_piece);
            count -= of_piece;
        }
    }
}
