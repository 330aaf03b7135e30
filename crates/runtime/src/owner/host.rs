//! The host socket: calls of the `phalanx` library, one connection each.

use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::host::{HostReply, HostRequest};
use phalanx_protocol::id::RunId;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

/// A call of the `phalanx` library that waits for its answer.
#[derive(Debug)]
pub struct HostCall {
    /// The run that was going on when it came.
    pub run: Option<RunId>,
    /// What is asked.
    pub request: HostRequest,
    /// Where the answer goes.
    pub reply: HostReplier,
}

/// Answers one [`HostCall`]; dropped unused, the library reports that its owner does not answer.
#[derive(Debug)]
pub struct HostReplier(oneshot::Sender<HostReply>);

impl HostReplier {
    /// A replier, and where its answer comes out.
    pub(super) fn new() -> (Self, oneshot::Receiver<HostReply>) {
        let (reply, answer) = oneshot::channel();
        (Self(reply), answer)
    }

    /// Returns when nobody waits for the answer any more.
    pub async fn closed(&mut self) {
        self.0.closed().await;
    }

    /// Sends the answer; a cell that is gone no longer wants it.
    pub fn send(self, reply: HostReply) {
        let _ = self.0.send(reply);
    }
}

/// A call as the actor receives it.
pub(super) struct Arrived {
    pub(super) request: HostRequest,
    pub(super) reply: HostReplier,
}

/// Serves one connection; ends early when the library hangs up.
pub(super) async fn serve(
    mut stream: UnixStream,
    calls: tokio::sync::mpsc::Sender<Arrived>,
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 1 << 14];
    let request = loop {
        if let Some(request) = decoder.decode().map_err(io::Error::other)? {
            break request;
        }
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => decoder.push(&buffer[..count]),
        }
    };
    let (reply, answer) = HostReplier::new();
    let arrived = Arrived { request, reply };
    if calls.send(arrived).await.is_err() {
        return Ok(());
    }
    if let Ok(reply) = answer.await {
        let bytes = frame::encode(&reply).map_err(io::Error::other)?;
        stream.write_all(&bytes).await?;
    }
    Ok(())
}
