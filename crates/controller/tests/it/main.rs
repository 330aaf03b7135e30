//! A controller with engines and clients that are sockets and nothing more, over TCP, Unix sockets
//! and memory; and with stock Python peers where there are any.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod cluster;
mod engine;
mod fair;
mod queries;
mod serves;
mod stock;
