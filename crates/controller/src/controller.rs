//! The handle on a running controller: its start, its connection files, its end.

use crate::config::ControllerConfig;
use crate::earlier::EarlierFiles;
use crate::error::StartError;
use crate::server::{self, Channels, Server};
use crate::stale;
use phalanx_sys::temporary::TemporaryFolder;
use phalanx_transport::{ClientConnectionFile, EngineConnectionFile, Session, SigningKey};
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A running controller. Dropping it stops it and removes its connection files.
#[derive(Debug)]
pub struct Controller {
    client: (ClientConnectionFile, PathBuf),
    engine: (EngineConnectionFile, PathBuf),
    cancel: CancellationToken,
    tasks: TaskTracker,
    ended: watch::Receiver<bool>,
    /// True if the files are kept for the next controller.
    keeps_files: bool,
    _folder: Option<TemporaryFolder>,
}

impl Controller {
    /// Binds all sockets, writes the connection files (mode 0600) and starts serving.
    ///
    /// # Errors
    /// [`StartError`] if a socket cannot be bound, a file cannot be written, or the database cannot
    /// be opened.
    pub async fn start(config: ControllerConfig) -> Result<Self, StartError> {
        let both_named = config.client_file.is_some() && config.engine_file.is_some();
        let (folder, temporary) = match &config.folder {
            Some(folder) => (folder.clone(), None),
            None if both_named => (PathBuf::new(), None),
            None => {
                let folder = TemporaryFolder::new("controller").map_err(StartError::Folder)?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let name = match config.cluster_id.as_str() {
            "" => "ipcontroller".to_owned(),
            id => format!("ipcontroller-{id}"),
        };
        let usual = |whose: &str| folder.join(format!("{name}-{whose}.json"));
        let client_path = config
            .client_file
            .clone()
            .unwrap_or_else(|| usual("client"));
        let engine_path = config
            .engine_file
            .clone()
            .unwrap_or_else(|| usual("engine"));
        // Removes the files of killed controllers; not awaited.
        let (files, own) = (folder.clone(), [client_path.clone(), engine_path.clone()]);
        drop(tokio::task::spawn_blocking(move || {
            stale::remove(&files, &own);
            phalanx_sys::temporary::remove_abandoned();
        }));
        let before = match config.reuse {
            true => EarlierFiles::read(&client_path, &engine_path)?,
            false => None,
        };
        let key = match &before {
            Some(before) => before.client.signing_key().map_err(StartError::Reuse)?,
            None => SigningKey::fresh(config.signature_scheme),
        };
        let session = Session::new("controller", key);
        let store = server::store(&config.database, &session)?;
        let channels = Channels::bind(&config, before.as_ref()).await?;
        let (client, engine) = channels.files(&config, &session);
        client.write(&client_path)?;
        engine.write(&engine_path)?;

        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (ending, ended) = watch::channel(false);
        let server = Server::new(&config, session, &engine, store);
        let token = cancel.clone();
        tasks.spawn(async move {
            server.run(channels, token).await;
            ending.send_replace(true);
        });
        tasks.close();
        Ok(Self {
            client: (client, client_path),
            engine: (engine, engine_path),
            cancel,
            tasks,
            ended,
            keeps_files: config.reuse,
            _folder: temporary,
        })
    }

    /// The connection file for clients.
    pub fn client_file(&self) -> &ClientConnectionFile {
        &self.client.0
    }

    /// The connection file for engines.
    pub fn engine_file(&self) -> &EngineConnectionFile {
        &self.engine.0
    }

    /// The path of the connection file for clients.
    pub fn client_path(&self) -> &Path {
        &self.client.1
    }

    /// The path of the connection file for engines.
    pub fn engine_path(&self) -> &Path {
        &self.engine.1
    }

    /// Returns true if it has ended.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until it has ended, for example at the request of a client.
    pub async fn ended(&self) {
        // An error means that its task has ended.
        drop(self.ended.clone().wait_for(|ended| *ended).await);
    }

    /// Shuts down: notifies the clients, flushes sent messages, closes its sockets.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.cancel.cancel();
        if self.keeps_files {
            return;
        }
        for path in [&self.client.1, &self.engine.1] {
            // The file may not exist any more; a stale file would be misleading.
            drop(std::fs::remove_file(path));
        }
    }
}
