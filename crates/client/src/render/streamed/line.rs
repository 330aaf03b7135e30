//! A line that an engine rewrites with carriage returns, such as a progress bar. It cannot be
//! rewritten as text among the output of other engines, so it is a display that is updated in
//! place.

use crate::result::apply_carriage_returns;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::look::bar;
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use serde_json::json;

/// The maximum length kept of a line, in bytes; the overwritten beginning of a longer one is
/// dropped.
const KEPT_BYTES: usize = 4 << 10;

/// Escape sequences that erase a line; the display is replaced as a whole.
const ERASE: [&str; 2] = ["\x1b[2K", "\x1b[K"];

/// An unfinished line.
#[derive(Debug)]
pub(super) struct LiveLine {
    pub(super) name: StreamName,
    engine: EngineId,
    display_id: String,
    /// All text written to it.
    written: String,
    shown: Option<String>,
}

impl LiveLine {
    pub(super) fn new(name: StreamName, engine: EngineId, display_id: String) -> Self {
        Self {
            name,
            engine,
            display_id,
            written: String::new(),
            shown: None,
        }
    }

    /// Appends text; returns the display if the line has changed.
    pub(super) fn write(&mut self, text: &str) -> Option<Output> {
        self.written.push_str(text);
        if self.written.len() > KEPT_BYTES {
            self.written = apply_carriage_returns(&self.written);
        }
        let line = rewritten(&self.written);
        let line = ERASE
            .iter()
            .fold(line, |line, erase| line.replace(erase, ""));
        // A bar that is erased by its library at the end keeps its last state.
        if line.is_empty() || self.shown.as_ref() == Some(&line) {
            return None;
        }
        let data = MimeBundle::plain(format!("[{}:{}] {line}", self.name.as_str(), self.engine));
        let mut display = bar::display(data, &self.display_id, self.shown.is_some());
        display
            .metadata
            .insert("engine".to_owned(), json!(self.engine));
        self.shown = Some(line);
        Some(Output::Display(display))
    }
}

/// Returns true if a line is rewritten: it has a carriage return other than at its end.
pub(super) fn is_rewritten(line: &str) -> bool {
    let ended = line.strip_suffix('\n');
    ended
        .map_or(line, |line| line.trim_end_matches('\r'))
        .contains('\r')
}

/// Applies the carriage returns of a line.
pub(super) fn rewritten(line: &str) -> String {
    let line = line.trim_end_matches('\r');
    apply_carriage_returns(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_is_erased_at_its_end_stays() {
        let mut line = LiveLine::new(StreamName::Stderr, EngineId(0), "a".to_owned());
        let mut shown = |text: &str| match line.write(text) {
            Some(Output::Display(display)) => display.data.text().map(str::to_owned),
            _ => None,
        };
        assert_eq!(shown("\r\x1b[2K1/2").as_deref(), Some("[stderr:0] 1/2"));
        assert_eq!(shown("\r\x1b[2K2/2").as_deref(), Some("[stderr:0] 2/2"));
        assert_eq!(shown("\r\x1b[2K"), None);
    }
}
