//! Connection files of controllers that were killed.

use phalanx_transport::connection::LocalSockets;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The part that identifies the writer, common to both kinds of file.
#[derive(Deserialize)]
struct FileOwner {
    phalanx_sockets: Option<LocalSockets>,
    #[serde(default)]
    phalanx_reuse: bool,
}

/// Removes the files in a folder whose controller no longer exists, except for those to be reused.
pub(crate) fn remove(folder: &Path, except: &[PathBuf]) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if has_connection_file_name(&path) && !except.contains(&path) && is_stale(&path) {
            tracing::info!(file = %path.display(), "removing the connection file of a controller that was killed");
            // Another controller may be removing it.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn has_connection_file_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name.starts_with("ipcontroller")
            && ["-client.json", "-engine.json"]
                .iter()
                .any(|end| name.ends_with(end))
    })
}

fn is_stale(path: &Path) -> bool {
    let text = std::fs::read(path).unwrap_or_default();
    let Ok(written) = serde_json::from_slice::<FileOwner>(&text) else {
        return false;
    };
    let sockets = written.phalanx_sockets.filter(|_| !written.phalanx_reuse);
    sockets.is_some_and(|sockets| sockets.are_gone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Controller, ControllerConfig};
    use phalanx_sys::temporary::TemporaryFolder;
    use phalanx_transport::ClientConnectionFile;

    #[tokio::test]
    async fn connection_files_of_ended_controllers_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let live = Controller::start(ControllerConfig::default())
            .await
            .unwrap();
        let mut file = live.client_file().clone();
        // The state after a controller was killed: the file exists, but not its sockets.
        let sockets = TemporaryFolder::new("sockets").unwrap();
        let paths = [(file.mux, sockets.path().join("0"))];
        file.phalanx_sockets = Some(LocalSockets::of_this_host(paths.into()));
        let write = |name: &str, file: &ClientConnectionFile| {
            let path = folder.path().join(name);
            file.write(&path).unwrap();
            path
        };
        let live_file = folder.path().join("ipcontroller-live-client.json");
        live.client_file().write(&live_file).unwrap();
        let killed = write("ipcontroller-killed-client.json", &file);
        let other = write("other-client.json", &file);
        let own = write("ipcontroller-client.json", &file);
        remove(folder.path(), std::slice::from_ref(&own));
        assert!(killed.exists(), "its controller lives");
        drop(sockets);
        file.phalanx_reuse = true;
        let again = write("ipcontroller-again-client.json", &file);
        remove(folder.path(), std::slice::from_ref(&own));
        assert!(!killed.exists());
        for kept in [&other, &own, &again, &live_file] {
            assert!(kept.exists(), "{}", kept.display());
        }
        live.shutdown().await;
    }
}
