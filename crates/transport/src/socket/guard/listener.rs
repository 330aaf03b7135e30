//! The listener of a guard, and its peers.

use super::super::Endpoint;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

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

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Unix($stream) => $call,
        }
    };
}

impl AsyncRead for GuardedPeer {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for GuardedPeer {
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
