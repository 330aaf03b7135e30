//! Cells in order of arrival, one running at a time: one queue for the main shell and for each
//! subshell.

use super::CellId;
use crate::channel::Requester;
use phalanx_protocol::jupyter::ExecuteRequest;
use std::collections::VecDeque;

/// The queue of one shell.
#[derive(Debug, Default)]
pub(super) struct ShellQueue {
    /// The cell that is running.
    pub(super) running: Option<RunningCell>,
    /// The queued `execute_request`s, oldest first.
    pub(super) waiting: VecDeque<(Requester, ExecuteRequest)>,
    /// True if the subshell is deleted; it is removed once its running cell ends.
    pub(super) closing: bool,
}

/// A cell that is running.
#[derive(Debug)]
pub(super) struct RunningCell {
    pub(super) cell: CellId,
    pub(super) from: Requester,
    pub(super) count: usize,
    pub(super) silent: bool,
    pub(super) stop_on_error: bool,
}
