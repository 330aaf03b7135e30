//! A connection to the analysis process, for those who wait for its answers.

use crate::SOCKET_VAR;
use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest};
use phalanx_protocol::frame::{self, Decoder};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time after which it is looked whether an answer is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// A connection, made with the first request and again after one that had no answer.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: Option<UnixStream>,
}

impl Client {
    /// Returns a client of the process that the environment names, if it does.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        std::env::var_os(SOCKET_VAR).map(|socket| Self::new(socket.into()))
    }

    /// Returns a client of the process that serves a socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            stream: None,
        }
    }

    /// Sends a request that has no reply; answers whether that was possible.
    pub fn notify(&mut self, request: &AnalysisRequest) -> bool {
        let told = self.connected().and_then(|mut stream| {
            send(&mut stream, request)?;
            self.stream = Some(stream);
            Ok(())
        });
        told.is_ok()
    }

    /// Asks, and waits for the answer; `None` when there is none within `patience`, or once it is
    /// no longer wanted.
    pub fn ask(
        &mut self,
        request: &AnalysisRequest,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Option<AnalysisReply> {
        let until = Instant::now() + patience;
        let goes_on = || is_wanted() && Instant::now() < until;
        let asked = self.connected().and_then(|mut stream| {
            send(&mut stream, request)?;
            let reply = receive(&mut stream, goes_on)?;
            // What comes too late must not answer the next request, so such a stream is not kept.
            self.stream = Some(stream);
            Ok(reply)
        });
        asked.ok()
    }

    fn connected(&mut self) -> io::Result<UnixStream> {
        match self.stream.take() {
            Some(stream) => Ok(stream),
            None => UnixStream::connect(&self.socket),
        }
    }
}

fn send(stream: &mut UnixStream, request: &AnalysisRequest) -> io::Result<()> {
    stream.write_all(&frame::encode(request).map_err(io::Error::other)?)
}

fn receive(stream: &mut UnixStream, goes_on: impl Fn() -> bool) -> io::Result<AnalysisReply> {
    stream.set_read_timeout(Some(LOOK))?;
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        if let Some(reply) = decoder.decode().map_err(io::Error::other)? {
            return Ok(reply);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                if !goes_on() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
}
