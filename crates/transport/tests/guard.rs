//! Peers that are hostile or do not read affect only themselves.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use phalanx_transport::{Endpoint, Event, SendError, Socket, SocketKind, SocketOptions};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far beyond the duration of any step.
const LIMIT: Duration = Duration::from_secs(90);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("nothing happened in time")
}

async fn bind(kind: SocketKind) -> Socket {
    let endpoint: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let options = SocketOptions::default().send_limit(Duration::from_millis(100));
    Socket::bind(kind, &endpoint, options).await.unwrap()
}

async fn connect(kind: SocketKind, to: &Socket, name: &str) -> Socket {
    let options = SocketOptions::default().identity(name);
    Socket::connect(kind, to.endpoint(), options).await.unwrap()
}

async fn until(socket: &mut Socket, wanted: Event) {
    soon(async { while socket.recv().await.expect("the socket is open") != wanted {} }).await;
}

/// Connects a peer that sends a valid greeting; the test sends the rest.
async fn raw(socket: &Socket, socket_type: &str, identity: &str) -> TcpStream {
    let port = socket.endpoint().port().unwrap();
    let mut peer = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    let mut ready = b"\x05READY".to_vec();
    for (name, value) in [("Socket-Type", socket_type), ("Identity", identity)] {
        ready.push(name.len() as u8);
        ready.extend(name.as_bytes());
        ready.extend((value.len() as u32).to_be_bytes());
        ready.extend(value.as_bytes());
    }
    let mut bytes = greeting.to_vec();
    bytes.extend([4, ready.len() as u8]);
    bytes.extend(ready);
    peer.write_all(&bytes).await.unwrap();
    peer
}

/// Without the guard, zeromq allocates the announced length and the process aborts.
#[tokio::test]
async fn an_excessive_length_ends_only_its_connection() {
    let mut router = bind(SocketKind::Router).await;
    let honest = connect(SocketKind::Dealer, &router, "honest").await;
    let mut hostile = raw(&router, "DEALER", "hostile").await;
    hostile.write_all(&[2]).await.unwrap();
    hostile
        .write_all(&(1u64 << 46).to_be_bytes())
        .await
        .unwrap();
    let mut rest = Vec::new();
    // Disconnected: the greeting, then the end of the stream.
    drop(soon(hostile.read_to_end(&mut rest)).await);
    honest
        .send(vec![Bytes::from_static(b"still there")])
        .await
        .unwrap();
    let message = soon(router.recv_message()).await.unwrap();
    assert_eq!(message, ["honest", "still there"]);
}

/// zeromq's XPUB writes each message to one subscriber after the other and waits for each of them.
#[tokio::test]
async fn a_subscriber_that_does_not_read_is_disconnected_and_the_others_receive_everything() {
    const MESSAGES: usize = 150;
    let mut publisher = bind(SocketKind::Pub).await;
    let mut idle = raw(&publisher, "SUB", "idle").await;
    idle.write_all(&[0, 1, 1]).await.unwrap();
    until(&mut publisher, Event::Subscribed(Bytes::new())).await;
    let mut reader = connect(SocketKind::Sub, &publisher, "reader").await;
    until(&mut publisher, Event::Subscribed(Bytes::new())).await;
    let read = tokio::spawn(async move {
        for n in 0..MESSAGES {
            let message = soon(reader.recv_message()).await.unwrap();
            assert_eq!(message[0], n.to_string());
        }
    });
    let large = Bytes::from(vec![0; 1 << 20]);
    for n in 0..MESSAGES {
        let message = vec![Bytes::from(n.to_string()), large.clone()];
        soon(async { while publisher.send(message.clone()).await.is_err() {} }).await;
    }
    read.await.unwrap();
    // Everything sent before it was disconnected, and no more.
    let mut seen = 0;
    let mut chunk = vec![0; 1 << 20];
    while let Ok(count @ 1..) = soon(idle.read(&mut chunk)).await {
        seen += count;
    }
    assert!(seen < MESSAGES << 20, "{seen}");
}

/// zeromq queues 100,000 messages of any size for such a peer, then blocks for all of them.
#[tokio::test]
async fn sends_to_a_peer_that_does_not_read_fail_and_the_others_are_served() {
    let mut router = bind(SocketKind::Router).await;
    let _idle = raw(&router, "DEALER", "idle").await;
    until(&mut router, Event::Connected("idle".into())).await;
    let mut reader = connect(SocketKind::Dealer, &router, "reader").await;
    until(&mut router, Event::Connected("reader".into())).await;
    let large = Bytes::from(vec![0; 1 << 20]);
    let refused = soon(async {
        loop {
            let message = vec![Bytes::from_static(b"idle"), large.clone()];
            if let Err(error) = router.send(message).await {
                return error;
            }
        }
    })
    .await;
    assert!(
        matches!(&refused, SendError::Stalled { peer, .. } if *peer == "idle".into()),
        "{refused}"
    );
    let message = vec![Bytes::from_static(b"reader"), Bytes::from_static(b"x")];
    router.send(message).await.unwrap();
    assert_eq!(soon(reader.recv_message()).await.unwrap(), ["x"]);
}

/// zeromq's XPUB keeps its connections open after a drop, so that closing would take its whole time
/// limit.
#[tokio::test]
async fn a_publisher_closes_once_everything_is_sent() {
    let mut publisher = bind(SocketKind::Pub).await;
    let mut subscriber = connect(SocketKind::Sub, &publisher, "subscriber").await;
    until(&mut publisher, Event::Subscribed(Bytes::new())).await;
    let message = vec![Bytes::from_static(b"topic"), Bytes::from_static(b"last")];
    publisher.send(message.clone()).await.unwrap();
    // Only a failing test would reach the limit.
    publisher.close(LIMIT).await.unwrap();
    assert_eq!(soon(subscriber.recv_message()).await, Some(message));
}

/// Each one costs a descriptor that a peer may need.
#[tokio::test]
async fn a_connection_without_a_complete_handshake_is_closed() {
    let endpoint: Endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let options = SocketOptions::default().greeting_limit(Duration::from_millis(200));
    let mut router = Socket::bind(SocketKind::Router, &endpoint, options)
        .await
        .unwrap();
    let port = router.endpoint().port().unwrap();
    let honest = connect(SocketKind::Dealer, &router, "honest").await;
    for said in [&b""[..], b"\xff\0\0\0\0\0\0\0\x01\x7f"] {
        let mut silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        silent.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        // The greeting, then the end of the stream.
        drop(soon(silent.read_to_end(&mut rest)).await);
    }
    // A peer that has completed its handshake may be silent for any time.
    honest
        .send(vec![Bytes::from_static(b"here")])
        .await
        .unwrap();
    assert_eq!(
        soon(router.recv_message()).await.unwrap(),
        ["honest", "here"]
    );
}
