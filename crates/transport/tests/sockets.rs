//! Behaviour of all sockets, over TCP, Unix sockets and memory.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use phalanx_transport::{Endpoint, Event, Frames, SendError, Socket, SocketKind, SocketOptions};
use std::time::Duration;

/// Far beyond the duration of any step.
const LIMIT: Duration = Duration::from_secs(60);

struct TestEndpoints {
    _folder: tempfile::TempDir,
    endpoints: Vec<Endpoint>,
}

/// Returns a free endpoint of each transport.
fn test_endpoints(test: &str) -> TestEndpoints {
    let folder = tempfile::tempdir().unwrap();
    TestEndpoints {
        endpoints: vec![
            "tcp://127.0.0.1:0".parse().unwrap(),
            Endpoint::Ipc(folder.path().join("socket")),
            format!("memory://{test}:0").parse().unwrap(),
        ],
        _folder: folder,
    }
}

fn frames(parts: &[&str]) -> Frames {
    parts
        .iter()
        .map(|part| Bytes::copy_from_slice(part.as_bytes()))
        .collect()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("nothing happened in time")
}

async fn until(socket: &mut Socket, wanted: impl Fn(&Event) -> bool) -> Event {
    soon(async {
        loop {
            let event = socket.recv().await.expect("the socket is open");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
}

async fn bind(kind: SocketKind, endpoint: &Endpoint) -> Socket {
    Socket::bind(kind, endpoint, SocketOptions::default())
        .await
        .unwrap()
}

async fn connect(kind: SocketKind, to: &Socket, name: &str) -> Socket {
    let options = SocketOptions::default().identity(name);
    Socket::connect(kind, to.endpoint(), options).await.unwrap()
}

#[tokio::test]
async fn messages_are_routed_by_identity() {
    for endpoint in test_endpoints("messages").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let mut a = connect(SocketKind::Dealer, &router, "a").await;
        let mut b = connect(SocketKind::Dealer, &router, "b").await;
        a.send(frames(&["from a", ""])).await.unwrap();
        b.send(frames(&["from b"])).await.unwrap();
        for _ in 0..2 {
            let got = soon(router.recv_message()).await.unwrap();
            assert_eq!(got[1], Bytes::from([b"from ", &got[0][..]].concat()));
            router.send(got).await.unwrap();
        }
        assert_eq!(
            soon(a.recv_message()).await.unwrap(),
            frames(&["from a", ""])
        );
        assert_eq!(soon(b.recv_message()).await.unwrap(), frames(&["from b"]));
        router.send(frames(&["nobody", "x"])).await.unwrap();
        assert_eq!(router.send(frames(&["a"])).await, Err(SendError::Empty));
    }
}

#[tokio::test]
async fn messages_of_a_peer_precede_its_disconnection() {
    for endpoint in test_endpoints("ends").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let peer = connect(SocketKind::Dealer, &router, "peer").await;
        for n in 0..500 {
            peer.send(frames(&[&n.to_string()])).await.unwrap();
        }
        peer.close(LIMIT).await.unwrap();
        let mut seen = 0;
        let end = until(&mut router, |event| {
            matches!(event, Event::Disconnected(_)) || matches!(event, Event::Message(_))
        });
        let mut event = end.await;
        while let Event::Message(_) = event {
            seen += 1;
            event = until(&mut router, |event| !matches!(event, Event::Connected(_))).await;
        }
        assert_eq!((seen, event), (500, Event::Disconnected("peer".into())));
    }
}

#[tokio::test]
async fn a_dropped_socket_disconnects_its_peer() {
    for endpoint in test_endpoints("dropped").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let peer = connect(SocketKind::Dealer, &router, "peer").await;
        until(&mut router, |event| matches!(event, Event::Connected(_))).await;
        drop(peer);
        let gone = Event::Disconnected("peer".into());
        until(&mut router, |event| *event == gone).await;
    }
}

#[tokio::test]
async fn close_returns_once_everything_is_sent() {
    for endpoint in test_endpoints("close").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let large = Bytes::from(vec![7; 30_000_000]);
        let peer = connect(SocketKind::Dealer, &router, "peer").await;
        let reader = tokio::spawn(async move {
            let message = soon(router.recv_message()).await.unwrap();
            message[1].len()
        });
        peer.send(vec![large]).await.unwrap();
        peer.close(LIMIT).await.unwrap();
        assert_eq!(soon(reader).await.unwrap(), 30_000_000);
    }
}

#[tokio::test]
async fn a_closed_socket_refuses_and_its_port_is_free() {
    for endpoint in test_endpoints("refuses").endpoints.iter() {
        let router = bind(SocketKind::Router, endpoint).await;
        let (sender, _receiver) = router.split();
        sender.close(LIMIT).await.unwrap();
        assert_eq!(
            sender.send(frames(&["a", "b"])).await,
            Err(SendError::Closed)
        );
    }
}

/// zeromq's DEALER does not reconnect when its peer restarts.
#[tokio::test]
async fn a_dealer_reconnects_without_loss_of_messages() {
    for endpoint in test_endpoints("again").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let endpoint = router.endpoint().clone();
        let mut dealer = connect(SocketKind::Dealer, &router, "dealer").await;
        until(&mut router, |event| matches!(event, Event::Connected(_))).await;
        router.close(LIMIT).await.unwrap();
        until(&mut dealer, |event| matches!(event, Event::Disconnected(_))).await;
        dealer.send(frames(&["meanwhile"])).await.unwrap();
        let mut router = bind(SocketKind::Router, &endpoint).await;
        let message = soon(router.recv_message()).await.unwrap();
        assert_eq!(message, frames(&["dealer", "meanwhile"]));
        router.send(frames(&["dealer", "welcome"])).await.unwrap();
        let answer = soon(dealer.recv_message()).await.unwrap();
        assert_eq!(answer, frames(&["welcome"]));
    }
}

/// zeromq's PUB drops messages beyond 100,000 in one burst.
#[tokio::test]
async fn a_burst_is_published_completely() {
    const BURST: usize = 150_000;
    for endpoint in test_endpoints("burst").endpoints.iter() {
        let mut publisher = bind(SocketKind::Pub, endpoint).await;
        let mut subscriber = connect(SocketKind::Sub, &publisher, "subscriber").await;
        until(&mut publisher, |event| {
            matches!(event, Event::Subscribed(_))
        })
        .await;
        let reader = tokio::spawn(async move {
            for n in 0..BURST {
                let message = soon(subscriber.recv_message()).await.unwrap();
                assert_eq!(message[1], Bytes::from(n.to_string()));
            }
        });
        for n in 0..BURST {
            publisher
                .send(frames(&["topic", &n.to_string()]))
                .await
                .unwrap();
        }
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn publishers_can_connect_to_a_bound_subscriber() {
    for endpoint in test_endpoints("reverse").endpoints.iter() {
        let mut subscriber = bind(SocketKind::Sub, endpoint).await;
        let mut publisher = connect(SocketKind::Pub, &subscriber, "publisher").await;
        until(&mut publisher, |event| {
            matches!(event, Event::Subscribed(_))
        })
        .await;
        publisher.send(frames(&["topic", "text"])).await.unwrap();
        let message = soon(subscriber.recv_message()).await.unwrap();
        assert_eq!(message, frames(&["topic", "text"]));
    }
}

#[tokio::test]
async fn a_second_peer_of_the_same_identity_replaces_the_first() {
    for endpoint in test_endpoints("same").endpoints.iter() {
        let mut router = bind(SocketKind::Router, endpoint).await;
        let first = connect(SocketKind::Dealer, &router, "same").await;
        first.send(frames(&["first"])).await.unwrap();
        soon(router.recv_message()).await.unwrap();
        let mut second = connect(SocketKind::Dealer, &router, "same").await;
        second.send(frames(&["second"])).await.unwrap();
        soon(router.recv_message()).await.unwrap();
        router.send(frames(&["same", "reply"])).await.unwrap();
        assert_eq!(
            soon(second.recv_message()).await.unwrap(),
            frames(&["reply"])
        );
    }
}

#[tokio::test]
async fn connecting_to_an_unused_endpoint_fails_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for endpoint in [
        "tcp://127.0.0.1:1".parse().unwrap(),
        Endpoint::Ipc(folder.path().join("nobody")),
        "memory://nobody:1".parse().unwrap(),
    ] {
        let options = SocketOptions::default().connect_limit(Duration::from_millis(50));
        let error = Socket::connect(SocketKind::Dealer, &endpoint, options)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
    }
}

#[tokio::test]
async fn binding_a_used_port_fails_with_its_name() {
    for endpoint in test_endpoints("taken").endpoints.iter() {
        let first = bind(SocketKind::Router, endpoint).await;
        let error = Socket::bind(
            SocketKind::Router,
            first.endpoint(),
            SocketOptions::default(),
        )
        .await
        .unwrap_err();
        assert!(
            error.to_string().contains(&first.endpoint().to_string()),
            "{error}"
        );
    }
}

/// With `zeromq`, peers that connect and leave at the same time can block all threads of a runtime
/// forever.
#[test]
fn peers_that_disconnect_at_once_do_no_harm() {
    const ROUNDS: usize = 1000;
    const PEERS: usize = 6;

    fn threads() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    }
    let (ours, theirs) = (threads(), threads());
    let (done, ended) = std::sync::mpsc::channel();
    let their_handle = theirs.handle().clone();
    ours.spawn(async move {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..ROUNDS {
            let endpoint = Endpoint::Ipc(folder.path().join(round.to_string()));
            let mut router = bind(SocketKind::Router, &endpoint).await;
            let together = std::sync::Arc::new(tokio::sync::Barrier::new(PEERS));
            let peers: Vec<_> = (0..PEERS)
                .map(|_| {
                    let endpoint = router.endpoint().clone();
                    let together = together.clone();
                    their_handle.spawn(async move {
                        together.wait().await;
                        let options = SocketOptions::default();
                        let dealer = Socket::connect(SocketKind::Dealer, &endpoint, options);
                        let dealer = dealer.await.unwrap();
                        dealer.send(frames(&["here"])).await.unwrap();
                        dealer.sender().close(LIMIT).await.unwrap();
                    })
                })
                .collect();
            for _ in 0..PEERS {
                until(&mut router, |event| matches!(event, Event::Message(_))).await;
            }
            for peer in peers {
                peer.await.unwrap();
            }
        }
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(LIMIT * 6);
    // A blocked runtime cannot be waited for.
    ours.shutdown_background();
    theirs.shutdown_background();
    assert_eq!(ended, Ok(()), "the sockets are blocked");
}
