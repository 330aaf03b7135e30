//! Blanking: text that is taken out while everything else stays at its line and column.

use ra_ap_syntax::TextRange;

/// Returns the text with every byte of the ranges, but for line breaks, replaced by a space.
pub(super) fn blank(text: &str, ranges: &[TextRange]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        let range = usize::from(range.start())..usize::from(range.end());
        for byte in bytes.get_mut(range).into_iter().flatten() {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    // The ranges are of syntax nodes, and so end at characters.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
