//! The text of one cell of a table.

use super::reader::{ReadWith, UnreadableValue, ValueReader};
use serde::Serialize;
use serde::ser::Impossible;
use std::io;

/// The maximum number of bytes of JSON for a compound value; no more of the value is read.
const MAX_JSON: usize = 400;

/// The mark of omitted text.
const LEFT_OUT: &str = "…";

/// Returns the text of a value; a compound value is shown as JSON.
pub(super) fn cell(value: &(impl Serialize + ?Sized)) -> String {
    value
        .serialize(ReadWith(Cell))
        .unwrap_or_else(|_| json(value))
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    let mut partial = PartialCell(Vec::new());
    let written = serde_json::to_writer(&mut partial, value);
    let mut text = String::from_utf8_lossy(&partial.0).into_owned();
    if written.is_err() {
        // The limit may have split a character.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        text.push_str(LEFT_OUT);
    }
    text
}

/// Collects the beginning of the text.
struct PartialCell(Vec<u8>);

impl io::Write for PartialCell {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_JSON - self.0.len().min(MAX_JSON);
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Truncates a long text.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_JSON) {
        Some((end, _)) => format!("{}{LEFT_OUT}", &text[..end]),
        None => text.to_owned(),
    }
}

/// Reads a value that is not compound.
struct Cell;

impl ValueReader for Cell {
    type Found = String;
    type List = Impossible<String, UnreadableValue>;
    type Variant = Impossible<String, UnreadableValue>;
    type Map = Impossible<String, UnreadableValue>;
    type Record = Impossible<String, UnreadableValue>;

    fn single(self, text: String) -> Result<String, UnreadableValue> {
        Ok(text)
    }

    fn nothing(self) -> Result<String, UnreadableValue> {
        Ok(String::new())
    }

    fn tagged<T: Serialize + ?Sized>(self, _: &T) -> Result<String, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn list(self, _: Option<usize>) -> Result<Self::List, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn variant(self) -> Result<Self::Variant, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn map(self, _: Option<usize>) -> Result<Self::Map, UnreadableValue> {
        Err(UnreadableValue)
    }

    fn record(self) -> Result<Self::Record, UnreadableValue> {
        Err(UnreadableValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Of(u32),
    }

    #[test]
    fn cell_text_is_read_without_parsing() {
        assert_eq!(cell(&1.0), "1.0");
        assert_eq!(cell(&f64::NAN), "NaN");
        assert_eq!(cell("a \"b\""), "a \"b\"");
        assert_eq!(cell(&Some(3)), "3");
        assert_eq!(cell(&None::<u8>), "");
        assert_eq!(cell(&Kind::Plain), "Plain");
        assert_eq!(cell(&Kind::Of(1)), "{\"Of\":1}");
        assert_eq!(cell(&[1, 2]), "[1,2]");
        let long = cell(&vec!["größe"; 1_000_000]);
        assert!(long.len() < 500 && long.ends_with('…'), "{long}");
    }
}
