//! The receiving halves of the sockets, and the next message of any.

use phalanx_transport::{Event, Receiver};

/// A socket of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerSocket {
    /// Registration and queries.
    Registration,
    /// Direct requests.
    MuxClient,
    /// Replies to direct requests.
    MuxEngine,
    /// Load-balanced tasks.
    TaskClient,
    /// Replies to load-balanced tasks.
    TaskEngine,
    /// Abort, signals, shutdown.
    ControlClient,
    /// Replies to control requests.
    ControlEngine,
    /// Broadcasts.
    BroadcastClient,
    /// Replies to broadcasts.
    BroadcastEngine,
    /// Outgoing heartbeats.
    Ping,
    /// Returned heartbeats.
    Pong,
    /// Notifications of engines that join and leave.
    Notification,
}

/// The receiving halves of all sockets but iopub's.
pub struct Incoming {
    pub registration: Receiver,
    pub mux: [Receiver; 2],
    pub task: [Receiver; 2],
    pub control: [Receiver; 2],
    pub broadcast: [Receiver; 2],
    pub ping: Receiver,
    pub pong: Receiver,
    pub notification: Receiver,
}

impl Incoming {
    /// Waits for the next message on any of them; on the task socket only with `tasks`. Cancel
    /// safe.
    pub async fn next(&mut self, tasks: bool) -> (ServerSocket, Event) {
        let [mux_client, mux_engine] = &mut self.mux;
        let [task_client, task_engine] = &mut self.task;
        let [control_client, control_engine] = &mut self.control;
        let [broadcast_client, broadcast_engine] = &mut self.broadcast;
        tokio::select! {
            Some(event) = self.registration.recv() => (ServerSocket::Registration, event),
            Some(event) = mux_client.recv() => (ServerSocket::MuxClient, event),
            Some(event) = mux_engine.recv() => (ServerSocket::MuxEngine, event),
            Some(event) = task_client.recv(), if tasks => (ServerSocket::TaskClient, event),
            Some(event) = task_engine.recv() => (ServerSocket::TaskEngine, event),
            Some(event) = control_client.recv() => (ServerSocket::ControlClient, event),
            Some(event) = control_engine.recv() => (ServerSocket::ControlEngine, event),
            Some(event) = broadcast_client.recv() => (ServerSocket::BroadcastClient, event),
            Some(event) = broadcast_engine.recv() => (ServerSocket::BroadcastEngine, event),
            Some(event) = self.ping.recv() => (ServerSocket::Ping, event),
            Some(event) = self.pong.recv() => (ServerSocket::Pong, event),
            Some(event) = self.notification.recv() => (ServerSocket::Notification, event),
            else => std::future::pending().await,
        }
    }
}
