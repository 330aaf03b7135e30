//! `:snapshot`: whether a crash or an interrupt costs a cell or the variables.

use super::{CellContext, Services};
use crate::report::{Fault, Place};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;

/// Turns snapshots on or off, as `:snapshot 1` and `:snapshot 0` want it.
///
/// # Errors
/// When it is neither.
pub async fn turn(
    services: &Services,
    context: &CellContext,
    line: &str,
    place: Place,
) -> Result<(), Fault> {
    let argument = line.trim_start_matches(":snapshot").trim();
    let (on, told) = match argument {
        "1" => (true, "on: a crash or an interrupt costs one cell"),
        "0" => (
            false,
            "off: a crash or an interrupt costs all variables, and no memory is used twice",
        ),
        _ => {
            let failure = Failure::Usage {
                message: format!("`:snapshot` takes 0 or 1, not `{argument}`"),
                hint: Some("type `:snapshot 1` or `:snapshot 0`".to_owned()),
            };
            return Err(Fault::at(failure, place));
        }
    };
    services.local().set_snapshots(on);
    let text = format!("snapshots are {told}\n");
    context.outlet().text(StreamName::Stdout, text).await;
    Ok(())
}
