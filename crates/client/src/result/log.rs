//! The outputs of one task, in order, within a memory limit.

use super::text::apply_carriage_returns;
use phalanx_protocol::output::{Display, Output, StreamName};
use std::collections::VecDeque;

/// The maximum number of bytes of output kept for one task; the oldest output is dropped first.
/// Streamed output is not affected.
pub(crate) const KEPT_BYTES: usize = 64 << 20;

/// The maximum length, in bytes, of a piece of text to which later text is appended, so that
/// dropping the oldest piece drops little.
const PIECE_BYTES: usize = 64 << 10;

/// The outputs of one task so far.
#[derive(Debug)]
pub(crate) struct OutputLog {
    limit: usize,
    entries: VecDeque<Output>,
    bytes: usize,
    dropped: usize,
    clear_at_next: bool,
}

impl Default for OutputLog {
    fn default() -> Self {
        Self::with_limit(KEPT_BYTES)
    }
}

impl OutputLog {
    /// Creates an empty log with a limit in bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            entries: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            clear_at_next: false,
        }
    }

    /// Adds an output. `ClearOutput` empties the log; updates modify the display they refer to.
    pub fn push(&mut self, output: Output) {
        match output {
            Output::ClearOutput { wait: true } => self.clear_at_next = true,
            Output::ClearOutput { wait: false } => self.clear(),
            Output::Display(display) if display.update => self.update(display),
            output => {
                if self.clear_at_next {
                    self.clear();
                }
                self.append(output);
            }
        }
    }

    /// The kept outputs, in order, without clears and updates.
    pub fn entries(&self) -> impl Iterator<Item = &Output> {
        self.entries.iter()
    }

    /// The text on one stream, with carriage returns applied.
    pub fn text(&self, stream: StreamName) -> String {
        let note = self.note().filter(|_| stream == StreamName::Stdout);
        let mut text = note.unwrap_or_default();
        for entry in &self.entries {
            if let Output::Stream { name, text: piece } = entry
                && *name == stream
            {
                text.push_str(piece);
            }
        }
        apply_carriage_returns(&text)
    }

    /// Returns a note if the oldest output has been dropped.
    pub fn note(&self) -> Option<String> {
        let dropped = self.dropped;
        (dropped > 0).then(|| format!("[{dropped} bytes of earlier output not kept]\n"))
    }

    /// The displays, in order.
    pub fn displays(&self) -> Vec<Display> {
        self.entries
            .iter()
            .filter_map(|entry| match entry {
                Output::Display(display) => Some(display.clone()),
                _ => None,
            })
            .collect()
    }

    /// Removes all outputs.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
        self.dropped = 0;
        self.clear_at_next = false;
    }

    fn update(&mut self, update: Display) {
        for entry in &mut self.entries {
            if let Output::Display(display) = entry
                && display.display_id == update.display_id
            {
                self.bytes -= display_size(display);
                display.data.clone_from(&update.data);
                display.metadata.clone_from(&update.metadata);
                self.bytes += display_size(display);
            }
        }
        self.shrink();
    }

    fn append(&mut self, output: Output) {
        self.bytes += size(&output);
        if let Output::Stream { name, text } = &output
            && let Some(Output::Stream {
                name: last,
                text: piece,
            }) = self.entries.back_mut()
            && last == name
            && piece.len() < PIECE_BYTES
        {
            piece.push_str(text);
        } else {
            self.entries.push_back(output);
        }
        self.shrink();
    }

    /// Drops the oldest outputs until the limit holds: whole entries, and the beginning of a single
    /// text.
    fn shrink(&mut self) {
        while self.bytes > self.limit && self.entries.len() > 1 {
            if let Some(oldest) = self.entries.pop_front() {
                let gone = size(&oldest);
                self.bytes -= gone;
                self.dropped += gone;
            }
        }
        if self.bytes > self.limit
            && let Some(Output::Stream { text, .. }) = self.entries.front_mut()
        {
            let excess = text.ceil_char_boundary(self.bytes - self.limit);
            text.drain(..excess);
            self.bytes -= excess;
            self.dropped += excess;
        }
    }
}

fn size(output: &Output) -> usize {
    match output {
        Output::Stream { text, .. } => text.len(),
        Output::Display(display) => display_size(display),
        Output::Result(data) => bundle_size(&data.0),
        Output::ClearOutput { .. } | Output::Data(_) => 0,
    }
}

fn display_size(display: &Display) -> usize {
    bundle_size(&display.data.0) + bundle_size(&display.metadata)
}

fn bundle_size(map: &serde_json::Map<String, serde_json::Value>) -> usize {
    map.iter()
        .map(|(key, value)| key.len() + value_size(value))
        .sum()
}

fn value_size(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(value_size).sum(),
        serde_json::Value::Object(map) => bundle_size(map),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::output::MimeBundle;

    fn out(text: &str) -> Output {
        Output::Stream {
            name: StreamName::Stdout,
            text: text.to_owned(),
        }
    }

    fn shown(id: &str, text: &str, update: bool) -> Output {
        Output::Display(Display {
            data: MimeBundle::plain(text),
            display_id: Some(id.to_owned()),
            update,
            ..Display::default()
        })
    }

    #[test]
    fn adjacent_text_is_one_entry_and_the_streams_are_apart() {
        let mut log = OutputLog::default();
        log.push(out("10%"));
        log.push(out("\r20%\n"));
        log.push(Output::Stream {
            name: StreamName::Stderr,
            text: "é".to_owned(),
        });
        log.push(out("done"));
        assert_eq!(log.entries().count(), 3);
        assert_eq!(log.text(StreamName::Stdout), "20%\ndone");
        assert_eq!(log.text(StreamName::Stderr), "é");
    }

    #[test]
    fn an_update_changes_the_display_it_names() {
        let mut log = OutputLog::default();
        log.push(shown("a", "1", false));
        log.push(shown("b", "2", false));
        log.push(shown("a", "3", true));
        log.push(shown("unknown", "4", true));
        let texts: Vec<_> = log
            .displays()
            .iter()
            .map(|d| d.data.text().unwrap().to_owned())
            .collect();
        assert_eq!(texts, ["3", "2"]);
    }

    #[test]
    fn clear_output_waits_if_requested() {
        let mut log = OutputLog::default();
        log.push(out("old"));
        log.push(Output::ClearOutput { wait: true });
        assert_eq!(log.text(StreamName::Stdout), "old");
        log.push(out("new"));
        assert_eq!(log.text(StreamName::Stdout), "new");
        log.push(Output::ClearOutput { wait: false });
        assert_eq!(log.entries().count(), 0);
    }

    #[test]
    fn the_oldest_output_is_dropped_with_a_note() {
        let mut log = OutputLog::default();
        let piece = "x".repeat(1 << 20);
        for _ in 0..80 {
            log.push(out(&piece));
        }
        let text = log.text(StreamName::Stdout);
        assert!(text.len() <= KEPT_BYTES + 100);
        assert!(text.starts_with("[16777216 bytes of earlier output not kept]\n"));
    }
}
