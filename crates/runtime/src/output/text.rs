//! Incremental decoding of UTF-8.

/// Decodes UTF-8 as it arrives; invalid bytes become U+FFFD.
#[derive(Default)]
pub(super) struct TextDecoder {
    rest: Vec<u8>,
}

impl TextDecoder {
    /// Returns the complete text; an incomplete character at the end is kept for the next call.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.rest.len());
        let mut used = 0;
        for chunk in self.rest.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = used + invalid.len() == self.rest.len();
            if at_end && is_incomplete(invalid) {
                break;
            }
            used += invalid.len();
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.rest.drain(..used);
        text
    }

    /// Decodes the remaining bytes as the end of the text.
    pub(super) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.to_string()
        }
    }
}

/// Returns true if the bytes are the beginning of a character.
fn is_incomplete(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_characters_are_joined() {
        let mut decoder = TextDecoder::default();
        let mut text = String::new();
        for byte in "aü€😀".bytes() {
            text += &decoder.push(&[byte]);
        }
        text += &decoder.finish();
        assert_eq!(text, "aü€😀");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let mut decoder = TextDecoder::default();
        assert_eq!(decoder.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(decoder.push(b"c"), "\u{fffd}c");
        assert_eq!(decoder.push(b"\xf0"), "");
        assert_eq!(decoder.finish(), "\u{fffd}");
    }
}
