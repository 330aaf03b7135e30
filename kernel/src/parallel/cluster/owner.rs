//! Requests to the process that owns a cluster, from commands and notebooks, over a Unix socket in
//! its folder, which only the user can access.

use super::ClusterError;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::frame::{Decoder, encode};
use phalanx_protocol::id::EngineId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The name of the socket in the cluster's folder.
pub(super) const SOCKET: &str = "owner.sock";

/// Time limit for a connected peer to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// A request to the owner of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OwnerRequest {
    /// Start or stop engines to reach a number of engines.
    Scale {
        /// The number of engines afterwards.
        engines: usize,
    },
    /// Start additional engines.
    Add {
        /// The number of additional engines.
        engines: usize,
    },
    /// Restart engines with empty namespaces under the same ids.
    Restart {
        /// The engines; `None` for all.
        engines: Option<Vec<EngineId>>,
    },
}

/// The reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerReply {
    /// The number of engines has changed.
    Scaled {
        /// Their number before.
        before: usize,
        /// Their number now.
        now: usize,
    },
    /// Engines were restarted.
    Restarted {
        /// Their number.
        engines: usize,
    },
}

/// A request, and the sender of its reply.
pub struct OwnerCall {
    /// The request.
    pub request: OwnerRequest,
    /// The sender of the reply.
    pub reply: oneshot::Sender<Result<OwnerReply, Failure>>,
}

/// The owner's end of the socket.
#[derive(Debug)]
pub struct OwnerSocket {
    calls: mpsc::Receiver<OwnerCall>,
    /// The task that accepts connections.
    _task: JoinSet<()>,
}

impl OwnerSocket {
    /// Binds the socket in a cluster's folder.
    ///
    /// # Errors
    /// Returns an error if the socket cannot be bound.
    pub fn bind(folder: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(folder.join(SOCKET))?;
        // One request is queued while another is handled; the peers wait for replies anyway.
        let (sender, calls) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, sender));
        Ok(Self { calls, _task: task })
    }

    /// Waits for the next request. Cancel safe.
    pub async fn next(&mut self) -> OwnerCall {
        match self.calls.recv().await {
            Some(call) => call,
            None => std::future::pending().await,
        }
    }
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<OwnerCall>) {
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    served.spawn(serve(stream, calls.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "requests to this cluster are no longer accepted");
                    return;
                }
            },
            Some(_) = served.join_next() => {}
        }
    }
}

async fn serve(mut stream: UnixStream, calls: mpsc::Sender<OwnerCall>) {
    let request = tokio::time::timeout(REQUEST_LIMIT, read(&mut stream)).await;
    let Ok(Ok(request)) = request else {
        return;
    };
    let (reply, replied) = oneshot::channel();
    if calls.send(OwnerCall { request, reply }).await.is_err() {
        return;
    }
    let Ok(result) = replied.await else {
        return;
    };
    if let Err(error) = write(&mut stream, &result).await {
        tracing::debug!(%error, "the peer no longer waits for the reply");
    }
}

/// Sends a request to the owner of the cluster in a folder, and waits for the reply.
///
/// # Errors
/// Returns an error if the owner does not reply or the request fails.
pub async fn ask_owner(folder: &Path, request: &OwnerRequest) -> Result<OwnerReply, Failure> {
    let replied = async {
        let mut stream = UnixStream::connect(folder.join(SOCKET)).await?;
        write(&mut stream, request).await?;
        read::<Result<OwnerReply, Failure>>(&mut stream).await
    };
    replied
        .await
        .unwrap_or_else(|error| Err(ClusterError::OwnerSilent(error).into()))
}

async fn write<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    let bytes = encode(message).map_err(io::Error::other)?;
    stream.write_all(&bytes).await
}

async fn read<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut decoder = Decoder::default();
    let mut bytes = [0; 4096];
    loop {
        if let Some(message) = decoder.decode().map_err(io::Error::other)? {
            return Ok(message);
        }
        match stream.read(&mut bytes).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => decoder.push(&bytes[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_gets_its_reply() {
        let folder = tempfile::tempdir().unwrap();
        let mut socket = OwnerSocket::bind(folder.path()).unwrap();
        let request = OwnerRequest::Scale { engines: 4 };
        let replied = ask_owner(folder.path(), &request);
        let serving = async {
            let call = socket.next().await;
            assert_eq!(call.request, request);
            let failure = Failure::Usage {
                message: "no".to_owned(),
                hint: None,
            };
            call.reply.send(Err(failure.clone())).unwrap();
            failure
        };
        let (got, sent) = tokio::join!(replied, serving);
        assert_eq!(got, Err(sent));
    }

    #[tokio::test]
    async fn an_ended_owner_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let request = OwnerRequest::Restart { engines: None };
        let failure = ask_owner(folder.path(), &request).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Environment { .. }),
            "{failure:?}"
        );
    }
}
