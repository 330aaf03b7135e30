//! The kernel's connection: its address and its announcement to frontends.

use crate::channel::{Channels, OpenError};
use phalanx_protocol::jupyter::connection_info::{ConnectionInfo, Transport};
use phalanx_transport::ConnectionFileError;
use phalanx_transport::connection::write_kernel_file;
use std::path::{Path, PathBuf};

/// The address to serve on.
#[derive(Clone, Debug)]
pub enum Connection {
    /// The address that the parent process has given.
    Given(ConnectionInfo),
    /// Free ports on the loopback interface, written to this connection file.
    Announced(PathBuf),
}

/// A connection file; removed on drop.
#[derive(Debug)]
pub(super) struct Announcement(PathBuf);

impl Connection {
    /// Opens the channels and writes the connection file, if one was requested.
    pub(super) async fn open(
        self,
    ) -> Result<(Channels, ConnectionInfo, Option<Announcement>), ConnectionError> {
        match self {
            Self::Given(info) => {
                let (channels, info) = Channels::open(info).await?;
                Ok((channels, info, None))
            }
            Self::Announced(file) => {
                let (channels, info) = Channels::open(anywhere()).await?;
                write_kernel_file(&file, &info)?;
                let announcement = Announcement(file);
                announcement.print();
                Ok((channels, info, Some(announcement)))
            }
        }
    }
}

/// An error that leaves the kernel without channels.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The channels could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The connection file could not be written.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
}

/// Returns the loopback address with free ports and a new key.
fn anywhere() -> ConnectionInfo {
    ConnectionInfo {
        ip: "127.0.0.1".to_owned(),
        transport: Transport::TCP,
        shell_port: 0,
        iopub_port: 0,
        stdin_port: 0,
        control_port: 0,
        hb_port: 0,
        key: uuid::Uuid::new_v4().to_string(),
        signature_scheme: "hmac-sha256".to_owned(),
        kernel_name: Some("phalanx".to_owned()),
    }
}

impl Announcement {
    /// Prints the command that connects to this kernel, worded as ipykernel does.
    fn print(&self) {
        println!("To connect another client to this kernel, use:");
        println!("    --existing {}", self.0.display());
        println!("Ctrl-C ends it.");
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(self.path()) {
            tracing::warn!(%error, "the connection file stays");
        }
    }
}
