//! The listener of a guard, and its peers.

use super::super::Endpoint;
use futures::FutureExt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, tcp, unix};

/// The listener that accepts peers.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// An accepted peer.
pub(super) enum GuardedPeer {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Binds an endpoint; returns it with the actual port.
    pub async fn bind(endpoint: &Endpoint) -> io::Result<(Self, Endpoint)> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let address = if host == "*" { "0.0.0.0" } else { host };
                let listener = TcpListener::bind((address, *port)).await?;
                let bound = Endpoint::Tcp {
                    host: host.clone(),
                    port: listener.local_addr()?.port(),
                };
                Ok((Self::Tcp(listener), bound))
            }
            Endpoint::Ipc(path) => {
                let listener = UnixListener::bind(path)?;
                Ok((Self::Unix(listener, path.clone()), endpoint.clone()))
            }
            Endpoint::Memory { .. } => Err(io::Error::other("not a network")),
        }
    }

    /// Accepts a peer; returns it with its address, if it has one.
    pub async fn accept(&self) -> io::Result<(GuardedPeer, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((GuardedPeer::Tcp(stream), Some(from.ip())))
            }
            Self::Unix(listener, _) => Ok((GuardedPeer::Unix(listener.accept().await?.0), None)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // The folder may have been removed before.
            drop(std::fs::remove_file(path));
        }
    }
}

impl GuardedPeer {
    /// Splits the connection into its halves.
    pub fn into_split(self) -> (PeerReader, PeerWriter) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (PeerReader::Tcp(reader), PeerWriter::Tcp(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (PeerReader::Unix(reader), PeerWriter::Unix(writer))
            }
        }
    }
}

/// The reading half of a connection.
pub(super) enum PeerReader {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

/// The writing half of a connection.
pub(super) enum PeerWriter {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl PeerReader {
    /// Returns true if the peer sends nothing more, although there may be bytes left to read.
    pub fn has_ended(&self) -> bool {
        let ready = match self {
            Self::Tcp(reader) => reader.ready(Interest::READABLE).now_or_never(),
            Self::Unix(reader) => reader.ready(Interest::READABLE).now_or_never(),
        };
        matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for PeerReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for PeerWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
