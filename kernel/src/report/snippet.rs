//! Source lines with what is wrong in them, as rustc shows them.

use super::Place;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use std::ops::Range;

/// One error of rustc with the cell's lines.
pub(super) fn diagnostic(diagnostic: &Diagnostic, place: &Place) -> String {
    if diagnostic.spans.is_empty()
        && let Some(rendered) = &diagnostic.rendered
    {
        return rendered.trim_end().to_owned();
    }
    let title = Level::ERROR.primary_title(diagnostic.message.as_str());
    let title = match &diagnostic.code {
        Some(code) => title.id(code.as_str()),
        None => title,
    };
    let mut group = Group::with_title(title);
    if !diagnostic.spans.is_empty() {
        let annotations = diagnostic.spans.iter().map(|span| annotation(place, span));
        group = group.element(
            Snippet::source(&*place.text)
                .path(place.name.as_str())
                .annotations(annotations),
        );
    }
    let help = diagnostic.help.iter();
    let group = group.elements(help.map(|help| Level::HELP.message(help.as_str())));
    Renderer::styled().render(&[group])
}

fn annotation<'a>(place: &Place, span: &'a DiagnosticSpan) -> Annotation<'a> {
    let mapped = place.map.span(span);
    let start = offset(&place.text, mapped.start_line, mapped.start_column);
    let end = offset(&place.text, mapped.end_line, mapped.end_column).max(start);
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

/// A stretch of a text marked as wrong, under a title.
pub(super) fn marked(title: &str, place: &Place, span: Range<usize>) -> String {
    let snippet = Snippet::source(&*place.text)
        .path(place.name.as_str())
        .annotation(AnnotationKind::Primary.span(span));
    let group = Group::with_title(Level::ERROR.primary_title(title)).element(snippet);
    Renderer::styled().render(&[group])
}

/// Byte offset of a line and a column, both from 1, the column in characters; clamped to the line.
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
