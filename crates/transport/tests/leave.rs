//! A process that ends before its sockets are closed leaves no files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use phalanx_transport::{Socket, SocketKind, SocketOptions, socket};

#[tokio::test(flavor = "multi_thread")]
async fn files_of_open_sockets_can_be_removed() {
    let endpoint = "tcp://127.0.0.1:0".parse().unwrap();
    let options = SocketOptions::default();
    let router = Socket::bind(SocketKind::Router, &endpoint, options)
        .await
        .unwrap();
    let folder = router.shortcut().unwrap().parent().unwrap().to_owned();
    assert!(folder.is_dir());
    socket::remove_files();
    assert!(!folder.exists());
}
