//! `:snapshot`: turns snapshots on or off, which decide if a crash or interrupt loses the
//! variables.

use super::Services;
use crate::context::CellContext;
use phalanx_protocol::output::StreamName;

/// Turns snapshots on or off.
pub async fn turn(services: &Services, context: &CellContext, on: bool) {
    let state = if on {
        "on: a crash or an interrupt loses only the changes of its cell"
    } else {
        "off: a crash or an interrupt loses all variables, and there are no copies of the process"
    };
    services.local().set_snapshots(on);
    let text = format!("snapshots are {state}\n");
    context.sink().text(StreamName::Stdout, text).await;
}
