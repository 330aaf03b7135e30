//! Recognizes markers in a cell's bytes, independently of how they are split into reads.
//!
//! There are two families: evcxr's (`EVCXR_BEGIN_CONTENT …`, printed by generated code and by every
//! crate with an `evcxr_display`), and ours (OSC escape sequences, [`MARKER_START`]). evcxr
//! recognizes its markers only at the start of a line, and so loses text printed before them
//! without a newline; here they are recognized anywhere.

use memchr::memmem;
use phalanx_protocol::host::{ErrorText, MARKER_END, MARKER_START};
use phalanx_protocol::id::RunId;

/// A token in the output.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OutputToken {
    /// Bytes printed by the user's code.
    Text(Vec<u8>),
    /// One representation of a rich value.
    Content { mime: String, body: Vec<u8> },
    /// The cell panicked (reported by evcxr's `catch_unwind`).
    Panicked,
    /// An error left the cell through `?`.
    Errored,
    /// The cell returned early.
    Returned,
    /// A variable's type no longer exists.
    VariableLost(String),
    /// The position of the output with this number.
    Position(u64),
    /// `evcxr_input` requests a line, which it then reads from stdin.
    InputRequest { prompt: String, password: bool },
    /// A report of the panic hook.
    PanicReport { location: String, message: String },
    /// The panic of a thread that follows is in the code of a cell that ran before.
    OtherCell,
    /// An error that may be leaving the cell through `?`.
    ErrorReport(ErrorText),
    /// The run has ended, with all its output.
    End(RunId),
}

const EVCXR: &[u8] = b"EVCXR_";
const BEGIN_CONTENT: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END_CONTENT: &[u8] = b"EVCXR_END_CONTENT";
const PANICKED: &[u8] = b"EVCXR_PANIC_NOTIFICATION\n";
const ERRORED: &[u8] = b"EVCXR_ERROR_OCCURRED\n";
const VARIABLE_LOST: &[u8] = b"EVCXR_VARIABLE_CHANGED_TYPE:";
const INPUT_REQUEST: &[u8] = b"EVCXR_INPUT_REQUEST:";
const PASSWORD_REQUEST: &[u8] = b"EVCXR_INPUT_REQUEST_PASSWORD:";
const OURS: &[u8] = MARKER_START.as_bytes();
const END_PANIC: &[u8] = b"\x1b]phalanx;end-panic\x07";
const END_ERROR: &[u8] = b"\x1b]phalanx;end-error\x07";

/// The maximum length of a name or number in a marker, in bytes; longer ones are treated as text.
const MAX_FIELD: usize = 4096;

/// Splits one pipe's bytes into [`OutputToken`]s; holds back bytes that may be the beginning of a
/// marker.
#[derive(Default)]
pub(super) struct Scanner {
    bytes: Vec<u8>,
}

/// The token at the start of the bytes.
enum ScannedToken {
    /// A marker, with its length in bytes.
    Marker(OutputToken, usize),
    /// Possibly the beginning of a marker.
    Partial,
    /// Not a marker.
    Nothing,
}

impl Scanner {
    /// Adds bytes; returns all complete tokens.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<OutputToken> {
        self.bytes.extend_from_slice(bytes);
        let mut tokens = Vec::new();
        let mut text = 0;
        let mut from = 0;
        while let Some(at) = next_candidate(&self.bytes, from) {
            match marker_at(&self.bytes[at..]) {
                ScannedToken::Marker(token, length) => {
                    push_text(&mut tokens, &self.bytes[text..at]);
                    tokens.push(token);
                    text = at + length;
                    from = text;
                }
                ScannedToken::Partial => {
                    push_text(&mut tokens, &self.bytes[text..at]);
                    self.bytes.drain(..at);
                    return tokens;
                }
                ScannedToken::Nothing => from = at + 1,
            }
        }
        push_text(&mut tokens, &self.bytes[text..]);
        self.bytes.clear();
        tokens
    }

    /// Handles the end of the pipe: the bytes held back are text.
    pub(super) fn finish(&mut self) -> Vec<OutputToken> {
        let mut tokens = Vec::new();
        push_text(&mut tokens, &std::mem::take(&mut self.bytes));
        tokens
    }
}

fn push_text(tokens: &mut Vec<OutputToken>, bytes: &[u8]) {
    if !bytes.is_empty() {
        tokens.push(OutputToken::Text(bytes.to_vec()));
    }
}

/// The offset of the next byte at which a marker may begin.
fn next_candidate(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr2(EVCXR[0], OURS[0], &bytes[from..]).map(|at| from + at)
}

fn marker_at(bytes: &[u8]) -> ScannedToken {
    let family = if bytes[0] == OURS[0] { OURS } else { EVCXR };
    if bytes.len() < family.len() {
        return if family.starts_with(bytes) {
            ScannedToken::Partial
        } else {
            ScannedToken::Nothing
        };
    }
    if !bytes.starts_with(family) {
        return ScannedToken::Nothing;
    }
    if family == OURS {
        ours(bytes)
    } else {
        evcxr(bytes)
    }
}

fn evcxr(bytes: &[u8]) -> ScannedToken {
    for (word, token) in [
        (PANICKED, OutputToken::Panicked),
        (ERRORED, OutputToken::Errored),
    ] {
        match starts(bytes, word) {
            ScannedToken::Nothing => {}
            ScannedToken::Partial => return ScannedToken::Partial,
            ScannedToken::Marker(_, length) => return ScannedToken::Marker(token, length),
        }
    }
    for word in [VARIABLE_LOST, INPUT_REQUEST, PASSWORD_REQUEST] {
        match starts(bytes, word) {
            ScannedToken::Nothing => {}
            ScannedToken::Partial => return ScannedToken::Partial,
            ScannedToken::Marker(_, start) => {
                return match field(&bytes[start..], b'\n') {
                    Field::Value(value) => {
                        let length = start + value.len() + 1;
                        ScannedToken::Marker(named(word, value), length)
                    }
                    Field::Partial => ScannedToken::Partial,
                    Field::TooLong => ScannedToken::Nothing,
                };
            }
        }
    }
    match starts(bytes, BEGIN_CONTENT) {
        ScannedToken::Marker(_, start) => content(bytes, start),
        other => other,
    }
}

/// The token of a line with one of these words and a value.
fn named(word: &[u8], value: String) -> OutputToken {
    if word == VARIABLE_LOST {
        return OutputToken::VariableLost(value);
    }
    OutputToken::InputRequest {
        prompt: value,
        password: word == PASSWORD_REQUEST,
    }
}

fn content(bytes: &[u8], start: usize) -> ScannedToken {
    let mime = match field(&bytes[start..], b'\n') {
        Field::Value(mime) => mime,
        Field::Partial => return ScannedToken::Partial,
        Field::TooLong => return ScannedToken::Nothing,
    };
    let body = start + mime.len() + 1;
    // A panic while a value was being formatted leaves the block incomplete.
    let end = memmem::find(&bytes[body..], END_CONTENT);
    let cut = memmem::find(
        &bytes[body..end.map_or(bytes.len(), |end| body + end)],
        PANICKED,
    );
    match (end, cut) {
        (_, Some(cut)) => ScannedToken::Marker(
            OutputToken::Text(bytes[body..body + cut].to_vec()),
            body + cut,
        ),
        (None, None) => ScannedToken::Partial,
        (Some(end), None) => {
            let mut length = body + end + END_CONTENT.len();
            match bytes.get(length) {
                None => return ScannedToken::Partial,
                Some(b'\n') => length += 1,
                Some(_) => {}
            }
            let text = &bytes[body..body + end];
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            let mime = mime.trim().to_owned();
            ScannedToken::Marker(
                OutputToken::Content {
                    mime,
                    body: text.to_vec(),
                },
                length,
            )
        }
    }
}

fn ours(bytes: &[u8]) -> ScannedToken {
    let start = OURS.len();
    let inside = match field(&bytes[start..], MARKER_END as u8) {
        Field::Value(inside) => inside,
        Field::Partial => return ScannedToken::Partial,
        Field::TooLong => return ScannedToken::Nothing,
    };
    let length = start + inside.len() + 1;
    match inside.split_once(';') {
        Some(("place", number)) => number.parse().map_or(ScannedToken::Nothing, |number| {
            ScannedToken::Marker(OutputToken::Position(number), length)
        }),
        Some(("end", number)) => number.parse().map_or(ScannedToken::Nothing, |number| {
            ScannedToken::Marker(OutputToken::End(RunId(number)), length)
        }),
        Some(("panic", location)) => match memmem::find(&bytes[length..], END_PANIC) {
            None => ScannedToken::Partial,
            Some(end) => ScannedToken::Marker(
                OutputToken::PanicReport {
                    location: location.to_owned(),
                    message: String::from_utf8_lossy(&bytes[length..length + end]).into_owned(),
                },
                length + end + END_PANIC.len(),
            ),
        },
        None if inside == "error" => match memmem::find(&bytes[length..], END_ERROR) {
            None => ScannedToken::Partial,
            Some(end) => match serde_json::from_slice(&bytes[length..length + end]) {
                Ok(error) => ScannedToken::Marker(
                    OutputToken::ErrorReport(error),
                    length + end + END_ERROR.len(),
                ),
                Err(_) => ScannedToken::Nothing,
            },
        },
        None if inside == "other-cell" => ScannedToken::Marker(OutputToken::OtherCell, length),
        None if inside == "returned" => ScannedToken::Marker(OutputToken::Returned, length),
        _ => ScannedToken::Nothing,
    }
}

fn starts(bytes: &[u8], word: &[u8]) -> ScannedToken {
    if bytes.starts_with(word) {
        ScannedToken::Marker(OutputToken::Panicked, word.len())
    } else if word.starts_with(bytes) {
        ScannedToken::Partial
    } else {
        ScannedToken::Nothing
    }
}

enum Field {
    Value(String),
    Partial,
    TooLong,
}

/// Reads text up to a delimiter.
fn field(bytes: &[u8], delimiter: u8) -> Field {
    match memchr::memchr(delimiter, &bytes[..bytes.len().min(MAX_FIELD)]) {
        Some(end) => match std::str::from_utf8(&bytes[..end]) {
            Ok(text) => Field::Value(text.to_owned()),
            Err(_) => Field::TooLong,
        },
        None if bytes.len() < MAX_FIELD => Field::Partial,
        None => Field::TooLong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> OutputToken {
        OutputToken::Text(text.as_bytes().to_vec())
    }

    /// Scans the input as a whole and split at every byte, and compares the results.
    fn scan(input: &str) -> Vec<OutputToken> {
        let mut whole = Scanner::default();
        let mut expected = whole.push(input.as_bytes());
        expected.extend(whole.finish());
        let mut cut = Scanner::default();
        let mut tokens = Vec::<OutputToken>::new();
        for byte in input.bytes() {
            merge(&mut tokens, cut.push(&[byte]));
        }
        merge(&mut tokens, cut.finish());
        let mut merged = Vec::new();
        merge(&mut merged, expected);
        assert_eq!(tokens, merged, "split at every byte");
        merged
    }

    fn merge(into: &mut Vec<OutputToken>, tokens: Vec<OutputToken>) {
        for token in tokens {
            match (into.last_mut(), token) {
                (Some(OutputToken::Text(last)), OutputToken::Text(more)) => last.extend(more),
                (_, token) => into.push(token),
            }
        }
    }

    #[test]
    fn the_panic_of_an_earlier_cell_follows_its_marker() {
        assert_eq!(
            scan("a\x1b]phalanx;other-cell\x07\nthread"),
            [text("a"), OutputToken::OtherCell, text("\nthread")]
        );
    }

    #[test]
    fn text_before_a_marker_without_a_newline_is_kept() {
        assert_eq!(
            scan("abcEVCXR_PANIC_NOTIFICATION\n"),
            [text("abc"), OutputToken::Panicked]
        );
    }

    #[test]
    fn content_is_found_anywhere_and_text_around_it_kept() {
        assert_eq!(
            scan("xEVCXR_BEGIN_CONTENT text/html\n<b>\nü</b>\nEVCXR_END_CONTENT\ny"),
            [
                text("x"),
                OutputToken::Content {
                    mime: "text/html".into(),
                    body: "<b>\nü</b>".into()
                },
                text("y")
            ]
        );
    }

    #[test]
    fn markers_are_recognized() {
        assert_eq!(
            scan("a\x1b]phalanx;place;7\x07b\x1b]phalanx;end;3\x07"),
            [
                text("a"),
                OutputToken::Position(7),
                text("b"),
                OutputToken::End(RunId(3))
            ]
        );
        assert_eq!(
            scan("\x1b]phalanx;panic;src/lib.rs:1:2\x07oh\nno\x1b]phalanx;end-panic\x07"),
            [OutputToken::PanicReport {
                location: "src/lib.rs:1:2".into(),
                message: "oh\nno".into()
            }]
        );
    }

    #[test]
    fn a_panic_within_content_is_a_panic() {
        assert_eq!(
            scan("EVCXR_BEGIN_CONTENT text/plain\nhalfEVCXR_PANIC_NOTIFICATION\n"),
            [text("half"), OutputToken::Panicked]
        );
    }

    #[test]
    fn text_that_resembles_a_marker_is_text() {
        for input in [
            "EVCXR_NONSENSE\n",
            "\x1b[31mred\x1b[0m",
            "\x1b]phalanx;what\x07",
            "E",
            "EE\x1b",
        ] {
            assert_eq!(scan(input), [text(input)], "{input:?}");
        }
    }

    #[test]
    fn evcxrs_messages_are_recognized() {
        assert_eq!(
            scan("EVCXR_VARIABLE_CHANGED_TYPE:größe\nEVCXR_ERROR_OCCURRED\n"),
            [
                OutputToken::VariableLost("größe".into()),
                OutputToken::Errored
            ]
        );
    }
}
