//! The outputs of one task: pending ones, and shown ones that may have to be shown again.

use super::super::label::Labels;
use super::UNFINISHED_LIMIT;
use super::line::LiveLine;
use crate::result::OutputLog;
use phalanx_protocol::output::{Output, StreamName};
use std::collections::VecDeque;
use std::time::Instant;

/// The maximum number of bytes kept of a task's output, to show it again after another engine has
/// cleared the cell.
const KEPT_BYTES: usize = 256 << 10;

/// The pending and shown outputs of one task.
#[derive(Debug)]
pub(super) struct OutputQueue {
    pub(super) waiting: VecDeque<Output>,
    pub(super) execution_count: u32,
    /// The time since which the last line has been unfinished and not shown.
    pub(super) unfinished_since: Option<Instant>,
    /// Lines that are rewritten with carriage returns, at most one per stream.
    pub(super) lines: Vec<LiveLine>,
    /// The outputs that were shown, within the limit.
    pub(super) log: OutputLog,
    /// True if the task has cleared its earlier output.
    pub(super) cleared: bool,
    /// True if the task clears its output when it shows the next one.
    clear_at_next: bool,
}

impl Default for OutputQueue {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            execution_count: 0,
            unfinished_since: None,
            lines: Vec::new(),
            log: OutputLog::with_limit(KEPT_BYTES),
            cleared: false,
            clear_at_next: false,
        }
    }
}

impl OutputQueue {
    /// Adds an output; text is appended to pending text.
    pub(super) fn push(&mut self, output: Output, labels: Labels) {
        match output {
            // The cell shows only this engine's output, so the frontend can clear it.
            Output::ClearOutput { wait } if labels == Labels::Engines => {
                if wait {
                    self.clear_at_next = true;
                } else {
                    self.clear();
                }
                return;
            }
            _ => {}
        }
        if std::mem::take(&mut self.clear_at_next) {
            self.clear();
        }
        match output {
            Output::Stream { name, text } => {
                if let Some(Output::Stream {
                    name: last,
                    text: piece,
                }) = self.waiting.back_mut()
                    && *last == name
                {
                    piece.push_str(&text);
                } else {
                    self.waiting.push_back(Output::Stream { name, text });
                }
            }
            output => self.waiting.push_back(output),
        }
    }

    /// Returns true if there is pending output.
    pub(super) fn waits(&self) -> bool {
        self.cleared || !self.waiting.is_empty()
    }

    /// The number of bytes of pending text.
    pub(super) fn waiting_bytes(&self) -> usize {
        let text = |output: &Output| match output {
            Output::Stream { text, .. } => text.len(),
            _ => 0,
        };
        self.waiting.iter().map(text).sum()
    }

    /// Removes the unfinished last line from `waiting`, unless it has been unfinished for too long
    /// or is a rewritten line.
    pub(super) fn unfinished(&mut self, now: Instant) -> Option<Output> {
        let rewritten = |name| self.lines.iter().any(|line| line.name == name);
        let Some(Output::Stream { name, text }) = self.waiting.back_mut() else {
            return None;
        };
        let name = *name;
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let since = self.unfinished_since.filter(|_| start == 0);
        let is_over = since.is_some_and(|since| now >= since + UNFINISHED_LIMIT);
        if is_over || start == text.len() || text[start..].contains('\r') || rewritten(name) {
            return None;
        }
        let line = text.split_off(start);
        if text.is_empty() {
            self.waiting.pop_back();
        }
        self.unfinished_since = Some(since.unwrap_or(now));
        Some(Output::Stream { name, text: line })
    }

    /// The line of a stream that is being rewritten.
    pub(super) fn line(&mut self, name: StreamName) -> Option<&mut LiveLine> {
        self.lines.iter_mut().find(|line| line.name == name)
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.cleared = true;
        self.unfinished_since = None;
    }
}
