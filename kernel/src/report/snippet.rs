//! Source lines with marked errors, in rustc's format.

use super::FaultSource;
use super::colours::{EMPHASIS, ERROR, LINES, renderer};
use super::wrap::{WIDTH, wrap};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use std::ops::Range;

/// Renders an error of rustc with lines of the cell.
pub(super) fn diagnostic(diagnostic: &Diagnostic, location: &FaultSource) -> String {
    if diagnostic.spans.is_empty()
        && let Some(rendered) = &diagnostic.rendered
    {
        return coloured(rendered.trim_end());
    }
    shown(diagnostic, location, &renderer())
}

/// Renders an error of rustc with lines of its text, without colours.
pub(super) fn without_colours(diagnostic: &Diagnostic, location: &FaultSource) -> String {
    shown(diagnostic, location, &Renderer::plain())
}

fn shown(diagnostic: &Diagnostic, location: &FaultSource, renderer: &Renderer) -> String {
    // In rustc's format, the further lines of a title are indented like the first one.
    let label = diagnostic.code.as_ref().map_or(0, |code| code.len() + 2) + "error: ".len();
    let width = WIDTH.saturating_sub(label);
    let message = match label + diagnostic.message.chars().count() > WIDTH {
        true => wrap(&diagnostic.message, width, width).join("\n"),
        false => diagnostic.message.clone(),
    };
    let title = Level::ERROR.primary_title(message);
    let title = match &diagnostic.code {
        Some(code) => title.id(code.as_str()),
        None => title,
    };
    let mut group = Group::with_title(title);
    if !diagnostic.spans.is_empty() {
        let annotations = diagnostic
            .spans
            .iter()
            .map(|span| annotation(location, span));
        group = group.element(
            Snippet::source(&*location.text)
                .path(location.name.as_str())
                .annotations(annotations),
        );
    }
    let help = diagnostic.help.iter().map(|help| in_lines(help));
    let group = group.elements(help.map(|help| Level::HELP.message(help)));
    renderer.render(&[group])
}

/// The width of a line of help in characters, without the margin that rustc's format has.
const HELP_WIDTH: usize = WIDTH - 10;

/// Wraps the first line of a help text between words, not within code; the others are code.
fn in_lines(help: &str) -> String {
    let (prose, code) = match help.split_once('\n') {
        Some((prose, code)) => (prose, Some(code)),
        None => (help, None),
    };
    let mut lines = wrap(prose, HELP_WIDTH, HELP_WIDTH);
    lines.extend(code.map(str::to_owned));
    lines.join("\n")
}

/// Adds the colours of a terminal to an error rendered by rustc.
fn coloured(rendered: &str) -> String {
    let lines = rendered.lines().map(|line| {
        let marked = line
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let gutter = match marked.trim_start().chars().next() {
            Some('|' | '=') => line.find(['|', '=']).map_or(0, |at| at + 1),
            _ if marked.starts_with("-->") => line.find('>').map_or(0, |at| at + 1),
            _ => 0,
        };
        let (gutter, text) = line.split_at(gutter);
        if !gutter.is_empty() {
            return format!("{LINES}{gutter}{LINES:#}{text}");
        }
        match line.split_once(": ") {
            Some((level, text)) if level.starts_with("error") => {
                format!("{ERROR}{level}{ERROR:#}{EMPHASIS}: {text}{EMPHASIS:#}")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn annotation<'a>(location: &FaultSource, span: &'a DiagnosticSpan) -> Annotation<'a> {
    let mapped = location.map.span(span);
    let start = offset(&location.text, mapped.start_line, mapped.start_column);
    let end = offset(&location.text, mapped.end_line, mapped.end_column).max(start);
    let kind = if span.primary {
        AnnotationKind::Primary
    } else {
        AnnotationKind::Context
    };
    let annotation = kind.span(start..end);
    if span.label.is_empty() {
        annotation
    } else {
        annotation.label(span.label.as_str())
    }
}

/// Renders a marked range of a text under a title.
pub(super) fn marked(title: &str, location: &FaultSource, span: Range<usize>) -> String {
    let snippet = Snippet::source(&*location.text)
        .path(location.name.as_str())
        .annotation(AnnotationKind::Primary.span(span));
    let group = Group::with_title(Level::ERROR.primary_title(title)).element(snippet);
    renderer().render(&[group])
}

/// Returns the byte offset of a line and a column (in characters), both counted from 1; limited to
/// the line.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text[start..].find('\n') {
            Some(at) => start += at + 1,
            None => return text.len(),
        }
    }
    let rest = &text[start..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    start
        + line
            .char_indices()
            .nth(column.saturating_sub(1))
            .map_or(line.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::{coloured, in_lines};

    #[test]
    fn help_is_wrapped_between_words_and_not_within_code() {
        let code =
            "`let shouted: Vec<String> = names.clone().into_iter().map(|name| name).collect();`";
        let help = format!(
            "you can clone the value, but this might not be your desired behaviour: {code}"
        );
        let shown = in_lines(&help);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "you can clone the value, but this might not be your desired behaviour:",
                code
            ]
        );
        let listed = "the following types implement `Sum`:\n  `i8` implements `Sum`";
        assert_eq!(in_lines(listed), listed);
    }

    #[test]
    fn an_error_outside_the_cell_is_coloured_and_keeps_its_text() {
        let rendered = "error[E0308]: mismatched: types\n  --> /größe/src/lib.rs:10:1\n   |\n10 | a || b\n   |   ^^ here\n   = help: none";
        let shown = coloured(rendered);
        let lines = shown.lines().collect::<Vec<_>>();
        assert!(
            lines[0].starts_with("\x1b[31merror[E0308]\x1b[0m"),
            "{shown:?}"
        );
        assert!(lines[3].ends_with("\x1b[0m a || b"), "{shown:?}");
        let plain = shown.split('\x1b').map(|part| match part.split_once('m') {
            Some((code, text)) if code.starts_with('[') => text,
            _ => part,
        });
        assert_eq!(plain.collect::<String>(), rendered);
    }
}
