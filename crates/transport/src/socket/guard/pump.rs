//! One guarded connection: bytes copied both ways, within the limits of a peer.

use super::super::paused::PausedPeers;
use super::frames::{FrameChecker, FrameLimits, FrameRefusal};
use super::handshake::HandshakeReader;
use super::listener::{GuardedPeer, PeerReader, PeerWriter};
use super::pending_handshakes::PendingHandshake;
use crate::warn_rarely;
use bytes::{Buf, Bytes, BytesMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

/// The number of bytes read at once.
const CHUNK: usize = 64 << 10;

/// The time between two checks whether a paused peer has ended.
const ENDED_POLL: Duration = Duration::from_secs(1);

/// The number of bytes read from a peer before resources are allocated; the size of a greeting.
const FIRST: usize = 64;

/// The time and buffer limits of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerLimits {
    /// The size of its buffer, in bytes.
    pub bytes: usize,
    /// Time limit for a peer with a full buffer that does not read; `None` for no limit.
    pub stall: Option<Duration>,
    /// Time limit of the handshake.
    pub greeting: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Refused(#[from] FrameRefusal),
    #[error("it does not read")]
    Stalled,
    #[error("it does not complete the handshake")]
    Silent,
    #[error("too many connections of its address have not completed the handshake")]
    Crowded,
    #[error("{0}")]
    Broken(#[from] std::io::Error),
}

/// A connection between a peer and zeromq.
#[derive(Debug)]
pub(super) struct Pump {
    /// The Unix socket on which zeromq listens.
    pub inner: PathBuf,
    pub limits: FrameLimits,
    pub patience: PeerLimits,
    /// Its entry among the connections without a handshake.
    pub pending: Option<PendingHandshake>,
    /// The peers that are not read, if single peers can be paused.
    pub paused: Option<Arc<PausedPeers>>,
}

/// The deadline of a peer's handshake.
struct GreetingDeadline {
    until: Instant,
    pending: Option<PendingHandshake>,
}

impl GreetingDeadline {
    /// Waits until the deadline or until a newer connection replaces this one; returns the reason.
    async fn missing(&self) -> Ended {
        let crowded = async {
            match &self.pending {
                Some(pending) => pending.replaced.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => Ended::Silent,
            () = crowded => Ended::Crowded,
        }
    }
}

impl Pump {
    /// Forwards bytes in both directions until one side ends.
    pub async fn run(self, peer: GuardedPeer) {
        match self.pass_on(peer).await {
            Ok(()) => {}
            Err(Ended::Broken(error)) => tracing::debug!(%error, "a connection is broken"),
            Err(reason) => warn_rarely!(%reason, "a peer is disconnected"),
        }
    }

    async fn pass_on(self, peer: GuardedPeer) -> Result<(), Ended> {
        let greeting = GreetingDeadline {
            until: Instant::now() + self.patience.greeting,
            pending: self.pending,
        };
        let (mut from_peer, to_peer) = peer.into_split();
        // A peer that never sends anything costs only a descriptor.
        let mut first = [0; FIRST];
        let read = tokio::select! {
            read = from_peer.read(&mut first) => read?,
            missing = greeting.missing() => return Err(missing),
        };
        let first = first.get(..read).unwrap_or_default();
        let inner = UnixStream::connect(&self.inner).await;
        let inner = inner.inspect_err(super::refused)?;
        let (from_inner, to_inner) = inner.into_split();
        let inward = Inward {
            peer: from_peer,
            inner: to_inner,
            checker: FrameChecker::new(self.limits),
            handshake: self.paused.is_some().then(HandshakeReader::default),
            paused: self.paused,
            identity: None,
        };
        tokio::select! {
            ended = inward.run(first, greeting) => ended,
            ended = outward(from_inner, to_peer, self.patience) => ended,
        }
    }
}

/// The direction from a peer to zeromq.
struct Inward {
    peer: PeerReader,
    inner: OwnedWriteHalf,
    checker: FrameChecker,
    /// The reader of the peer's handshake, until it is complete; only if peers can be paused.
    handshake: Option<HandshakeReader>,
    paused: Option<Arc<PausedPeers>>,
    /// The identity of the peer, if peers can be paused and its handshake is complete.
    identity: Option<Bytes>,
}

impl Inward {
    async fn run(mut self, first: &[u8], greeting: GreetingDeadline) -> Result<(), Ended> {
        if first.is_empty() {
            return Ok(());
        }
        self.forward(first).await?;
        let mut greeting = Some(greeting);
        let mut buffer = BytesMut::with_capacity(CHUNK);
        loop {
            self.may_read().await;
            buffer.clear();
            buffer.reserve(CHUNK);
            let read = match &greeting {
                None => self.peer.read_buf(&mut buffer).await?,
                Some(greeting) => tokio::select! {
                    read = self.peer.read_buf(&mut buffer) => read?,
                    missing = greeting.missing() => return Err(missing),
                },
            };
            if read == 0 {
                return Ok(());
            }
            self.forward(&buffer).await?;
            greeting = greeting.filter(|_| !self.checker.greeted());
        }
    }

    /// Waits while the peer is paused. The rest of a peer that has ended is read nevertheless, so
    /// that its end is noticed.
    async fn may_read(&self) {
        let (Some(paused), Some(identity)) = (&self.paused, &self.identity) else {
            return;
        };
        while paused.contains(identity) && !self.peer.has_ended() {
            tokio::select! {
                () = paused.resumed(identity) => return,
                () = tokio::time::sleep(ENDED_POLL) => {}
            }
        }
    }

    async fn forward(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.checker.check(bytes)?;
        let Some(handshake) = &mut self.handshake else {
            return Ok(self.inner.write_all(bytes).await?);
        };
        let read = handshake.read(bytes)?;
        if read.identity.is_some() {
            self.handshake = None;
            self.identity = read.identity;
        }
        Ok(self.inner.write_all(&read.bytes).await?)
    }
}

async fn outward(
    mut inner: OwnedReadHalf,
    mut peer: PeerWriter,
    patience: PeerLimits,
) -> Result<(), Ended> {
    let mut leaving = Bytes::new();
    let mut waiting = BytesMut::new();
    let mut ends = false;
    let mut read_last = Instant::now();
    loop {
        if leaving.is_empty() && !waiting.is_empty() {
            leaving = waiting.split().freeze();
            read_last = Instant::now();
        }
        if leaving.is_empty() && ends {
            peer.shutdown().await?;
            return Ok(());
        }
        let full = leaving.len() + waiting.len() >= patience.bytes;
        if !full {
            waiting.reserve(CHUNK);
        }
        let stalled = async {
            match patience.stall {
                Some(stall) if full => tokio::time::sleep_until(read_last + stall).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            count = inner.read_buf(&mut waiting), if !full && !ends => ends = count? == 0,
            count = peer.write(&leaving), if !leaving.is_empty() => {
                leaving.advance(count?);
                read_last = Instant::now();
            }
            () = stalled => return Err(Ended::Stalled),
        }
    }
}
