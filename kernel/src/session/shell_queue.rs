//! Cells in order of arrival, one at a time: the main shell is one lane, each subshell another.

use super::CellId;
use crate::channel::Requester;
use phalanx_protocol::jupyter::ExecuteRequest;
use std::collections::VecDeque;

/// One lane.
#[derive(Debug, Default)]
pub(super) struct ShellQueue {
    /// The cell that is being run.
    pub(super) running: Option<RunningCell>,
    /// `execute_request`s in order of arrival.
    pub(super) waiting: VecDeque<(Requester, ExecuteRequest)>,
    /// The subshell is deleted, and ends with the cell that it is running.
    pub(super) closing: bool,
}

/// A cell that is being run.
#[derive(Debug)]
pub(super) struct RunningCell {
    pub(super) cell: CellId,
    pub(super) from: Requester,
    pub(super) count: usize,
    pub(super) silent: bool,
    pub(super) stop_on_error: bool,
}
