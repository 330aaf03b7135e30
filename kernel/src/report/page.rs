//! Pages of help, as text for a console and as HTML.

use super::wrap::{WIDTH, wrap};
use phalanx_protocol::look::{INDENT, escape};
use phalanx_protocol::output::MimeBundle;
use std::fmt::Write as _;

/// The largest width of a list's left column; the explanation of a longer entry is placed below it.
const MAX_LEFT: usize = 30;

/// A writer of help pages. Backticks in prose mark code.
#[derive(Debug)]
pub struct PageWriter {
    text: String,
    html: String,
}

impl Default for PageWriter {
    /// Creates an empty page.
    fn default() -> Self {
        Self {
            text: String::new(),
            html: format!("<div style=\"{INDENT}\">"),
        }
    }
}

impl PageWriter {
    /// Adds preformatted lines.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.gap();
        let _ = writeln!(self.text, "{}", code.trim_end());
        let _ = write!(
            self.html,
            "<pre style=\"padding:0\">{}</pre>",
            escape(code.trim_end())
        );
        self
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn paragraph(mut self, prose: &str) -> Self {
        self.gap();
        for line in wrap(prose, WIDTH, WIDTH) {
            let _ = writeln!(self.text, "{line}");
        }
        let _ = write!(self.html, "<p>{}</p>", marked(prose));
        self
    }

    /// Adds a titled list of entries and explanations.
    #[must_use]
    pub fn list(mut self, title: &str, entries: &[(String, String)]) -> Self {
        if entries.is_empty() {
            return self;
        }
        self.gap();
        let widths = entries.iter().map(|(left, _)| left.chars().count());
        let left_width = widths.filter(|width| *width <= MAX_LEFT).max().unwrap_or(0);
        let _ = writeln!(self.text, "{title}:");
        let _ = write!(
            self.html,
            "<p>{}</p><table style=\"margin-left:0\">",
            escape(title)
        );
        for (left, right) in entries {
            let indent = " ".repeat(left_width + 4);
            let width = WIDTH - indent.len();
            let lines = wrap(right, width, width);
            let mut lines = lines.iter();
            let first = match left.chars().count() {
                width if width <= left_width => lines.next().map_or("", String::as_str),
                _ => "",
            };
            let line = format!("  {left:<left_width$}  {first}");
            let _ = writeln!(self.text, "{}", line.trim_end());
            for line in lines {
                let _ = writeln!(self.text, "{indent}{line}");
            }
            let _ = write!(
                self.html,
                "<tr><td style=\"text-align:left;white-space:nowrap;vertical-align:top\"><code style=\"white-space:nowrap\">{}</code></td>\
                 <td style=\"text-align:left\">{}</td></tr>",
                escape(left.trim()),
                marked(right)
            );
        }
        self.html.push_str("</table>");
        self
    }

    /// Returns the page in both representations.
    pub fn bundle(self) -> MimeBundle {
        MimeBundle::plain(self.text).with("text/html", self.html + "</div>")
    }

    fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }
}

/// Converts prose to HTML, with text between backticks as code.
fn marked(prose: &str) -> String {
    let mut html = String::new();
    for (at, part) in prose.split('`').enumerate() {
        let part = escape(part);
        match at % 2 {
            0 => html.push_str(&part),
            _ => {
                let _ = write!(html, "<code>{part}</code>");
            }
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_between_words_and_code_is_marked() {
        let long = "option ".repeat(30);
        let entries = [
            ("-t".to_owned(), long),
            (
                "--a-name-that-is-too-long-for-a-column N".to_owned(),
                "of `a<b`".to_owned(),
            ),
        ];
        let page = PageWriter::default()
            .code("%px CODE")
            .paragraph("Runs `CODE` there.")
            .list("Options", &entries)
            .bundle();
        let text = page.text().unwrap();
        assert!(text.starts_with("%px CODE\n\nRuns `CODE` there.\n\nOptions:\n  -t  option"));
        assert!(text.ends_with("for-a-column N\n      of `a<b`\n"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.split_whitespace()
                .all(|word| !word.starts_with("ption"))
        );
        let html = page.0["text/html"].as_str().unwrap();
        assert!(html.contains("Runs <code>CODE</code> there."), "{html}");
        assert!(html.contains("of <code>a&lt;b</code>"), "{html}");
    }
}
