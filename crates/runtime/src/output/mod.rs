//! Conversion of the bytes of a runtime's two pipes into ordered outputs, each with its run;
//! without I/O and clock.

mod capture;
mod scanner;
mod text;

pub(crate) use capture::{Capture, CapturedOutput};

use phalanx_protocol::host::{MARKER_END, MARKER_START};
use phalanx_protocol::id::RunId;

/// The marker that the runtime writes to both pipes when a run has ended.
pub(crate) fn end_marker(run: RunId) -> String {
    format!("{MARKER_START}end;{run}{MARKER_END}")
}
