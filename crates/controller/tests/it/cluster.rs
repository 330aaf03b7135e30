use crate::client::Client;
use crate::engine::Engine;
use phalanx_controller::{Controller, ControllerConfig};
use std::time::Duration;

/// Far beyond what anything here takes.
pub const LIMIT: Duration = Duration::from_secs(60);

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("nothing happened in time")
}

pub struct Cluster {
    pub controller: Controller,
    /// True if its peers take the way that peers on other machines have to take.
    far: bool,
    _folder: tempfile::TempDir,
}

/// A controller on each transport. Its heartbeats are too rare to help anybody.
pub async fn clusters(test: &str) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for transport in ["far://", "tcp://127.0.0.1", "memory://", "ipc://"] {
        let folder = tempfile::tempdir().unwrap();
        let interface = match transport {
            "memory://" => format!("memory://{test}"),
            "ipc://" => format!("ipc://{}", folder.path().join("at").display()),
            _ => "tcp://127.0.0.1".to_owned(),
        };
        let config = ControllerConfig {
            interface,
            heartbeat: Duration::from_secs(600),
            ..ControllerConfig::default()
        };
        clusters.push(Cluster {
            controller: Controller::start(config).await.unwrap(),
            far: transport == "far://",
            _folder: folder,
        });
    }
    clusters
}

impl Cluster {
    /// A controller over TCP.
    pub async fn start(config: ControllerConfig) -> Self {
        let config = ControllerConfig {
            heartbeat: Duration::from_secs(600),
            ..config
        };
        Self {
            controller: Controller::start(config).await.unwrap(),
            far: false,
            _folder: tempfile::tempdir().unwrap(),
        }
    }

    pub async fn client(&self) -> Client {
        let mut file = self.controller.client_file().clone();
        file.phalanx_sockets = file.phalanx_sockets.filter(|_| !self.far);
        Client::connect(&file).await
    }

    /// An engine that runs Rust.
    pub async fn rust_engine(&self, uuid: &str) -> Engine {
        Engine::join_as(self.controller.engine_file(), uuid, true).await
    }

    pub async fn engine(&self, uuid: &str) -> Engine {
        let mut file = self.controller.engine_file().clone();
        file.phalanx_sockets = file.phalanx_sockets.filter(|_| !self.far);
        Engine::join(&file, uuid).await
    }
}
