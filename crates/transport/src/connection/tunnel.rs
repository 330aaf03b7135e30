//! Tunnels to a controller through an SSH server, as the `ssh` of a connection file asks for.
//!
//! One `ssh` process forwards all ports, to Unix sockets in a folder that only this user can open. It is started
//! again when it ends.

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

/// The time a tunnel may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// The time between two looks whether it is open: `ssh` says nothing, but the sockets appear.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The time before a tunnel that has broken is opened again.
const REOPEN_DELAY: Duration = Duration::from_secs(2);

/// The reason a tunnel could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// There is no program `ssh`, or no folder for the sockets.
    #[error("the tunnel through {server} could not be opened: {error}")]
    Start {
        /// The server.
        server: String,
        /// The system's error.
        error: io::Error,
    },
    /// It ended.
    #[error("the tunnel through {server} could not be opened: `ssh` ended ({status}){printed}")]
    Ended {
        /// The server.
        server: String,
        /// The exit status.
        status: String,
        /// The output, on a line of its own.
        printed: String,
    },
    /// It does not open.
    #[error("the tunnel through {0} did not open within {limit} s", limit = OPEN_LIMIT.as_secs())]
    TimedOut(String),
}

/// A tunnel; it ends with this value.
#[derive(Debug)]
pub struct Tunnel {
    folder: TemporaryFolder,
    ports: Vec<u16>,
    /// Starts it again when it ends.
    _keeper: JoinSet<()>,
}

impl Tunnel {
    /// Opens a tunnel through a server, `user@host` or `user@host:port`, to ports as they are reached from there.
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

    /// Its sockets on this machine.
    pub(super) fn sockets(&self) -> LocalSockets {
        let paths = self.ports.iter();
        let paths = paths.map(|port| (*port, socket(self.folder.path(), *port)));
        LocalSockets::of_this_host(paths.collect())
    }
}

/// The arguments of `ssh`. Pure.
fn arguments(server: &str, targets: &BTreeMap<u16, String>, folder: &Path) -> Vec<String> {
    let mut args = vec!["-N".to_owned(), "-T".to_owned()];
    for option in [
        // Nobody can be asked for a password.
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
        // Those of a tunnel before, which has broken.
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

/// Starts it again whenever it ends.
async fn keep_running(mut child: Child, args: Vec<String>) {
    loop {
        let reason = printed(&mut child).await;
        // An error of waiting means that it is gone too.
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

/// All it printed until it ended, on a line of its own; empty where it printed nothing.
async fn printed(child: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        // What was read before an error is something.
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
    fn every_port_has_a_socket_of_its_own() {
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
