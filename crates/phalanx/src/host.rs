//! One call to the process that owns this runtime.

use crate::Error;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::host::{HOST_SOCKET_VAR, HostReply, HostRequest};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Asks the owner something and waits for its answer.
///
/// Text printed before comes first: stdout is flushed.
pub(crate) fn call(request: &HostRequest) -> Result<HostReply, Error> {
    match exchange(request) {
        Ok(HostReply::Failed(failure)) => Err(Error(failure)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(Error(Failure::Internal {
            message: format!("the kernel does not answer: {error}"),
        })),
    }
}

fn exchange(request: &HostRequest) -> io::Result<HostReply> {
    io::stdout().flush()?;
    let path = std::env::var_os(HOST_SOCKET_VAR)
        .ok_or_else(|| io::Error::other("this program was not started by a kernel"))?;
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(&frame::encode(request).map_err(io::Error::other)?)?;
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 14];
    loop {
        if let Some(reply) = decoder.decode().map_err(io::Error::other)? {
            return Ok(reply);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => decoder.push(&buffer[..count]),
        }
    }
}

/// The answer was of another kind than the question: a fault of ours.
pub(crate) fn unexpected(reply: &HostReply) -> Error {
    Error(Failure::Internal {
        message: format!("the kernel gave an answer to another question: {reply:?}"),
    })
}
