//! Tests of the kernel over loopback sockets with a fake frontend and the echo backend.

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
