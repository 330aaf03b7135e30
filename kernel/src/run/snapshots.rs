//! `:snapshot`: turns snapshots on or off, which decide if a crash or interrupt loses the
//! variables.

use super::Local;
use crate::channel::OutputSink;
use phalanx_protocol::output::StreamName;

/// Turns snapshots on or off.
pub async fn turn(local: &Local, sink: &OutputSink, on: bool) {
    let state = if on {
        "on: a crash or an interrupt loses only the changes of its cell"
    } else {
        "off: a crash or an interrupt loses all variables, and there are no copies of the process"
    };
    local.set_snapshots(on);
    let text = format!("snapshots are {state}\n");
    sink.text(StreamName::Stdout, text).await;
}
