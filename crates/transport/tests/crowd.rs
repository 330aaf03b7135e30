//! Any number of silent connections leaves room for real peers. Runs in a process of its own, with
//! a low limit on open files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use phalanx_transport::socket::GREETING_LIMIT;
use phalanx_transport::{Endpoint, Socket, SocketKind, SocketOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The limit on open files; an eighth is for connections of one address without a handshake.
const FILES: u64 = 512;

/// The number of silent connections, each of which takes a file on both sides.
const SILENT: usize = 200;

#[tokio::test]
async fn the_oldest_silent_connections_are_dropped_for_new_ones() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = Some(FILES);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let endpoint: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let options = SocketOptions::default();
    let mut router = Socket::bind(SocketKind::Router, &endpoint, options)
        .await
        .unwrap();
    let port = router.endpoint().port().unwrap();
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let options = SocketOptions::default().identity("honest");
    let honest = Socket::connect(SocketKind::Dealer, router.endpoint(), options);
    let honest = honest.await.unwrap();
    let message = vec![Bytes::from_static(b"here")];
    honest.send(message).await.unwrap();
    let received = tokio::time::timeout(GREETING_LIMIT, router.recv_message()).await;
    assert_eq!(received.unwrap().unwrap(), ["honest", "here"]);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(GREETING_LIMIT, silent[0].read_to_end(&mut rest)).await;
    ended.unwrap().unwrap();
    // It was disconnected without a greeting, and before the time limit of the handshake.
    assert!(rest.is_empty() && began.elapsed() < GREETING_LIMIT);
}
