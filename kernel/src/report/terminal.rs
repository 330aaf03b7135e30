//! Progress bars for consoles, which cannot update earlier output.

use phalanx_protocol::look::bar::is_bar;
use phalanx_protocol::output::{Output, StreamName};
use std::collections::BTreeMap;

/// The bars of a cell, each overwriting the last line as tqdm does. Pure.
#[derive(Debug, Default)]
pub struct Terminal {
    /// The id and text of the bar on the last line.
    live: Option<(String, String)>,
    /// Texts of bars that were updated while another one was on the last line, or that are one of
    /// several lines, and of other displays that were updated, by id.
    waiting: BTreeMap<String, String>,
}

impl Terminal {
    /// Converts an output to those a console can print.
    pub fn output(&mut self, output: Output) -> Vec<Output> {
        let Output::Display(display) = &output else {
            return self.beside(output);
        };
        let text = display.data.text().unwrap_or_default();
        let Some(id) = display.display_id.as_ref().filter(|_| is_bar(display)) else {
            return match &display.display_id {
                // Consoles ignore updates: the last text follows at the end.
                Some(id) if display.update && !text.is_empty() => {
                    self.waiting.insert(id.clone(), text.to_owned());
                    vec![output]
                }
                _ => self.beside(output),
            };
        };
        if text.contains('\n') {
            // Only the last line can be written again.
            if display.update {
                self.waiting.insert(id.clone(), text.to_owned());
                return Vec::new();
            }
            return self.beside(output);
        }
        let width = |text: &str| text.chars().count();
        let written = match &self.live {
            Some((live, shown)) if live == id && shown == text => return Vec::new(),
            Some((live, shown)) if live == id => {
                let rest = " ".repeat(width(shown).saturating_sub(width(text)));
                format!("\r{text}{rest}")
            }
            Some(_) if display.update => {
                self.waiting.insert(id.clone(), text.to_owned());
                return Vec::new();
            }
            Some(_) => format!("\n{text}"),
            None => text.to_owned(),
        };
        self.waiting.remove(id);
        self.live = Some((id.clone(), text.to_owned()));
        vec![stderr(written)]
    }

    /// Returns the rest of the text at the end of the cell.
    pub fn finish(&mut self) -> Option<Output> {
        let mut text = String::new();
        if self.live.take().is_some() {
            text.push('\n');
        }
        for bar in std::mem::take(&mut self.waiting).into_values() {
            text.push_str(&bar);
            text.push('\n');
        }
        (!text.is_empty()).then(|| stderr(text))
    }

    /// Starts a new line for an output other than a bar.
    fn beside(&mut self, output: Output) -> Vec<Output> {
        let end = self.live.take().map(|_| stderr("\n".to_owned()));
        end.into_iter().chain([output]).collect()
    }
}

fn stderr(text: String) -> Output {
    let name = StreamName::Stderr;
    Output::Stream { name, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::look::bar;
    use phalanx_protocol::output::{Display, MimeBundle};

    fn text(outputs: impl IntoIterator<Item = Output>) -> String {
        let text = |output| match output {
            Output::Stream { text, .. } => text,
            other => format!("{other:?}"),
        };
        outputs.into_iter().map(text).collect()
    }

    #[test]
    fn bars_in_several_lines_are_written_once_more_at_the_end() {
        let mut terminal = Terminal::default();
        let mut shown = |text: &str, update| {
            let display = bar::display(MimeBundle::plain(text), "a", update);
            terminal.output(Output::Display(display))
        };
        assert_eq!(shown("two\n 0%", false).len(), 1);
        assert!(shown("two\n 9%", true).is_empty());
        assert!(shown("two\n99%", true).is_empty());
        assert_eq!(text(terminal.finish()), "two\n99%\n");
    }

    #[test]
    fn updates_of_other_displays_leave_a_bar_on_its_line() {
        let mut terminal = Terminal::default();
        let bar = |terminal: &mut Terminal, shown: &str, update| {
            let display = bar::display(MimeBundle::plain(shown), "a", update);
            text(terminal.output(Output::Display(display)))
        };
        assert_eq!(bar(&mut terminal, "1/9", false), "1/9");
        for label in ["b", "c"] {
            let update = Output::Display(Display {
                data: MimeBundle::plain(label),
                display_id: Some("label".to_owned()),
                update: true,
                ..Display::default()
            });
            assert_eq!(terminal.output(update.clone()), [update]);
        }
        assert_eq!(bar(&mut terminal, "2/9", true), "\r2/9");
        assert_eq!(text(terminal.finish()), "\nc\n");
    }

    #[test]
    fn a_bar_is_updated_on_its_line_and_erased_before_text() {
        let mut terminal = Terminal::default();
        let mut shown = |id: &str, text_: &str, update| {
            let display = bar::display(MimeBundle::plain(text_), id, update);
            text(terminal.output(Output::Display(display)))
        };
        assert_eq!(shown("a", "a:  0%", false), "a:  0%");
        assert_eq!(shown("a", "a: 9%", true), "\ra: 9% ");
        assert_eq!(shown("a", "a: 9%", true), "");
        assert_eq!(shown("b", "b: 0%", false), "\nb: 0%");
        assert_eq!(shown("a", "a: 50%", true), "");
        assert_eq!(shown("b", "b: 100%", true), "\rb: 100%");
        let line = |text: &str| Output::Stream {
            name: StreamName::Stdout,
            text: text.to_owned(),
        };
        assert_eq!(text(terminal.output(line("hello\n"))), "\nhello\n");
        assert_eq!(text(terminal.output(line("again\n"))), "again\n");
        assert_eq!(text(terminal.finish()), "a: 50%\n");
        assert_eq!(terminal.finish(), None);
    }
}
