//! Blanking: removal of text such that all other text keeps its line and byte offset.

use std::ops::Range;

/// Returns a space for every byte of a text, except for line breaks, which are kept.
pub(super) fn blanks(text: &str) -> String {
    let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
    text.bytes().map(blank).collect()
}

/// Blanks ranges of bytes in a text; ranges that do not begin and end at characters are ignored.
pub(super) fn blank(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let is_whole = |range: &Range<usize>| text.get(range.clone()).is_some();
    for range in ranges.into_iter().filter(is_whole) {
        for byte in bytes.get_mut(range).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanking_keeps_lines_and_offsets() {
        let text = "fn größe() {\n}\nlet ä = 1;";
        let end = text.find("let").unwrap();
        let blanked = blank(text, std::iter::once(0..end));
        assert_eq!(blanked.len(), text.len());
        assert_eq!(blanked.trim_start_matches([' ', '\n']), "let ä = 1;");
        assert_eq!(blanked.lines().count(), 3);
        assert_eq!(blank(text, std::iter::once(5..6)), text, "half a character");
    }
}
