//! From the bytes on a runtime's two pipes to ordered, attributed outputs; no I/O, no clock.

mod capture;
mod scanner;
mod text;

pub(crate) use capture::{Capture, CapturedOutput};

use phalanx_protocol::host::{MARKER_END, MARKER_START};
use phalanx_protocol::id::RunId;

/// The marker the runtime writes to both pipes once a run is over.
pub(crate) fn end_marker(run: RunId) -> String {
    format!("{MARKER_START}end;{run}{MARKER_END}")
}
