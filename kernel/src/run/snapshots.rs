//! `:snapshot`: turns snapshots on or off, which decide if a crash or interrupt loses the
//! variables.

use super::Services;
use crate::context::CellContext;
use phalanx_protocol::output::StreamName;

/// Turns snapshots on or off.
pub async fn turn(services: &Services, context: &CellContext, on: bool) {
    let told = if on {
        "on: a crash or an interrupt costs one cell"
    } else {
        "off: a crash or an interrupt costs all variables, and no memory is used twice"
    };
    services.local().set_snapshots(on);
    let text = format!("snapshots are {told}\n");
    context.sink().text(StreamName::Stdout, text).await;
}
