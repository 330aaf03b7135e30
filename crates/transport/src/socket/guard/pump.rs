use super::frames::{Checker, Limits, Refused};
use super::listener::Peer;
use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// How long and with how much a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Bytes that may wait for it here.
    pub bytes: usize,
    /// When it is cut off, so many waiting and none being read; `None` for never.
    pub stall: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Refused(#[from] Refused),
    #[error("it does not read")]
    Stalled,
    #[error("{0}")]
    Broken(#[from] std::io::Error),
}

/// Passes bytes on in both directions until one side ends.
pub(super) async fn pump(peer: Peer, inner: UnixStream, limits: Limits, patience: Patience) {
    let (from_peer, to_peer) = tokio::io::split(peer);
    let (from_inner, to_inner) = inner.into_split();
    let ended = tokio::select! {
        ended = inward(from_peer, to_inner, limits) => ended,
        ended = outward(from_inner, to_peer, patience) => ended,
    };
    match ended {
        Ok(()) => {}
        Err(Ended::Broken(error)) => tracing::debug!(%error, "a connection is broken"),
        Err(reason) => tracing::warn!(%reason, "a peer is cut off"),
    }
}

async fn inward(
    mut peer: ReadHalf<Peer>,
    mut inner: OwnedWriteHalf,
    limits: Limits,
) -> Result<(), Ended> {
    let mut checker = Checker::new(limits);
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        buffer.clear();
        buffer.reserve(CHUNK);
        if peer.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        checker.check(&buffer)?;
        inner.write_all(&buffer).await?;
    }
}

async fn outward(
    mut inner: OwnedReadHalf,
    mut peer: WriteHalf<Peer>,
    patience: Patience,
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
