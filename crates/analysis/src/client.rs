//! A blocking client of the analysis process.

use crate::SOCKET_VAR;
use phalanx_protocol::analysis::{AnalysisReply, AnalysisRequest};
use phalanx_protocol::frame::{self, Decoder};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Interval at which the client checks that the reply is still needed.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// A connection, opened with the first request and after one without a reply.
#[derive(Debug)]
pub struct AnalysisClient {
    socket: PathBuf,
    stream: Option<UnixStream>,
}

impl AnalysisClient {
    /// Creates a client of the process whose socket is set in the environment, if any.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        std::env::var_os(SOCKET_VAR).map(|socket| Self::new(socket.into()))
    }

    /// Creates a client of the process that serves a socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            stream: None,
        }
    }

    /// Sends a request without a reply; returns false on failure.
    pub fn notify(&mut self, request: &AnalysisRequest) -> bool {
        let sent = self.take_stream().and_then(|mut stream| {
            send(&mut stream, request)?;
            self.stream = Some(stream);
            Ok(())
        });
        sent.is_ok()
    }

    /// Sends a request and waits for the reply; `None` if it does not arrive within `patience`, or
    /// once `is_wanted` returns false.
    pub fn ask(
        &mut self,
        request: &AnalysisRequest,
        patience: Duration,
        is_wanted: impl Fn() -> bool,
    ) -> Option<AnalysisReply> {
        let deadline = Instant::now() + patience;
        let is_waiting = || is_wanted() && Instant::now() < deadline;
        let reply = self.take_stream().and_then(|mut stream| {
            send(&mut stream, request)?;
            let reply = receive(&mut stream, is_waiting)?;
            // A stream whose reply is late is dropped, so that it is not read as that of the next
            // request.
            self.stream = Some(stream);
            Ok(reply)
        });
        reply.ok()
    }

    fn take_stream(&mut self) -> io::Result<UnixStream> {
        match self.stream.take() {
            Some(stream) => Ok(stream),
            None => UnixStream::connect(&self.socket),
        }
    }
}

fn send(stream: &mut UnixStream, request: &AnalysisRequest) -> io::Result<()> {
    stream.write_all(&frame::encode(request).map_err(io::Error::other)?)
}

fn receive(stream: &mut UnixStream, is_waiting: impl Fn() -> bool) -> io::Result<AnalysisReply> {
    stream.set_read_timeout(Some(CHECK_INTERVAL))?;
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
                if !is_waiting() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
}
