//! The sockets of a controller: bound, and written to the connection files.

use super::incoming::{Incoming, ServerSocket};
use super::iopub::IopubRelay;
use crate::config::ControllerConfig;
use crate::earlier::EarlierFiles;
use crate::error::StartError;
use phalanx_sys::machine::host_name;
use phalanx_transport::connection::LocalSockets;
use phalanx_transport::{
    ClientConnectionFile, Endpoint, EngineConnectionFile, ReadControl, Sender, Session, Socket,
    SocketKind, SocketOptions,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// The maximum number of messages in the queue of one peer. The server never blocks, so this limits
/// the requests of a client that an engine has not read.
const BACKLOG_MESSAGES: usize = 50_000;
/// The maximum size in bytes of the queue of one peer.
const BACKLOG_BYTES: usize = 1 << 30;

/// The maximum size in bytes of unread messages with load-balanced tasks, and the largest fraction of
/// the size of waiting tasks. Little, since a client that floods is paused only after its messages
/// have been read.
const TASK_INBOX: (usize, usize) = (4 << 20, 64);

/// All bound sockets. Of a pair, the first is for clients, the second for engines.
pub struct Channels {
    registration: Socket,
    mux: [Socket; 2],
    task: [Socket; 2],
    /// Of the socket for clients' load-balanced tasks.
    task_clients: ReadControl,
    control: [Socket; 2],
    broadcast: [Socket; 2],
    iopub: [Socket; 2],
    notification: Socket,
    ping: Socket,
    pong: Socket,
}

/// Selects the port of a socket in the files of an earlier controller.
type EarlierPort = fn(&EarlierFiles) -> Option<u16>;

/// Binds sockets one by one.
struct Binder<'a> {
    interface: &'a str,
    before: Option<&'a EarlierFiles>,
    /// The remaining configured ports.
    ports: std::slice::Iter<'a, u16>,
    /// The next suffix for `ipc`, which has suffixes instead of ports.
    next: u16,
}

impl Binder<'_> {
    /// Binds a socket to the port it had in the earlier controller, or to another one.
    async fn bind(
        &mut self,
        kind: SocketKind,
        name: &str,
        had: EarlierPort,
    ) -> Result<Socket, StartError> {
        self.bind_with(kind, name, had, SocketOptions::default())
            .await
    }

    async fn bind_with(
        &mut self,
        kind: SocketKind,
        name: &str,
        had: EarlierPort,
        options: SocketOptions,
    ) -> Result<Socket, StartError> {
        self.next += 1;
        // Stock engines use ROUTER sockets too, and route their replies by these identities.
        let options = options
            .identity(name)
            .backlog(BACKLOG_MESSAGES, BACKLOG_BYTES);
        let port = match self.before {
            _ if self.interface.starts_with("ipc://") => self.next,
            Some(before) => had(before).unwrap_or(0),
            None => {
                for port in self.ports.by_ref() {
                    let endpoint = Endpoint::of(self.interface, *port)?;
                    match Socket::bind(kind, &endpoint, options.clone()).await {
                        Ok(socket) => return Ok(socket),
                        Err(error) => tracing::debug!(%error, port, "the next port is taken"),
                    }
                }
                0
            }
        };
        let endpoint = Endpoint::of(self.interface, port)?;
        Ok(Socket::bind(kind, &endpoint, options).await?)
    }

    async fn routers(
        &mut self,
        [client, engine]: [&str; 2],
        had: [EarlierPort; 2],
    ) -> Result<[Socket; 2], StartError> {
        Ok([
            self.bind(SocketKind::Router, client, had[0]).await?,
            self.bind(SocketKind::Router, engine, had[1]).await?,
        ])
    }
}

impl Channels {
    pub async fn bind(
        config: &ControllerConfig,
        before: Option<&EarlierFiles>,
    ) -> Result<Self, StartError> {
        let mut binder = Binder {
            interface: &config.interface,
            before,
            ports: config.ports.iter(),
            next: 0,
        };
        let task_clients = ReadControl::default();
        let task_options = SocketOptions::default()
            .read_control(&task_clients)
            .inbox(TASK_INBOX.0.min(config.queued_bytes / TASK_INBOX.1));
        let router = SocketKind::Router;
        Ok(Self {
            registration: binder
                .bind(SocketKind::Router, "registration", |b| {
                    Some(b.client.registration)
                })
                .await?,
            mux: binder
                .routers(
                    ["mux_in", "mux_out"],
                    [|b| Some(b.client.mux), |b| Some(b.engine.mux)],
                )
                .await?,
            task: [
                binder
                    .bind_with(router, "task_in", |b| Some(b.client.task), task_options)
                    .await?,
                binder
                    .bind(router, "task_out", |b| Some(b.engine.task))
                    .await?,
            ],
            task_clients,
            control: binder
                .routers(
                    ["control_in", "control_out"],
                    [|b| Some(b.client.control), |b| Some(b.engine.control)],
                )
                .await?,
            broadcast: binder
                .routers(
                    ["sub_scheduler_0", "leaf_scheduler_0"],
                    [
                        |b| Some(b.client.broadcast),
                        |b| b.engine.broadcast.first().copied(),
                    ],
                )
                .await?,
            iopub: [
                binder
                    .bind(SocketKind::Pub, "iopub_out", |b| Some(b.client.iopub))
                    .await?,
                binder
                    .bind(SocketKind::Sub, "iopub_in", |b| Some(b.engine.iopub))
                    .await?,
            ],
            notification: binder
                .bind(SocketKind::Pub, "notification", |b| {
                    Some(b.client.notification)
                })
                .await?,
            ping: binder
                .bind(SocketKind::Pub, "hb_ping", |b| Some(b.engine.hb_ping))
                .await?,
            pong: binder
                .bind(SocketKind::Router, "hb_pong", |b| Some(b.engine.hb_pong))
                .await?,
        })
    }

    /// Builds the connection files for clients and engines.
    pub fn files(
        &self,
        config: &ControllerConfig,
        session: &Session,
    ) -> (ClientConnectionFile, EngineConnectionFile) {
        let [client, engine] = [0, 1];
        let location = config.location.clone().unwrap_or_else(host_name);
        let key = session.key().secret().to_owned();
        let signature_scheme = session.key().scheme().as_str().to_owned();
        let interface = config.interface.clone();
        (
            ClientConnectionFile {
                ssh: config.ssh.clone(),
                interface: interface.clone(),
                registration: port(&self.registration),
                control: port(&self.control[client]),
                mux: port(&self.mux[client]),
                task: port(&self.task[client]),
                task_scheme: config.scheme.as_str().to_owned(),
                iopub: port(&self.iopub[client]),
                notification: port(&self.notification),
                broadcast: port(&self.broadcast[client]),
                key: key.clone(),
                curve_serverkey: None,
                location: location.clone(),
                pack: "json".to_owned(),
                unpack: "json".to_owned(),
                signature_scheme: signature_scheme.clone(),
                phalanx_sockets: self.shortcuts(client),
                phalanx_reuse: config.reuse,
            },
            EngineConnectionFile {
                ssh: config.engine_ssh.clone(),
                interface,
                registration: port(&self.registration),
                control: port(&self.control[engine]),
                mux: port(&self.mux[engine]),
                task: port(&self.task[engine]),
                iopub: port(&self.iopub[engine]),
                hb_ping: port(&self.ping),
                hb_pong: port(&self.pong),
                broadcast: vec![port(&self.broadcast[engine])],
                key,
                curve_serverkey: None,
                location,
                pack: "json".to_owned(),
                unpack: "json".to_owned(),
                signature_scheme,
                phalanx_sockets: self.shortcuts(engine),
                phalanx_reuse: config.reuse,
            },
        )
    }

    /// The local sockets to which peers on this machine may connect instead of ports.
    fn shortcuts(&self, side: usize) -> Option<LocalSockets> {
        let mut sockets = vec![&self.registration];
        for pair in [
            &self.mux,
            &self.task,
            &self.control,
            &self.broadcast,
            &self.iopub,
        ] {
            sockets.push(&pair[side]);
        }
        sockets.extend([&self.notification, &self.ping, &self.pong]);
        let path = |socket: &Socket| Some((port(socket), socket.shortcut()?.to_owned()));
        let paths: BTreeMap<_, _> = sockets.into_iter().filter_map(path).collect();
        (!paths.is_empty()).then(|| LocalSockets::of_this_host(paths))
    }

    pub fn split(self) -> (Senders, Incoming, IopubRelay) {
        let (registration, registration_in) = self.registration.split();
        let (mux, mux_in) = both(self.mux);
        let (task, task_in) = both(self.task);
        let (control, control_in) = both(self.control);
        let (broadcast, broadcast_in) = both(self.broadcast);
        let (notification, notification_in) = self.notification.split();
        let (ping, ping_in) = self.ping.split();
        let (pong, pong_in) = self.pong.split();
        let [iopub_out, iopub_in] = self.iopub;
        let iopub = IopubRelay::new(iopub_out, iopub_in);
        let senders = Senders {
            iopub: iopub.sender(),
            registration,
            mux,
            task,
            task_clients: self.task_clients,
            control,
            broadcast,
            notification,
            ping,
            pong,
        };
        let incoming = Incoming {
            registration: registration_in,
            mux: mux_in,
            task: task_in,
            control: control_in,
            broadcast: broadcast_in,
            notification: notification_in,
            ping: ping_in,
            pong: pong_in,
        };
        (senders, incoming, iopub)
    }
}

fn both([client, engine]: [Socket; 2]) -> ([Sender; 2], [phalanx_transport::Receiver; 2]) {
    let (client_out, client_in) = client.split();
    let (engine_out, engine_in) = engine.split();
    ([client_out, engine_out], [client_in, engine_in])
}

/// The port in an address; for `ipc` the suffix of the path.
fn port(socket: &Socket) -> u16 {
    match socket.endpoint() {
        Endpoint::Ipc(path) => {
            let suffix = path.to_string_lossy();
            let suffix = suffix.rsplit('-').next().map(str::to_owned);
            suffix.and_then(|suffix| suffix.parse().ok()).unwrap_or(0)
        }
        endpoint => endpoint.port().unwrap_or(0),
    }
}

/// The ports in an engine's connection file, as contained in registration replies.
pub fn ports(file: &EngineConnectionFile) -> serde_json::Value {
    json!({
        "interface": file.interface, "registration": file.registration, "control": file.control,
        "mux": file.mux, "task": file.task, "iopub": file.iopub, "hb_ping": file.hb_ping,
        "hb_pong": file.hb_pong, "broadcast": file.broadcast,
    })
}

/// The sending halves. Of a pair, the first is for clients, the second for engines.
pub struct Senders {
    pub registration: Sender,
    pub mux: [Sender; 2],
    pub task: [Sender; 2],
    pub task_clients: ReadControl,
    pub control: [Sender; 2],
    pub broadcast: [Sender; 2],
    pub iopub: Sender,
    pub notification: Sender,
    pub ping: Sender,
    pub pong: Sender,
}

impl Senders {
    /// The sender of a socket.
    pub fn of(&self, port: ServerSocket) -> &Sender {
        match port {
            ServerSocket::Registration => &self.registration,
            ServerSocket::MuxClient => &self.mux[0],
            ServerSocket::MuxEngine => &self.mux[1],
            ServerSocket::TaskClient => &self.task[0],
            ServerSocket::TaskEngine => &self.task[1],
            ServerSocket::ControlClient => &self.control[0],
            ServerSocket::ControlEngine => &self.control[1],
            ServerSocket::BroadcastClient => &self.broadcast[0],
            ServerSocket::BroadcastEngine => &self.broadcast[1],
            ServerSocket::Ping => &self.ping,
            ServerSocket::Pong => &self.pong,
            ServerSocket::Notification => &self.notification,
        }
    }

    /// Closes all sockets once sent messages are flushed, at the latest after `limit`.
    pub async fn close(self, limit: Duration) {
        let mut closing = JoinSet::new();
        let pairs = [self.mux, self.task, self.control, self.broadcast];
        let single = [
            self.registration,
            self.iopub,
            self.notification,
            self.ping,
            self.pong,
        ];
        for sender in pairs.into_iter().flatten().chain(single) {
            closing.spawn(async move {
                if let Err(error) = sender.close(limit).await {
                    tracing::debug!(%error, "at the end");
                }
            });
        }
        closing.join_all().await;
    }
}
