//! One guarded connection: bytes copied both ways, within the limits of a peer.

use super::frames::{FrameChecker, FrameLimits, RefusalReason};
use super::listener::GuardedPeer;
use super::waiting_room::WaitingPlace;
use crate::warn_rarely;
use bytes::{Buf, Bytes, BytesMut};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

/// The number of bytes read at once.
const CHUNK: usize = 64 << 10;

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
    Refused(#[from] RefusalReason),
    #[error("it does not read")]
    Stalled,
    #[error("it does not say what it is")]
    Silent,
    #[error("too many of its address do not say what they are")]
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
    /// Its place among the connections without a handshake.
    pub place: Option<WaitingPlace>,
}

/// The deadline of a peer's handshake.
struct GreetingDeadline {
    until: Instant,
    place: Option<WaitingPlace>,
}

impl GreetingDeadline {
    /// Waits until the deadline or the loss of the place; returns the reason.
    async fn missing(&self) -> Ended {
        let crowded = async {
            match &self.place {
                Some(place) => place.lost.cancelled().await,
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
            Err(reason) => warn_rarely!(%reason, "a peer is cut off"),
        }
    }

    async fn pass_on(self, mut peer: GuardedPeer) -> Result<(), Ended> {
        let greeting = GreetingDeadline {
            until: Instant::now() + self.patience.greeting,
            place: self.place,
        };
        // A peer that never sends anything costs only a descriptor.
        let mut first = [0; FIRST];
        let read = tokio::select! {
            read = peer.read(&mut first) => read?,
            missing = greeting.missing() => return Err(missing),
        };
        let first = first.get(..read).unwrap_or_default();
        let inner = UnixStream::connect(&self.inner).await;
        let inner = inner.inspect_err(super::refused)?;
        let (from_peer, to_peer) = tokio::io::split(peer);
        let (from_inner, to_inner) = inner.into_split();
        tokio::select! {
            ended = inward(first, from_peer, to_inner, self.limits, greeting) => ended,
            ended = outward(from_inner, to_peer, self.patience) => ended,
        }
    }
}

async fn inward(
    first: &[u8],
    mut peer: ReadHalf<GuardedPeer>,
    mut inner: OwnedWriteHalf,
    limits: FrameLimits,
    greeting: GreetingDeadline,
) -> Result<(), Ended> {
    let mut checker = FrameChecker::new(limits);
    if first.is_empty() {
        return Ok(());
    }
    checker.check(first)?;
    inner.write_all(first).await?;
    let mut greeting = Some(greeting);
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        buffer.clear();
        buffer.reserve(CHUNK);
        let read = match &greeting {
            None => peer.read_buf(&mut buffer).await?,
            Some(greeting) => tokio::select! {
                read = peer.read_buf(&mut buffer) => read?,
                missing = greeting.missing() => return Err(missing),
            },
        };
        if read == 0 {
            return Ok(());
        }
        checker.check(&buffer)?;
        greeting = greeting.filter(|_| !checker.greeted());
        inner.write_all(&buffer).await?;
    }
}

async fn outward(
    mut inner: OwnedReadHalf,
    mut peer: WriteHalf<GuardedPeer>,
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
