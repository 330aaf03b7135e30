//! Completion and inspection: magics by their tables, Rust by the evaluator, and by what is known
//! without it while it is busy.

use super::Services;
use crate::cell::{AtCursor, at_cursor, byte_offset, char_offset};
use crate::magic::{help, low};
use crate::report::output::media;
use phalanx_protocol::evaluator::{Completion, Completions, Documentation};
use phalanx_protocol::jupyter::{
    CompleteReply, CompleteRequest, InspectReply, InspectRequest, JupyterMessageContent,
};
use phalanx_protocol::output::MimeBundle;
use serde_json::json;
use std::ops::Range;

/// Rust's keywords that begin something worth completing.
const KEYWORDS: [&str; 24] = [
    "async", "await", "break", "const", "continue", "else", "enum", "extern", "false", "for",
    "impl", "let", "loop", "match", "mod", "move", "return", "static", "struct", "trait", "true",
    "type", "where", "while",
];

/// Answers `complete_request`.
pub async fn complete(services: &Services, request: CompleteRequest) -> JupyterMessageContent {
    let cell = &request.code;
    let offset = byte_offset(cell, request.cursor_pos);
    let found = match at_cursor(cell, offset) {
        AtCursor::Magic(line) => magic_completions(cell, line, offset),
        AtCursor::Shell => Completions::default(),
        AtCursor::Rust(source) | AtCursor::Command(source) => {
            let known = services.local().complete(source, offset).await;
            known.unwrap_or_else(|| word_completions(cell, offset, &services.local().variables()))
        }
        AtCursor::Body(source) => {
            let known = services.complete_for_engines(source, offset).await;
            let words = word_completions(cell, offset, &services.engine_variables().await);
            known.map_or(words.clone(), |known| merged(words, known))
        }
    };
    reply(cell, found).into()
}

fn reply(cell: &str, found: Completions) -> CompleteReply {
    let start = char_offset(cell, found.start);
    let end = char_offset(cell, found.end);
    let types: Vec<_> = found
        .items
        .iter()
        .map(|item| json!({"text": item.code, "type": item.kind, "start": start, "end": end}))
        .collect();
    let mut reply = CompleteReply {
        matches: found.items.into_iter().map(|item| item.code).collect(),
        cursor_start: start,
        cursor_end: end,
        ..CompleteReply::default()
    };
    reply
        .metadata
        .insert("_jupyter_types_experimental".to_owned(), types.into());
    reply
}

fn completions(range: Range<usize>, codes: Vec<String>, kind: &str) -> Completions {
    let items = codes.into_iter().map(|code| Completion {
        label: code.clone(),
        code,
        kind: kind.to_owned(),
    });
    Completions {
        start: range.start,
        end: range.end,
        items: items.collect(),
    }
}

fn magic_completions(cell: &str, line: Range<usize>, offset: usize) -> Completions {
    let typed = &cell[line.start..offset.max(line.start)];
    let sign = if typed.starts_with("%%") { "%%" } else { "%" };
    let name_end = typed.find(char::is_whitespace).unwrap_or(typed.len());
    if name_end == typed.len() {
        let names = low::NAMES.iter().map(|name| format!("{sign}{name}"));
        let codes = names.filter(|name| name.starts_with(typed)).collect();
        return completions(line.start..offset, codes, "magic");
    }
    let name = typed[..name_end].trim_start_matches('%');
    let start = line.start + typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &cell[start..offset];
    let codes: Vec<String> = if name == "cluster" && !word.starts_with('-') {
        ["start", "stop", "status"].map(str::to_owned).to_vec()
    } else {
        help::option_names(name)
    };
    let codes = codes.into_iter().filter(|code| code.starts_with(word));
    completions(start..offset, codes.collect(), "magic")
}

fn word_completions(cell: &str, offset: usize, variables: &[String]) -> Completions {
    let word = word_at(cell, offset);
    let word = word.start..offset;
    let typed = &cell[word.clone()];
    let after_dot = cell[..word.start].trim_end().ends_with(['.', ':']);
    if typed.is_empty() || after_dot {
        return completions(offset..offset, Vec::new(), "keyword");
    }
    let known = variables.iter().map(String::as_str).chain(KEYWORDS);
    let codes = known.filter(|code| code.starts_with(typed));
    let codes = codes.map(str::to_owned).collect();
    completions(word, codes, "instance")
}

/// What is known of the engines' variables, then what is known of Rust.
fn merged(words: Completions, known: Completions) -> Completions {
    if words.items.is_empty() || (words.start, words.end) != (known.start, known.end) {
        return known;
    }
    let mut items = words.items;
    let new = |item: &Completion| !items.iter().any(|other| other.code == item.code);
    let more: Vec<Completion> = known.items.into_iter().filter(new).collect();
    items.extend(more);
    Completions { items, ..words }
}

/// The bytes of the identifier at an offset.
fn word_at(text: &str, offset: usize) -> Range<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let start = text[..offset]
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_word(*c))
        .last()
        .map_or(offset, |(at, _)| at);
    let end = text[offset..]
        .find(|c| !is_word(c))
        .map_or(text.len(), |at| offset + at);
    start..end
}

/// Answers `inspect_request`.
pub async fn inspect(services: &Services, request: InspectRequest) -> JupyterMessageContent {
    let cell = &request.code;
    let offset = byte_offset(cell, request.cursor_pos);
    let source = request.detail_level.is_some_and(|level| level > 0);
    let found = describe(services, cell, offset, source).await;
    InspectReply {
        found: found.is_some(),
        data: media(found.unwrap_or_default()),
        ..InspectReply::default()
    }
    .into()
}

/// What is known of the name at a byte offset of a cell, with its source where that is wanted.
pub async fn describe(
    services: &Services,
    cell: &str,
    offset: usize,
    _source: bool,
) -> Option<MimeBundle> {
    match at_cursor(cell, offset) {
        AtCursor::Magic(line) => magic_help(cell, line),
        AtCursor::Shell => None,
        AtCursor::Rust(source) | AtCursor::Command(source) => services
            .local()
            .inspect(source, offset)
            .await
            .map(documentation),
        AtCursor::Body(source) => services
            .inspect_for_engines(source, offset)
            .await
            .map(documentation),
    }
}

fn documentation(documentation: Documentation) -> MimeBundle {
    MimeBundle::plain(documentation.plain).with("text/html", documentation.html)
}

fn magic_help(cell: &str, line: Range<usize>) -> Option<MimeBundle> {
    let name = cell[line].trim_start_matches('%');
    let name = &name[word_at(name, 0)];
    low::NAMES
        .contains(&name)
        .then(|| MimeBundle::plain(help::help(name)))
}
