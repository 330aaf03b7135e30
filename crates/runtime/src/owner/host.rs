//! The host socket: calls of the `phalanx` library, with one connection per concurrent call.

use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::host::{HostReply, HostRequest, KernelRequest};
use phalanx_protocol::id::RunId;
use phalanx_protocol::payload::Payload;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// A call of the `phalanx` library that waits for its reply.
#[derive(Debug)]
pub struct HostCall {
    /// The run that was active when it was received.
    pub run: Option<RunId>,
    /// The request.
    pub request: KernelRequest,
    /// The raw frames received with it.
    pub raw: Vec<Payload>,
    /// The sender of the reply.
    pub reply: HostReplier,
}

/// Replies to one [`HostCall`]; if it is dropped unused, the library reports that its owner does
/// not answer.
#[derive(Debug)]
pub struct HostReplier(oneshot::Sender<HostReplyFrames>);

/// A reply, and the raw frames it announces.
pub type HostReplyFrames = (HostReply, Vec<Payload>);

impl HostReplier {
    /// Creates a replier and the receiver of its reply.
    pub(super) fn new() -> (Self, oneshot::Receiver<HostReplyFrames>) {
        let (reply, answer) = oneshot::channel();
        (Self(reply), answer)
    }

    /// Waits until the caller no longer waits for the reply.
    pub async fn closed(&mut self) {
        self.0.closed().await;
    }

    /// Sends the reply; ignored if the cell no longer exists.
    pub fn send(self, reply: HostReply) {
        self.send_with(reply, Vec::new());
    }

    /// Sends the reply and the raw frames it announces.
    pub fn send_with(self, reply: HostReply, raw: Vec<Payload>) {
        let _ = self.0.send((reply, raw));
    }
}

/// A received call, for the actor.
#[derive(Debug)]
pub(crate) struct ReceivedCall {
    pub(super) request: HostRequest,
    pub(super) raw: Vec<Payload>,
    pub(super) reply: HostReplier,
}

/// Serves one connection until the library closes it: one call after the other.
pub(super) async fn serve(
    mut stream: UnixStream,
    calls: tokio::sync::mpsc::Sender<ReceivedCall>,
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 14];
    // The segments of the last reply: the library closes the connection once it has opened them.
    let mut referred = Vec::new();
    while let Some((request, raw)) = receive(&mut stream, &mut decoder, &mut buffer).await? {
        referred.clear();
        let (reply, answer) = HostReplier::new();
        let arrived = ReceivedCall {
            request,
            raw,
            reply,
        };
        if calls.send(arrived).await.is_err() {
            return Ok(());
        }
        let Ok((reply, raw)) = answer.await else {
            return Ok(());
        };
        let bytes = frame::encode(&reply).map_err(io::Error::other)?;
        // Buffered, so that many small frames take few writes.
        let mut outgoing = BufWriter::new(&mut stream);
        outgoing.write_all(&bytes).await?;
        for raw in &raw {
            let head = frame::raw_head(raw.frame()).map_err(io::Error::other)?;
            outgoing.write_all(&head).await?;
            outgoing.write_all(raw.frame()).await?;
        }
        outgoing.flush().await?;
        referred = raw;
        referred.retain(|raw| raw.segment().is_some());
    }
    Ok(())
}

/// Receives the next call with its raw frames; `None` once the library has closed the connection.
async fn receive(
    stream: &mut UnixStream,
    decoder: &mut Decoder,
    buffer: &mut [u8],
) -> io::Result<Option<(HostRequest, Vec<Payload>)>> {
    let mut request = None;
    let mut raw = Vec::new();
    loop {
        if request.is_none() {
            request = decoder.decode::<HostRequest>().map_err(io::Error::other)?;
        }
        if let Some(known) = &request {
            while raw.len() < known.raw_frames()
                && let Some(frame) = decoder.raw().map_err(io::Error::other)?
            {
                raw.push(Payload::read(frame.into()));
            }
        }
        match request {
            Some(whole) if raw.len() == whole.raw_frames() => return Ok(Some((whole, raw))),
            part => request = part,
        }
        match stream.read(buffer).await? {
            0 => return Ok(None),
            count => decoder.push(&buffer[..count]),
        }
    }
}
