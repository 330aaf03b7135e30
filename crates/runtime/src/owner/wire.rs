//! One connection to a process of the runtime.

use phalanx_protocol::frame::{self, Decoder};
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub(super) struct Wire {
    stream: UnixStream,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            buffer: vec![0; 4096],
        }
    }

    pub(super) async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let bytes = frame::encode(message).map_err(io::Error::other)?;
        self.stream.write_all(&bytes).await
    }

    /// Lets the other end see that nothing more comes.
    pub(super) async fn close(&mut self) {
        // A connection that is broken already is closed.
        let _ = self.stream.shutdown().await;
    }

    /// The next message; an error of kind `UnexpectedEof` when the other end is closed. Cancel-safe.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(message) = self.decoder.decode().map_err(io::Error::other)? {
                return Ok(message);
            }
            match self.stream.read(&mut self.buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.decoder.push(&self.buffer[..count]),
            }
        }
    }
}
