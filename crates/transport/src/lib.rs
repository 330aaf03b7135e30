//! Frames, signing, sockets and connection files: the only crate that uses ZeroMQ.
//!
//! | module | contents |
//! |---|---|
//! | [`wire`] | frames to signed messages and back: [`SigningKey`], [`RawMessage`], [`Envelope`], [`Session`] |
//! | [`socket`] | [`Socket`]: ROUTER, DEALER, PUB and SUB over `tcp://`, `ipc://` and `memory://` |
//! | [`connection`] | connection files: Jupyter's, and those of ipyparallel's clients and engines |
//! | [`log`] | the log of a program, and warnings that peers cannot flood |
//! | `deadline` | optional deadlines |
//!
//! ```
//! use phalanx_transport::{
//!     Endpoint, Envelope, Event, Session, SigningKey, Socket, SocketKind, SocketOptions,
//! };
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::new("user", SigningKey::sha256("secret"));
//!
//! // `memory://name:0` instead of `tcp://127.0.0.1:0` uses the in-memory transport.
//! let any_port: Endpoint = "tcp://127.0.0.1:0".parse()?;
//! let mut shell = Socket::bind(SocketKind::Router, &any_port, SocketOptions::default()).await?;
//! let named = SocketOptions::default().identity("client");
//! let mut client = Socket::connect(SocketKind::Dealer, shell.endpoint(), named).await?;
//!
//! let request = session.envelope("kernel_info_request", serde_json::json!({}), None);
//! client.send(request.seal(session.key())?).await?;
//!
//! let (request, reply) = loop {
//!     match shell.recv().await.ok_or("closed")? {
//!         Event::Message(frames) => {
//!             let request = Envelope::open(frames, session.key())?; // identities: ["client"]
//!             let reply = session.envelope("kernel_info_reply", serde_json::json!({"status": "ok"}), Some(&request));
//!             break (request, reply); // the reply has the same identities
//!         }
//!         Event::Connected(peer) => assert_eq!(peer.to_string(), "client"),
//!         _ => {}
//!     }
//! };
//! shell.send(reply.seal(session.key())?).await?;
//! let answer = client.recv_message().await.ok_or("closed")?;
//! assert_eq!(Envelope::open(answer, session.key())?.parent_header, Some(request.header));
//! shell.close(std::time::Duration::from_secs(1)).await?; // everything sent has left the process
//! # Ok(()) }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod connection;
mod deadline;
pub mod log;
pub mod socket;
pub mod wire;

pub use connection::{ClientConnectionFile, ConnectionFileError, EngineConnectionFile};
pub use deadline::until;
pub use phalanx_sys::throttle::Throttle;
pub use socket::{
    BindError, CloseError, ConnectError, Endpoint, Event, Frames, ReadControl, Receiver, RoutingId,
    SendError, Sender, Socket, SocketKind, SocketOptions,
};
pub use wire::{
    Envelope, RawMessage, ReplayGuard, Session, SignatureScheme, SigningKey, WireError,
};
