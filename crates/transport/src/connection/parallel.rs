//! ipyparallel's connection files: `ipcontroller-client.json` and `ipcontroller-engine.json`.

use super::file::{self, ConnectionFileError};
use super::tunnel::{Tunnel, TunnelError};
use crate::socket::{Endpoint, EndpointError};
use crate::wire::{KeyError, SigningKey};
use phalanx_sys::machine::host_name;
use phalanx_sys::temporary::is_abandoned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment variable in which ipyparallel's launchers pass the JSON of an engine's file.
pub const ENGINE_ENVIRONMENT: &str = "IPP_CONNECTION_INFO";

/// The environment variable that sets the time, in seconds, for which an engine or a client tries
/// to reach a lost controller.
pub const UNREACHABLE_ENVIRONMENT: &str = "PHALANX_UNREACHABLE";

fn json() -> String {
    "json".to_owned()
}

fn sha256() -> String {
    "hmac-sha256".to_owned()
}

fn leastload() -> String {
    "leastload".to_owned()
}

/// Replaces an address that stands for all interfaces by the location, as ipyparallel's
/// `disambiguate_url` does.
fn reached_at(endpoint: Endpoint, location: &str) -> Endpoint {
    match endpoint {
        Endpoint::Tcp { host, port } if matches!(host.as_str(), "0.0.0.0" | "*" | "::") => {
            let here = host_name() == location;
            let host = if here || location.is_empty() {
                "127.0.0.1".to_owned()
            } else {
                location.to_owned()
            };
            Endpoint::Tcp { host, port }
        }
        other => other,
    }
}

/// The Unix sockets of a controller, which replace its ports on the same machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalSockets {
    /// The host name of their machine.
    pub host: String,
    /// The paths, by port.
    pub paths: BTreeMap<u16, PathBuf>,
}

impl LocalSockets {
    /// Describes sockets of this machine.
    pub fn of_this_host(paths: BTreeMap<u16, PathBuf>) -> Self {
        Self {
            host: host_name(),
            paths,
        }
    }

    /// Returns true if they were on this machine and their owner has ended.
    pub fn are_gone(&self) -> bool {
        let folder = self.paths.values().next().and_then(|path| path.parent());
        let gone = folder.is_some_and(|folder| !folder.exists() || is_abandoned(folder));
        self.host == host_name() && gone
    }

    /// Returns true if they are on this machine and their owner is alive.
    fn are_here(&self) -> bool {
        self.paths.keys().any(|port| self.of(*port).is_some())
    }

    /// Returns the socket of a port, if it can be reached from here.
    fn of(&self, port: u16) -> Option<PathBuf> {
        let path = self.paths.get(&port)?;
        // A killed controller leaves sockets that nothing listens on.
        let folder = path.parent()?;
        let is_there = self.host == host_name() && path.exists() && !is_abandoned(folder);
        is_there.then(|| path.clone())
    }
}

/// The interface of a file whose ports can only be reached by Unix sockets.
pub const UNREACHABLE_INTERFACE: &str = "ipc:///nonexistent/phalanx";

/// Formats an endpoint as a target of `ssh`; `None` unless it is a TCP endpoint.
fn target(endpoint: &Endpoint) -> Option<String> {
    match endpoint {
        Endpoint::Tcp { host, port } if host.contains(':') => Some(format!("[{host}]:{port}")),
        Endpoint::Tcp { host, port } => Some(format!("{host}:{port}")),
        Endpoint::Ipc(_) | Endpoint::Memory { .. } => None,
    }
}

macro_rules! connection_file {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $(@default($default:literal))? $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// The SSH server to tunnel through; empty for none.
            #[serde(default)]
            pub ssh: String,
            /// `tcp://address`, `ipc://path` or `memory://name`; forms an endpoint together with a
            /// port.
            pub interface: String,
            /// Port for registration and queries.
            pub registration: u16,
            $($(#[$field_doc])* $(#[serde(default = $default)])? pub $field: $type,)*
            /// The key that signs messages; empty for unsigned ones.
            pub key: String,
            /// The key of CurveZMQ, which is not supported.
            #[serde(default)]
            pub curve_serverkey: Option<String>,
            /// The controller's host name.
            #[serde(default)]
            pub location: String,
            /// The serialization format of outgoing messages; `json`.
            #[serde(default = "json")]
            pub pack: String,
            /// The serialization format of incoming messages; `json`.
            #[serde(default = "json")]
            pub unpack: String,
            /// `hmac-sha256`, …
            #[serde(default = "sha256")]
            pub signature_scheme: String,
            /// The Unix sockets for peers on the controller's machine; an extension of Phalanx.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub phalanx_sockets: Option<LocalSockets>,
            /// True if the next controller is to reuse key and ports; an extension of Phalanx.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub phalanx_reuse: bool,
        }

        impl $name {
            /// Reads a file.
            ///
            /// # Errors
            /// Returns an error if the file cannot be read, is malformed, or requires a feature
            /// that is not supported.
            pub fn read(path: &Path) -> Result<Self, ConnectionFileError> {
                let file: Self = file::read(path)?;
                file.supported()
            }

            /// Parses the text of a file.
            ///
            /// # Errors
            /// Returns an error if the text is malformed or requires a feature that is not
            /// supported.
            pub fn from_json(text: &str) -> Result<Self, ConnectionFileError> {
                let file: Self = serde_json::from_str(text).map_err(|error| {
                    ConnectionFileError::Malformed { path: "the given text".into(), error }
                })?;
                file.supported()
            }

            /// Writes the file, readable by its owner alone.
            ///
            /// # Errors
            /// Returns an error if the file cannot be written.
            pub fn write(&self, path: &Path) -> Result<(), ConnectionFileError> {
                file::write(path, self)
            }

            /// Returns the endpoint of a port. A controller that listens on all interfaces is
            /// reached at its location, one on this machine by its Unix sockets.
            ///
            /// # Errors
            /// Returns an error if the interface is malformed.
            pub fn endpoint(&self, port: u16) -> Result<Endpoint, EndpointError> {
                let sockets = self.phalanx_sockets.as_ref();
                if let Some(path) = sockets.and_then(|sockets| sockets.of(port)) {
                    return Ok(Endpoint::Ipc(path));
                }
                self.network_endpoint(port)
            }

            /// Returns the endpoint of a port for peers on other machines.
            ///
            /// # Errors
            /// Returns an error if the interface is malformed.
            pub fn network_endpoint(&self, port: u16) -> Result<Endpoint, EndpointError> {
                Ok(reached_at(Endpoint::of(&self.interface, port)?, &self.location))
            }

            /// Returns the file for use on this machine: if it names an SSH server, ports are
            /// reached through the returned tunnel, which is closed when it is dropped.
            ///
            /// # Errors
            /// Returns an error if the tunnel cannot be opened.
            pub async fn tunnelled(&self) -> Result<(Self, Option<Tunnel>), TunnelError> {
                let is_here = self.phalanx_sockets.as_ref().is_some_and(LocalSockets::are_here);
                if self.ssh.is_empty() || is_here {
                    return Ok((self.clone(), None));
                }
                let target = |port| Some((port, target(&self.network_endpoint(port).ok()?)?));
                let targets = self.ports().into_iter().filter_map(target).collect();
                let tunnel = Tunnel::open(&self.ssh, &targets).await?;
                let file = Self {
                    ssh: String::new(),
                    // Prevents direct connections: another program may listen on the same port
                    // here.
                    interface: UNREACHABLE_INTERFACE.to_owned(),
                    phalanx_sockets: Some(tunnel.sockets()),
                    ..self.clone()
                };
                Ok((file, Some(tunnel)))
            }

            /// Returns the key that signs messages.
            ///
            /// # Errors
            /// Returns an error if the signature scheme is not supported.
            pub fn signing_key(&self) -> Result<SigningKey, KeyError> {
                SigningKey::from_file(&self.signature_scheme, &self.key)
            }

            fn supported(self) -> Result<Self, ConnectionFileError> {
                if self.curve_serverkey.is_some() {
                    return Err(ConnectionFileError::Unsupported("CurveZMQ (`curve_serverkey`)".into()));
                }
                if self.pack != "json" || self.unpack != "json" {
                    return Err(ConnectionFileError::Unsupported(format!("packer `{}`", self.pack)));
                }
                self.signing_key().map_err(|error| ConnectionFileError::Unsupported(error.to_string()))?;
                self.endpoint(self.registration)
                    .map_err(|error| ConnectionFileError::Unsupported(error.to_string()))?;
                Ok(self)
            }
        }
    };
}

connection_file! {
    /// `ipcontroller-client.json`, the connection file of clients.
    ClientConnectionFile {
        /// Port of the control channel.
        control: u16,
        /// Port of direct requests.
        mux: u16,
        /// Port of the task scheduler.
        task: u16,
        /// The scheduling scheme: `leastload`, `lru`, …
        @default("leastload") task_scheme: String,
        /// Port on which the engines' output is published.
        iopub: u16,
        /// Port on which registrations and deaths of engines are published.
        notification: u16,
        /// Port of the broadcast scheduler.
        broadcast: u16,
    }
}

connection_file! {
    /// `ipcontroller-engine.json`, the connection file of engines.
    EngineConnectionFile {
        /// Port of the control channel.
        control: u16,
        /// Port of direct requests.
        mux: u16,
        /// Port of the task scheduler.
        task: u16,
        /// Port the engine publishes to.
        iopub: u16,
        /// Port on which heartbeats are published.
        hb_ping: u16,
        /// Port to which heartbeats are returned.
        hb_pong: u16,
        /// Ports of the broadcast scheduler's leaves; an engine uses the one at `id % len`.
        broadcast: Vec<u16>,
    }
}

impl ClientConnectionFile {
    /// Returns all ports, in no particular order.
    pub fn ports(&self) -> Vec<u16> {
        vec![
            self.registration,
            self.control,
            self.mux,
            self.task,
            self.iopub,
            self.notification,
            self.broadcast,
        ]
    }
}

impl EngineConnectionFile {
    /// Returns all ports, in no particular order.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports = vec![
            self.registration,
            self.control,
            self.mux,
            self.task,
            self.iopub,
            self.hb_ping,
            self.hb_pong,
        ];
        ports.extend(&self.broadcast);
        ports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const CLIENT: &str = r#"{"ssh": "", "interface": "tcp://127.0.0.1", "registration": 46345,
        "control": 57793, "mux": 35479, "task": 50535, "task_scheme": "leastload", "iopub": 39715,
        "notification": 49305, "broadcast": 55471, "key": "c1fe7ca2-68640906d21e05f8a6c46ab3",
        "curve_serverkey": null, "location": "vm", "pack": "json", "unpack": "json",
        "signature_scheme": "hmac-sha256"}"#;

    #[test]
    fn a_recorded_client_file_is_read_and_written_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security/client.json");
        let file = ClientConnectionFile::from_json(CLIENT).unwrap();
        assert_eq!(
            file.endpoint(file.mux).unwrap().to_string(),
            "tcp://127.0.0.1:35479"
        );
        file.write(&path).unwrap();
        file.write(&path).unwrap();
        assert_eq!(ClientConnectionFile::read(&path).unwrap(), file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing but the file");
    }

    #[test]
    fn an_engine_file_may_omit_keys_with_defaults() {
        let file = EngineConnectionFile::from_json(
            r#"{"interface": "tcp://127.0.0.1", "registration": 1, "control": 2, "mux": 3, "task": 4,
                "iopub": 5, "hb_ping": 6, "hb_pong": 7, "broadcast": [8, 9], "key": "", "more": 1}"#,
        )
        .unwrap();
        assert_eq!((file.pack.as_str(), file.broadcast.len()), ("json", 2));
    }

    #[test]
    fn unsupported_settings_are_reported() {
        for (from, to, named) in [
            (
                "\"curve_serverkey\": null",
                "\"curve_serverkey\": \"x\"",
                "CurveZMQ",
            ),
            ("\"pack\": \"json\"", "\"pack\": \"pickle\"", "pickle"),
            ("hmac-sha256", "hmac-md5", "hmac-md5"),
            ("tcp://", "udp://", "udp"),
            ("\"mux\"", "\"mix\"", "mux"),
        ] {
            let error = ClientConnectionFile::from_json(&CLIENT.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn a_controller_that_listens_everywhere_is_reached_at_its_location() {
        for (interface, location, expected) in [
            ("tcp://0.0.0.0", "elsewhere", "tcp://elsewhere:5"),
            ("tcp://*", "", "tcp://127.0.0.1:5"),
            ("tcp://10.0.0.1", "elsewhere", "tcp://10.0.0.1:5"),
        ] {
            let text = CLIENT
                .replace("tcp://127.0.0.1", interface)
                .replace("\"vm\"", &format!("{location:?}"));
            let file = ClientConnectionFile::from_json(&text).unwrap();
            assert_eq!(file.endpoint(5).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = ClientConnectionFile::read(Path::new("/nowhere/client.json")).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/client.json"),
            "{error}"
        );
    }

    #[test]
    fn local_peers_use_the_unix_socket_of_a_port() {
        let mut file = ClientConnectionFile::from_json(CLIENT).unwrap();
        let network = file.endpoint(file.mux).unwrap();
        assert!(matches!(network, Endpoint::Tcp { .. }));
        let folder = tempfile::tempdir().unwrap();
        let [there, gone] = ["there", "gone"].map(|name| folder.path().join(name));
        std::fs::write(&there, "").unwrap();
        let paths = [(file.mux, there.clone()), (file.task, gone)];
        file.phalanx_sockets = Some(LocalSockets::of_this_host(paths.into()));
        let text = serde_json::to_string(&file).unwrap();
        let mut file = ClientConnectionFile::from_json(&text).unwrap();
        assert_eq!(file.endpoint(file.mux), Ok(Endpoint::Ipc(there)));
        for port in [file.task, file.iopub] {
            assert!(matches!(file.endpoint(port), Ok(Endpoint::Tcp { .. })));
        }
        let sockets = file.phalanx_sockets.as_mut().unwrap();
        sockets.host = "another".to_owned();
        assert_eq!(file.endpoint(file.mux), Ok(network));
    }
}
