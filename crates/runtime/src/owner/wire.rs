//! One connection to a process of the runtime.

use bytes::{Buf, Bytes};
use phalanx_protocol::frame::{self, Decoder};
use rustix::io::retry_on_intr;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Most bytes taken at once.
const READ: usize = 1 << 16;

/// Most bytes that are put together with their message, so that the other end wakes once.
const PIECE: usize = 1 << 14;

/// Most pieces that are sent at once.
const PIECES: usize = 16;

pub(super) struct Wire {
    stream: UnixStream,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// Data sent while waiting for messages: more than the connection holds, which the other end
    /// may never take.
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

    /// Sends a message and the raw frame it announces with the next [`flush`](Self::flush), or while
    /// [`next`](Self::next) or [`raw`](Self::raw) waits.
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

    /// Sends a message while [`next`](Self::next) or [`raw`](Self::raw) waits.
    pub(super) fn queue(&mut self, message: &impl Serialize) {
        // What cannot be encoded or sent is told of by the connection's next use.
        if let Ok(bytes) = frame::encode(message) {
            self.outgoing.push_back(bytes.into());
        }
    }

    /// Lets the other end see that nothing more comes.
    pub(super) async fn close(&mut self) {
        // A connection that is broken already is closed.
        let _ = self.stream.shutdown().await;
    }

    /// The next message; an error of kind `UnexpectedEof` when the other end is closed. Cancel-safe.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            self.turn().await?;
        }
    }

    /// The raw frame that the last message announced. Cancel-safe.
    pub(super) async fn raw(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(raw) = self.take_raw()? {
                return Ok(raw);
            }
            self.turn().await?;
        }
    }

    /// A message that has been read.
    pub(super) fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        self.decoder.decode().map_err(io::Error::other)
    }

    /// A raw frame that has been read.
    pub(super) fn take_raw(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.decoder.raw().map_err(io::Error::other)
    }

    /// Reads what is there, without waiting for more. Straight from the descriptor: what was sent
    /// before something that is known may be news to the poller.
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

    /// Waits until something can be read or sent, and does it.
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

    /// Sends what can be sent at once.
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
