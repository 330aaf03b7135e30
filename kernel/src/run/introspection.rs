//! Completion and inspection: of magics by their tables, of Rust by the analysis process, or
//! without it by known names while it is loading.

use super::analysis::ScopedAnalysis;
use super::locked::Locked;
use super::{Environment, Local, crates, paths};
use crate::cell::{AtCursor, at_cursor, byte_offset, char_offset, items};
use crate::command::complete as command;
use crate::command::{ArgumentKind, help as command_help, table};
use crate::completion::{ExpectedCompletions, PathKind};
use crate::magic::{
    self, Magic, MagicSets, MagicSuffix, Profile, Targets, TimeIt, Tool,
    complete::CompletionContext, help, name,
};
use crate::parallel::cluster::connectable;
use crate::report::output::media;
use phalanx_protocol::analysis::{Completion, Completions, Documentation};
use phalanx_protocol::jupyter::{
    CompleteReply, CompleteRequest, InspectReply, InspectRequest, JupyterMessageContent,
};
use phalanx_protocol::output::MimeBundle;
use serde_json::json;
use std::collections::HashSet;
use std::ops::Range;

/// Rust's keywords after which more is typed.
const KEYWORDS: [&str; 24] = [
    "async", "await", "break", "const", "continue", "else", "enum", "extern", "false", "for",
    "impl", "let", "loop", "match", "mod", "move", "return", "static", "struct", "trait", "true",
    "type", "where", "while",
];

/// The parts that complete and describe code.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The analysis process.
    pub(super) analysis: ScopedAnalysis,
    /// The local namespace.
    pub(super) local: Local,
    /// The state of the sets of magics.
    pub(super) magic_sets: Locked<MagicSets>,
    /// The folder to which paths are relative.
    pub(super) environment: Environment,
}

impl Introspection {
    /// Replies to a `complete_request`.
    pub async fn complete(&self, request: CompleteRequest) -> JupyterMessageContent {
        let cell = &request.code;
        let offset = byte_offset(cell, request.cursor_pos);
        let found = match at_cursor(cell, offset) {
            AtCursor::Magic(line) => {
                let found = self.magic_completions(cell, line.start, offset).await;
                match found {
                    Some(found) => found,
                    // The Rust of a `%px` line, or of a tool's line.
                    None => self.line_completions(cell, line.start, offset).await,
                }
            }
            AtCursor::Shell(start) => {
                let typed = &cell[start..offset];
                self.expected(start, typed, command::complete_shell(typed))
                    .unwrap_or_default()
            }
            AtCursor::Command(source) => {
                let start = source.len() - source.trim_start().len();
                let typed = &cell[start.min(offset)..offset];
                let variables = self.local.variables();
                let known = command::complete(typed, &variables);
                match self.expected(start, typed, known) {
                    Some(found) => found,
                    None => {
                        // The Rust after the command's name.
                        let name = typed.find(char::is_whitespace).unwrap_or(typed.len());
                        let source = " ".repeat(start + name) + &source[start + name..];
                        self.rust_completions(cell, source, offset).await
                    }
                }
            }
            AtCursor::Rust(source) => self.rust_completions(cell, source, offset).await,
            AtCursor::Body(source) if self.runs_locally(cell) => {
                self.rust_completions(cell, source, offset).await
            }
            AtCursor::Body(source) => {
                let targets = self.targets(cell);
                self.engine_completions(cell, source, offset, &targets)
                    .await
            }
        };
        reply(cell, found).into()
    }

    /// Replies to an `inspect_request`.
    pub async fn inspect(&self, request: InspectRequest) -> JupyterMessageContent {
        let cell = &request.code;
        let offset = byte_offset(cell, request.cursor_pos);
        let source = request.detail_level.is_some_and(|level| level > 0);
        let found = self.describe(cell, offset, source).await;
        InspectReply {
            found: found.is_some(),
            data: media(found.unwrap_or_default()),
            ..InspectReply::default()
        }
        .into()
    }

    /// Describes the name at a byte offset of a cell, with its source if requested.
    pub async fn describe(&self, cell: &str, offset: usize, source: bool) -> Option<MimeBundle> {
        let about = self.explain(cell, offset).await;
        if !source {
            return about;
        }
        let name = &cell[word_at(cell, offset)];
        let cells = self.local.sources().await;
        match (definition(&cells, name), about) {
            (None, about) => about,
            (Some(text), about) => {
                let about = about
                    .as_ref()
                    .and_then(MimeBundle::text)
                    .unwrap_or_default();
                let page = format!("{text}\n\n{about}");
                Some(MimeBundle::plain(page.trim_end()))
            }
        }
    }

    async fn rust_completions(&self, cell: &str, source: String, offset: usize) -> Completions {
        let known = self.analysis.complete(source, offset).await;
        known.unwrap_or_else(|| word_completions(cell, offset, &self.local.variables()))
    }

    /// Converts completions at the end of a line that starts at byte `start`; `None` in its Rust part.
    fn expected(
        &self,
        start: usize,
        typed: &str,
        expected: ExpectedCompletions,
    ) -> Option<Completions> {
        let (span, codes, kind) = match expected {
            ExpectedCompletions::Words(span, codes) => (span, codes, "magic"),
            ExpectedCompletions::Path(span, kind) => {
                let begun = &typed[span.clone()];
                let environment = &self.environment;
                let mut found = match kind {
                    PathKind::Program => paths::programs(environment, begun),
                    _ => paths::beginning_with(environment, begun, kind),
                };
                // All crates would hide the folders, so a first letter is required.
                if kind == PathKind::Crate && !begun.is_empty() && !begun.contains('/') {
                    found.extend(crates::beginning_with(begun));
                }
                (span, found, "path")
            }
            ExpectedCompletions::Rust => return None,
        };
        Some(completions(
            start + span.start..start + span.end,
            codes,
            kind,
        ))
    }

    /// Completes a magic's line; `None` in its Rust part.
    async fn magic_completions(
        &self,
        cell: &str,
        start: usize,
        offset: usize,
    ) -> Option<Completions> {
        let typed = &cell[start..offset.max(start)];
        let engines = self.analysis.engines().await;
        let clusters = match typed.contains("connect") {
            true => connectable().await,
            false => Vec::new(),
        };
        let known = CompletionContext {
            suffixes: self.suffixes(),
            engines: engines.iter().map(|engine| engine.id).collect(),
            clusters,
        };
        self.expected(start, typed, magic::complete::complete(typed, &known))
    }

    /// Completes the Rust of a magic's line.
    async fn line_completions(&self, cell: &str, start: usize, offset: usize) -> Completions {
        let line = cell[start..].lines().next().unwrap_or("");
        let suffixes = self.suffixes();
        let code = match magic::parse(line, &suffixes).map(|typed| typed.magic) {
            Ok(Magic::Px { code, .. }) => start + code.start..start + line.len(),
            Ok(Magic::Tool(
                Tool::TimeIt(TimeIt { code, targets, .. })
                | Tool::Profile(Profile { code, targets }),
            )) => {
                let code = start + code.start..start + code.end;
                if targets.is_none() {
                    let source = blanked(cell, &code);
                    return self.rust_completions(cell, source, offset).await;
                }
                code
            }
            _ => offset..offset,
        };
        let source: String = blanked(cell, &code);
        let targets = self.targets(line);
        self.engine_completions(cell, source, offset, &targets)
            .await
    }

    /// Returns the completions of code for engines, with the words and variables there.
    async fn engine_completions(
        &self,
        cell: &str,
        source: String,
        offset: usize,
        targets: &Targets,
    ) -> Completions {
        let known = self
            .analysis
            .complete_for_engines(source, offset, targets)
            .await;
        let variables = self.analysis.engine_variables(targets).await;
        let words = word_completions(cell, offset, &variables);
        known.map_or(words.clone(), |known| merged(words, known))
    }

    async fn explain(&self, cell: &str, offset: usize) -> Option<MimeBundle> {
        let offset = word_at(cell, offset).end;
        match at_cursor(cell, offset) {
            AtCursor::Magic(line) => self.magic_help(cell, line),
            AtCursor::Shell(_) => None,
            AtCursor::Rust(source) => self
                .analysis
                .inspect(source, offset)
                .await
                .map(documentation),
            AtCursor::Command(source) => {
                let start = source.len() - source.trim_start().len();
                let name = source[start..].split_whitespace().next().unwrap_or("");
                let spec = table::find(name)?;
                if offset > start + name.len() && spec.values == ArgumentKind::Rust {
                    let source = " ".repeat(start + name.len()) + &source[start + name.len()..];
                    return self
                        .analysis
                        .inspect(source, offset)
                        .await
                        .map(documentation);
                }
                Some(command_help::of(spec))
            }
            AtCursor::Body(source) => self
                .analysis
                .inspect_for_engines(source, offset, &self.targets(cell))
                .await
                .map(documentation),
        }
    }

    fn magic_help(&self, cell: &str, line: Range<usize>) -> Option<MimeBundle> {
        let name = cell[line].trim_start_matches('%');
        let name = &name[word_at(name, 0)];
        let (name, _) = name::resolve(name, &self.suffixes())?;
        Some(help::help(name))
    }

    /// Returns the targets of the magic line at the start of a text.
    fn targets(&self, text: &str) -> Targets {
        let line = text.trim_start().lines().next().unwrap_or("");
        let sets = self.magic_sets.lock();
        match magic::parse(line, &sets.suffixes()) {
            Ok(typed) => {
                let typed_targets = match typed.magic {
                    Magic::Px { options, .. } => options.targets,
                    _ => None,
                };
                typed_targets.map_or_else(|| sets.targets(&typed.suffix), |(targets, _)| targets)
            }
            Err(_) => sets.targets(&MagicSuffix::default()),
        }
    }

    /// Returns true if the body of a cell magic runs in the notebook's own process.
    fn runs_locally(&self, cell: &str) -> bool {
        let line = cell.trim_start().lines().next().unwrap_or("");
        let typed = magic::parse(line, &self.suffixes());
        typed.is_ok_and(|typed| match typed.magic {
            Magic::Tool(
                Tool::TimeIt(TimeIt { targets, .. }) | Tool::Profile(Profile { targets, .. }),
            ) => targets.is_none(),
            _ => false,
        })
    }

    /// Returns the suffixes of the sets of magics.
    pub(super) fn suffixes(&self) -> Vec<MagicSuffix> {
        self.magic_sets.lock().suffixes()
    }
}

fn reply(cell: &str, mut found: Completions) -> CompleteReply {
    // A variable and the one it shadows have the same name.
    let mut seen = HashSet::new();
    found.items.retain(|item| seen.insert(item.code.clone()));
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

/// Returns a text with spaces for everything outside of `kept`, so that offsets remain valid.
fn blanked(text: &str, kept: &Range<usize>) -> String {
    let blank = |range: Range<usize>| -> String {
        let bytes = text[range].bytes();
        bytes
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
            .collect()
    };
    let before = blank(0..kept.start);
    let after = blank(kept.end..text.len());
    format!("{before}{}{after}", &text[kept.clone()])
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

/// Merges completions from the engines' variables with those of Rust.
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

/// Returns the range of the identifier at an offset, in bytes.
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

/// Returns the latest definition of an item by this name.
fn definition(cells: &[String], name: &str) -> Option<String> {
    let items = cells.iter().rev().flat_map(|cell| items(cell));
    let mut named = items.filter(|item| {
        let mut words = item.name.split_whitespace();
        let defines = !matches!(words.next(), Some("impl" | "use"));
        defines && words.next_back() == Some(name)
    });
    named.next().map(|item| item.text)
}

fn documentation(documentation: Documentation) -> MimeBundle {
    MimeBundle::plain(documentation.plain).with("text/markdown", documentation.markdown)
}

#[cfg(test)]
mod tests {
    use super::{completions, definition, reply};

    #[test]
    fn completions_of_the_same_name_are_merged() {
        let codes = ["gr", "größe", "gr"].map(str::to_owned).to_vec();
        let reply = reply("ö gr", completions(3..5, codes, "instance"));
        assert_eq!(reply.matches, ["gr", "größe"]);
        assert_eq!((reply.cursor_start, reply.cursor_end), (2, 4));
    }

    #[test]
    fn the_newest_definition_is_shown() {
        let cells = [
            "fn f() { 1 }",
            "/* f */ use a::f;",
            "pub fn f() { 2 }\nstruct A; impl A {}",
        ];
        let cells = cells.map(str::to_owned);
        assert_eq!(definition(&cells, "f").as_deref(), Some("pub fn f() { 2 }"));
        assert_eq!(definition(&cells, "A").as_deref(), Some("struct A;"));
        assert_eq!(definition(&cells, "g"), None);
    }
}
