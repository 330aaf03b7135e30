use crate::client::Client;
use crate::engine::Engine;
use phalanx_controller::{Controller, ControllerConfig};
use std::time::Duration;

/// A timeout far beyond the duration of any test.
pub const LIMIT: Duration = Duration::from_secs(60);

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("nothing happened in time")
}

/// The way by which a client reaches the controller.
#[derive(Clone, Copy, Debug)]
pub enum Route {
    /// TCP, as from another machine.
    Network,
    /// A Unix socket, as from another process.
    Unix,
    /// Memory, as in the same process.
    Memory,
}

pub struct Cluster {
    pub controller: Controller,
    /// True if its peers connect as peers on other machines do.
    far: bool,
    _folder: tempfile::TempDir,
}

/// Starts a controller on each transport. Heartbeats are too rare to affect the tests.
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
    /// Starts a controller over TCP.
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

    pub async fn client_by(&self, route: Route) -> Client {
        let mut file = self.controller.client_file().clone();
        if let Some(sockets) = &mut file.phalanx_sockets {
            match route {
                Route::Network => sockets.host = "another".to_owned(),
                // Another name of each, by which it is not found in this process.
                Route::Unix => {
                    for path in sockets.paths.values_mut() {
                        *path = path
                            .parent()
                            .unwrap()
                            .join(".")
                            .join(path.file_name().unwrap());
                    }
                }
                Route::Memory => {}
            }
        }
        Client::connect(&file).await
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
