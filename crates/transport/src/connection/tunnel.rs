//! Tunnels to a controller through the SSH server of a connection file.
//!
//! A single `ssh` process forwards all ports to Unix sockets in a folder that only this user can
//! access. It is restarted when it ends.

use super::parallel::LocalSockets;
use phalanx_sys::temporary::TemporaryFolder;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Time limit for opening a tunnel.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// Interval at which the sockets are checked, since `ssh` does not report that it is ready.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Delay before a broken tunnel is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(2);

/// The error of opening a tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// `ssh` cannot be started, or the folder of the sockets cannot be created.
    #[error("the tunnel through {server} could not be opened: {error}")]
    Start {
        /// The server.
        server: String,
        /// The cause.
        error: io::Error,
    },
    /// `ssh` has ended.
    #[error("the tunnel through {server} could not be opened: `ssh` ended ({status}){printed}")]
    Ended {
        /// The server.
        server: String,
        /// The exit status.
        status: String,
        /// Its output, on a line of its own.
        printed: String,
    },
    /// The sockets did not appear within the time limit.
    #[error("the tunnel through {0} did not open within {limit} s", limit = OPEN_LIMIT.as_secs())]
    TimedOut(String),
}

/// A tunnel; closed on drop.
#[derive(Debug)]
pub struct Tunnel {
    folder: TemporaryFolder,
    ports: Vec<u16>,
    /// The task that restarts `ssh` when it ends.
    _keeper: JoinSet<()>,
}

impl Tunnel {
    /// Opens a tunnel through `user@host` or `user@host:port` to targets, which are resolved on
    /// that server.
    pub(super) async fn open(
        server: &str,
        targets: &BTreeMap<u16, String>,
    ) -> Result<Self, TunnelError> {
        let failed = |error: io::Error| TunnelError::Start {
            server: server.to_owned(),
            error,
        };
        let folder = TemporaryFolder::new("tunnel").map_err(failed)?;
        let args = arguments(server, targets, folder.path());
        let mut child = start(&args).map_err(failed)?;
        let deadline = Instant::now() + OPEN_LIMIT;
        let ports: Vec<u16> = targets.keys().copied().collect();
        while !ports
            .iter()
            .all(|port| socket(folder.path(), *port).exists())
        {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Err(TunnelError::Ended {
                    server: server.to_owned(),
                    status: status.to_string(),
                    printed: printed(&mut child).await,
                });
            }
            if Instant::now() > deadline {
                return Err(TunnelError::TimedOut(server.to_owned()));
            }
            sleep(LOOK_INTERVAL).await;
        }
        let mut keeper = JoinSet::new();
        keeper.spawn(keep_running(child, args));
        Ok(Self {
            folder,
            ports,
            _keeper: keeper,
        })
    }

    /// Returns its sockets on this machine.
    pub(super) fn sockets(&self) -> LocalSockets {
        let paths = self.ports.iter();
        let paths = paths.map(|port| (*port, socket(self.folder.path(), *port)));
        LocalSockets::of_this_host(paths.collect())
    }
}

/// Returns the arguments of `ssh`. Pure.
fn arguments(server: &str, targets: &BTreeMap<u16, String>, folder: &Path) -> Vec<String> {
    let mut args = vec!["-N".to_owned(), "-T".to_owned()];
    for option in [
        // There is no terminal for a password prompt.
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        // Removes the sockets of an earlier tunnel that has broken.
        "StreamLocalBindUnlink=yes",
        "ServerAliveInterval=15",
    ] {
        args.extend(["-o".to_owned(), option.to_owned()]);
    }
    for (port, target) in targets {
        let socket = socket(folder, *port);
        args.extend(["-L".to_owned(), format!("{}:{target}", socket.display())]);
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, Some(port)),
        _ => (server, None),
    };
    if let Some(port) = port {
        args.extend(["-p".to_owned(), port.to_owned()]);
    }
    args.extend(["--".to_owned(), host.to_owned()]);
    args
}

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(port.to_string())
}

fn start(args: &[String]) -> io::Result<Child> {
    Command::new("ssh")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Restarts `ssh` whenever it ends.
async fn keep_running(mut child: Child, args: Vec<String>) {
    loop {
        let reason = printed(&mut child).await;
        // An error also means that the process has ended.
        let _ = child.wait().await;
        tracing::warn!(
            reason = reason.trim(),
            "a tunnel has broken and is opened again"
        );
        child = loop {
            sleep(REOPEN_DELAY).await;
            match start(&args) {
                Ok(child) => break child,
                Err(error) => tracing::warn!(%error, "a tunnel cannot be opened again"),
            }
        };
    }
}

/// Returns the output of a process that has ended, on a line of its own; empty if there is none.
async fn printed(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        // Output read before an error is kept.
        let _ = stderr.read_to_end(&mut text).await;
    }
    match String::from_utf8_lossy(&text).trim() {
        "" => String::new(),
        text => format!(":\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_its_own_socket() {
        let targets = [(5, "127.0.0.1:5".to_owned()), (6, "[::1]:6".to_owned())];
        let args = arguments("me@login:2222", &targets.into(), Path::new("/t"));
        let args = args.join(" ");
        assert!(
            args.contains("-L /t/5:127.0.0.1:5 -L /t/6:[::1]:6"),
            "{args}"
        );
        assert!(args.ends_with("-p 2222 -- me@login"), "{args}");
        let args = arguments("login", &BTreeMap::new(), Path::new("/t"));
        assert!(args.join(" ").ends_with("-- login"));
    }
}
