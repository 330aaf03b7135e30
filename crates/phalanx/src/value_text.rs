//! The text of a cell's value, truncated if long.

use std::fmt::{self, Write};

/// The maximum length of a value's text, in bytes: about 250 full lines.
const LIMIT: usize = 20_000;

/// The text of a value, possibly truncated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ValueText {
    text: String,
    is_whole: bool,
}

impl ValueText {
    /// Formats a value until its text is complete or reaches the limit, so that a value of 10⁹
    /// elements takes no longer.
    pub(crate) fn new(value: fmt::Arguments<'_>) -> Self {
        let mut value_text = Self {
            text: String::new(),
            is_whole: true,
        };
        // An error comes from the limit, or from an implementation that stops; the text so far is
        // shown.
        let _ = value_text.write_fmt(value);
        value_text
    }

    /// Returns the text, unless it was truncated.
    pub(crate) fn whole(&self) -> Option<&str> {
        self.is_whole.then_some(self.text.as_str())
    }
}

impl Write for ValueText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if !self.is_whole {
            return Err(fmt::Error);
        }
        let room = LIMIT.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
        self.is_whole = false;
        Err(fmt::Error)
    }
}

impl fmt::Display for ValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.is_whole {
            f.write_str("…\n[cut: the value's text is long; `println!` prints all of it]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_are_shown_whole() {
        let text = ValueText::new(format_args!("{:?}", ["ä", "b"]));
        assert_eq!(text.whole(), Some(r#"["ä", "b"]"#));
        assert_eq!(text.to_string(), r#"["ä", "b"]"#);
        let longest = "x".repeat(LIMIT);
        assert_eq!(
            ValueText::new(format_args!("{longest}")).whole(),
            Some(longest.as_str())
        );
    }

    #[test]
    fn long_values_are_cut_at_characters_and_formatting_stops() {
        struct Endless(std::cell::Cell<usize>);
        impl fmt::Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    self.0.set(self.0.get() + 1);
                    f.write_str("größer ")?;
                }
            }
        }
        let endless = Endless(std::cell::Cell::new(0));
        let text = ValueText::new(format_args!("{endless:?}"));
        assert_eq!(text.whole(), None);
        assert!(endless.0.get() <= LIMIT / "größer ".len() + 1);
        let shown = text.to_string();
        assert!(shown.starts_with("größer größer "), "{shown:.60}");
        assert!(shown.len() < LIMIT + 100);
        assert!(shown.ends_with("`println!` prints all of it]"));
    }

    #[test]
    fn formatting_stops_despite_ignored_errors() {
        struct Stubborn;
        impl fmt::Debug for Stubborn {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for _ in 0..2 * LIMIT {
                    let _ = f.write_str("ab");
                }
                Ok(())
            }
        }
        let text = ValueText::new(format_args!("{Stubborn:?}"));
        assert_eq!(text.whole(), None);
        assert!(text.to_string().len() < LIMIT + 100);
    }
}
