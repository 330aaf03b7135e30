//! Requests to the process that owns this runtime.

use crate::Error;
use crate::error::LibraryError;
use crate::shared::memory::StableBytes;
use crate::shared::out_of_band::OutOfBandSource;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::host::{HOST_SOCKET_VAR, HostReply, HostRequest};
use phalanx_protocol::segment::SegmentRef;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Returns true within a cell; elsewhere there is no owner.
pub(crate) fn is_in_cell() -> bool {
    std::env::var_os(HOST_SOCKET_VAR).is_some()
}

/// Sends a request to the owner and waits for the reply.
///
/// Flushes stdout first, so that text printed before precedes the effects of the request.
pub(crate) fn call(request: &HostRequest) -> Result<HostReply, Error> {
    call_with(request, &[]).map(|(reply, _)| reply)
}

/// Like [`call`], with the raw frames that the request and its reply announce.
pub(crate) fn call_with(
    request: &HostRequest,
    raw: &[Vec<u8>],
) -> Result<(HostReply, Vec<Frame>), Error> {
    match exchange(request, raw) {
        Ok((HostReply::Failed(failure), _)) => Err(Error::new(failure)),
        Ok(reply) => Ok(reply),
        Err(error) => Err(LibraryError::Silent(&error).into()),
    }
}

fn exchange(request: &HostRequest, raw: &[Vec<u8>]) -> io::Result<(HostReply, Vec<Frame>)> {
    io::stdout().flush()?;
    let connection = Connection::take()?;
    let stream = connection.stream;
    // Buffered, so that many small frames take few writes.
    let mut outgoing = BufWriter::new(&stream);
    outgoing.write_all(&frame::encode(request).map_err(io::Error::other)?)?;
    for raw in raw {
        outgoing.write_all(&frame::raw_head(raw).map_err(io::Error::other)?)?;
        outgoing.write_all(raw)?;
    }
    outgoing.flush()?;
    drop(outgoing);
    let mut stream = Incoming {
        stream,
        decoder: Decoder::default(),
    };
    stream.soon()?;
    let reply = loop {
        match stream.decoder.decode::<HostReply>() {
            Ok(Some(reply)) => break reply,
            Ok(None) => stream.read()?,
            Err(error) => return Err(io::Error::other(error)),
        }
    };
    let mut frames = Vec::new();
    while frames.len() < reply.raw_frames() {
        match stream.decoder.raw().map_err(io::Error::other)? {
            Some(frame) => frames.push(Frame::open(frame)?),
            None => stream.read()?,
        }
    }
    // The owner keeps the files of references open until the connection is closed.
    if frames.iter().all(|frame| matches!(frame, Frame::Inline(_))) {
        let stream = stream.stream;
        Connection {
            stream,
            ..connection
        }
        .put_back();
    }
    Ok((reply, frames))
}

/// A connection to the owner, used by one call at a time.
struct Connection {
    /// The id of the process that opened it: a forked copy of the process inherits it and must not
    /// use it.
    process: u32,
    stream: UnixStream,
}

/// Connections that are not in use.
static IDLE: Mutex<Vec<Connection>> = Mutex::new(Vec::new());

impl Connection {
    /// Takes an idle connection, or opens a new one.
    fn take() -> io::Result<Self> {
        let process = std::process::id();
        // Not locked while connecting: a process forked meanwhile would inherit a mutex that is
        // never unlocked.
        let next = || IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(connection) = next() {
            if connection.process == process {
                return Ok(connection);
            }
        }
        let path = std::env::var_os(HOST_SOCKET_VAR)
            .ok_or_else(|| io::Error::other("this program was not started by a kernel"))?;
        let stream = UnixStream::connect(path)?;
        Ok(Self { process, stream })
    }

    fn put_back(self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self);
    }
}

/// A raw frame: inline, or mapped.
#[doc(hidden)]
pub enum Frame {
    Inline(Vec<u8>),
    Mapped(StableBytes),
}

impl Frame {
    pub(crate) fn open(bytes: Vec<u8>) -> io::Result<Self> {
        Ok(match SegmentRef::from_bytes(&bytes) {
            None => Self::Inline(bytes),
            Some(reference) => Self::Mapped(StableBytes::open(&reference)?),
        })
    }

    /// Returns the out-of-band data that begins at an offset.
    pub(crate) fn from(&self, at: usize) -> Option<OutOfBandSource<'_>> {
        Some(match self {
            Self::Inline(bytes) => OutOfBandSource::Passing(bytes.get(at..)?),
            Self::Mapped(chunk) => OutOfBandSource::Chunk(chunk.part(at..chunk.len())?),
        })
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Mapped(chunk) => chunk,
        }
    }
}

/// The time to poll for a reply before the process blocks.
///
/// Waking an idle core takes longer than a whole short call; while this one is busy, the other
/// processes of the call hand over to each other on their own cores.
const POLL_TIME: Duration = Duration::from_micros(400);

struct Incoming {
    stream: UnixStream,
    decoder: Decoder,
}

impl Incoming {
    /// Polls for a reply until [`POLL_TIME`] has passed.
    fn soon(&mut self) -> io::Result<()> {
        let started = Instant::now();
        self.stream.set_nonblocking(true)?;
        let read = loop {
            match self.read() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => break read,
            }
            if started.elapsed() > POLL_TIME {
                break Ok(());
            }
            std::thread::yield_now();
        };
        self.stream.set_nonblocking(false)?;
        read
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 1 << 14];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.decoder.push(&buffer[..count]);
                Ok(())
            }
        }
    }
}

/// Returns the internal error for a reply of the wrong kind.
pub(crate) fn unexpected(reply: &HostReply) -> Error {
    LibraryError::OtherReply(reply).into()
}
