//! The kernel over real loopback sockets, driven by a fake frontend; cells are the echo twin's.

#![cfg(feature = "echo")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod commands;
mod comms;
mod frontend;
mod hostile;
mod input;
mod install;
mod local;
mod magics;
mod notebooks;
mod protocol;

use frontend::Frontend;
