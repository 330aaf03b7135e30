//! Lines of text for users, broken between words. Frontends break longer lines anywhere, in the
//! middle of a word too.

/// The width of lines in characters: what JupyterLab shows in a window of 1,100 pixels.
pub(super) const WIDTH: usize = 88;

/// Wraps prose: the first line at `first` characters, the others at `rest`. A longer word takes a
/// line of its own.
pub(super) fn wrap(prose: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(prose) {
        let width = if lines.len() == 1 { first } else { rest };
        if let Some(line) = lines.last_mut() {
            let length = line.chars().count();
            if length == 0 || length + 1 + word.chars().count() <= width {
                if length > 0 {
                    line.push(' ');
                }
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// Wraps the lines of a message that are longer than [`WIDTH`]. The message is placed `before`
/// characters after the start of its first line; added lines are indented by `indent`.
pub(super) fn wrap_message(message: &str, before: usize, indent: usize) -> String {
    let mut text = String::new();
    for (number, line) in message.split('\n').enumerate() {
        let before = if number == 0 { before } else { 0 };
        if number > 0 {
            text.push('\n');
        }
        if before + line.chars().count() <= WIDTH {
            text.push_str(line);
            continue;
        }
        let own_indent = line.len() - line.trim_start().len();
        let (margin, prose) = line.split_at(own_indent);
        let indent = " ".repeat(indent + own_indent);
        let first = WIDTH.saturating_sub(before + own_indent);
        let lines = wrap(prose, first, WIDTH.saturating_sub(indent.len()));
        text.push_str(margin);
        text.push_str(&lines.join(&format!("\n{indent}")));
    }
    text
}

/// Splits prose at white space, but not in code between backticks, which may be copied.
fn words(prose: &str) -> impl Iterator<Item = &str> {
    let has_pairs = prose.matches('`').count().is_multiple_of(2);
    let mut in_code = false;
    let is_boundary = move |c: char| {
        in_code ^= c == '`' && has_pairs;
        c.is_whitespace() && !in_code
    };
    prose.split(is_boundary).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words_but_not_in_code() {
        let lines = wrap("one two `three four` five", 8, 12);
        assert_eq!(lines, ["one two", "`three four`", "five"]);
        // A single backtick opens no code.
        assert_eq!(wrap("a `b c d", 4, 4), ["a `b", "c d"]);
        assert_eq!(wrap("größer als", 6, 6), ["größer", "als"]);
    }

    #[test]
    fn only_long_lines_of_a_message_change() {
        let long = "word ".repeat(30);
        let message = format!("short   one\n    {}\n", long.trim_end());
        let wrapped = wrap_message(&message, 6, 2);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!(lines[0], "short   one");
        assert!(lines[1].starts_with("    word") && lines[2].starts_with("      word"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(wrapped.ends_with("word\n"));
        let first = wrap_message(&"x".repeat(80), 20, 0);
        assert_eq!(first, "x".repeat(80));
        let placed = wrap_message(&format!("{} second", "x".repeat(70)), 20, 6);
        assert_eq!(placed, format!("{}\n      second", "x".repeat(70)));
    }
}
