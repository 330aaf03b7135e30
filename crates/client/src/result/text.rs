//! Carriage returns, interpreted as a terminal does.

/// Removes text that a carriage return overwrites: the text before it on the same line, if more
/// text follows. The rule is ipyparallel's (`client.py`, pattern `.*\r(?=[^
/// ])`), so that a `\r` at the end of the text or of a line stays.
pub(crate) fn apply_carriage_returns(text: &str) -> String {
    if !text.contains('\r') {
        return text.to_owned();
    }
    text.split('\n')
        .map(|line| {
            let returns = line.trim_end_matches('\r').rfind('\r');
            // Of several returns at the end of a line, all but the last are followed by another
            // one.
            let ending = line.len() - line.trim_end_matches('\r').len();
            match (returns, ending) {
                (_, 2..) => &line[line.len() - 1..],
                (Some(at), _) => &line[at + 1..],
                (None, _) => line,
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::apply_carriage_returns;

    #[test]
    fn a_carriage_return_overwrites_its_line() {
        for (text, shown) in [
            ("", ""),
            ("plain\n", "plain\n"),
            ("10%\r20%\r30%", "30%"),
            ("10%\r", "10%\r"),
            ("windows\r\nends\r\n", "windows\r\nends\r\n"),
            ("a\nb\rc\nd\n", "a\nc\nd\n"),
            ("a\r\r\n", "\r\n"),
            ("é\rü\n", "ü\n"),
            ("a\rb\r\n", "b\r\n"),
        ] {
            assert_eq!(apply_carriage_returns(text), shown, "{text:?}");
        }
    }
}
