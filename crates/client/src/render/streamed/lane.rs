//! The outputs of one task: those not yet shown, and those that can be shown again.

use super::super::label::Labels;
use super::HOLD_LIMIT;
use super::line::LiveLine;
use crate::result::OutputLog;
use phalanx_protocol::output::{Output, StreamName};
use std::collections::VecDeque;
use std::time::Instant;

/// Most bytes kept of a task for showing them again after another engine has cleared the cell.
const KEPT_BYTES: usize = 256 << 10;

/// One task's outputs on their way to the cell.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<Output>,
    pub(super) execution_count: u32,
    /// Since when an unfinished line is held back.
    pub(super) held: Option<Instant>,
    /// Lines that are rewritten by carriage returns, one a stream at most.
    pub(super) lines: Vec<LiveLine>,
    /// Its outputs that were shown, as far as they are kept.
    pub(super) log: OutputLog,
    /// It has cleared what it showed before.
    pub(super) cleared: bool,
    /// It will have, once it shows something.
    clear_at_next: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            execution_count: 0,
            held: None,
            lines: Vec::new(),
            log: OutputLog::with_limit(KEPT_BYTES),
            cleared: false,
            clear_at_next: false,
        }
    }
}

impl Lane {
    /// Takes an output; text is joined to what waits.
    pub(super) fn push(&mut self, output: Output, labels: Labels) {
        match output {
            // The cell is this engine's alone, so the frontend can do it.
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

    /// Returns true if there is anything to show.
    pub(super) fn waits(&self) -> bool {
        self.cleared || !self.waiting.is_empty()
    }

    /// Bytes of text that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        let text = |output: &Output| match output {
            Output::Stream { text, .. } => text.len(),
            _ => 0,
        };
        self.waiting.iter().map(text).sum()
    }

    /// Takes the unfinished last line off `waiting`, unless it was held back for too long or is one
    /// that rewrites itself.
    pub(super) fn unfinished(&mut self, now: Instant) -> Option<Output> {
        let rewritten = |name| self.lines.iter().any(|line| line.name == name);
        let Some(Output::Stream { name, text }) = self.waiting.back_mut() else {
            return None;
        };
        let name = *name;
        let start = text.rfind('\n').map_or(0, |at| at + 1);
        let held = self.held.filter(|_| start == 0);
        let held_out = held.is_some_and(|since| now >= since + HOLD_LIMIT);
        if held_out || start == text.len() || text[start..].contains('\r') || rewritten(name) {
            return None;
        }
        let line = text.split_off(start);
        if text.is_empty() {
            self.waiting.pop_back();
        }
        self.held = Some(held.unwrap_or(now));
        Some(Output::Stream { name, text: line })
    }

    /// The line of a stream that is being rewritten.
    pub(super) fn line(&mut self, name: StreamName) -> Option<&mut LiveLine> {
        self.lines.iter_mut().find(|line| line.name == name)
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.cleared = true;
        self.held = None;
    }
}
