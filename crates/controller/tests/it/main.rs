//! A controller with engines and clients that are bare sockets, over TCP, Unix sockets and memory.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod cluster;
mod engine;
mod fair;
mod queries;
mod serves;
