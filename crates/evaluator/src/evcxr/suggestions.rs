//! rustc's suggestions, shown as the changed lines of the cell.

use super::cell_map::{CellMap, FILE, Position};
use super::error_hints;
use super::generated_crate::{depends_on, loaded_variable};
use super::spans::source_span;
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind};
use serde_json::Value;
use std::fmt::Write;

/// The maximum length of a line, in characters, and the maximum number of lines, of a change that
/// is shown.
const MAX_WIDTH: usize = 120;
const MAX_LINES: usize = 8;

/// The maximum number of alternatives listed.
const MAX_ALTERNATIVES: usize = 4;

/// The beginnings of rustc's notes that contain advice.
const ADVISING: [&str; 3] = [
    "an implementation of `",
    // In a session with a `?`, whose cells are closures; elsewhere it is a label.
    "move occurs because `",
    "the literal `",
];

/// A replacement of a part of the cell.
struct Edit<'a> {
    from: Position,
    to: Position,
    text: &'a str,
}

/// Returns the suggestions of an error, each with the changed lines of the cell.
pub(super) fn help(error: &Value, map: &CellMap<'_>) -> Vec<String> {
    let children = error["children"].as_array().into_iter().flatten();
    let advising = children.filter(|child| {
        let message = child["message"].as_str().unwrap_or_default();
        child["level"] == "help" || is_advice(message)
    });
    let mut help = Vec::new();
    for child in advising {
        let text = child["message"]
            .as_str()
            .map(|message| suggestion(message, child, map));
        help.extend(text.filter(|text| !help.contains(text)));
    }
    help
}

/// Returns true if a note of rustc's contains advice.
pub(super) fn is_advice(note: &str) -> bool {
    ADVISING.iter().any(|start| note.starts_with(start))
}

fn suggestion(message: &str, child: &Value, map: &CellMap<'_>) -> String {
    let message = message.trim_end_matches(':');
    if let Some(help) = error_hints::crate_to_add(message) {
        return help;
    }
    let spans = child["spans"].as_array().into_iter().flatten();
    let parts = spans.filter_map(|span| Some((span, span["suggested_replacement"].as_str()?)));
    let parts: Vec<(&Value, &str)> = parts.collect();
    let alternatives = match parts.as_slice() {
        [] => return with_labels(message, child),
        [(span, text)] => {
            if let Some(name) = immutable(span, text, map) {
                return format!(
                    "`{name}` was declared without `mut`: `let mut {name} = {name};` makes it mutable"
                );
            }
            if is_in(message, text) {
                return message.to_owned();
            }
            // Separate lines are imports, whose position is the user's choice. The message of a
            // replacement is sufficient.
            let is_replaced = span["byte_start"] != span["byte_end"] && !text.trim().is_empty();
            match is_replaced || text.ends_with('\n') {
                true => vec![*text],
                false => Vec::new(),
            }
        }
        [(first, _), rest @ ..] => {
            let byte_range = |span: &Value| (span["byte_start"].clone(), span["byte_end"].clone());
            let is_alternative = |(span, _): &(&Value, _)| byte_range(span) == byte_range(first);
            match rest.iter().filter(|part| is_alternative(part)).count() {
                0 => Vec::new(),
                same if same == rest.len() => parts.iter().map(|(_, text)| *text).collect(),
                // Several alternatives with several parts each, which rustc does not assign to each
                // other.
                _ => return message.to_owned(),
            }
        }
    };
    if !alternatives.is_empty() {
        let texts = alternatives.iter().take(MAX_ALTERNATIVES);
        let texts = texts.map(|text| format!("`{}`", text.trim()));
        return format!("{message}: {}", texts.collect::<Vec<_>>().join(" or "));
    }
    match (changed_lines(&parts, map), parts.as_slice()) {
        (Some(line), _) if !line.contains('\n') => format!("{message}: `{line}`"),
        (Some(lines), _) => format!("{message}:\n{lines}"),
        // A single part of a suggestion with several is useless.
        (None, [(_, text)]) if !text.trim().is_empty() && !text.contains('\n') => {
            format!("{message}: `{}`", text.trim())
        }
        (None, _) => message.to_owned(),
    }
}

/// Returns true if a message contains the suggested text.
fn is_in(message: &str, text: &str) -> bool {
    !text.trim().is_empty() && message.contains(&format!("`{}`", text.trim()))
}

/// Adds rustc's labels at the spans of a message to the message.
fn with_labels(message: &str, child: &Value) -> String {
    let spans = child["spans"].as_array().into_iter().flatten();
    let in_libraries = spans.filter(|span| span["file_name"] != FILE && is_known(span));
    let labels = in_libraries.filter_map(|span| span["label"].as_str());
    let mut text = message.to_owned();
    for (number, label) in labels.take(MAX_LINES).enumerate() {
        let separator = if number == 0 { ":" } else { "" };
        let _ = write!(text, "{separator}\n  {label}");
    }
    text
}

/// Returns false for a span in a crate that only the notebooks' own library depends on.
fn is_known(span: &Value) -> bool {
    let package = span["file_name"].as_str().and_then(|file| {
        let (_, path) = file.split_once("/registry/src/")?;
        let (name, _) = path.split('/').nth(1)?.rsplit_once('-')?;
        Some(name)
    });
    package.is_none_or(depends_on)
}

/// Returns the variable of an earlier cell that a suggestion would declare as mutable.
fn immutable<'a>(span: &Value, text: &str, map: &'a CellMap<'_>) -> Option<&'a str> {
    let (name, is_mutable) = loaded_variable(map.line(source_span(span)?)?)?;
    (!is_mutable && text.trim() == "mut").then_some(name)
}

/// Returns the lines of the cell that a suggestion changes, after the change.
fn changed_lines(parts: &[(&Value, &str)], map: &CellMap<'_>) -> Option<String> {
    let edits = parts.iter().map(|&(span, text)| {
        let (from, to) = map.inside(span)?;
        Some(Edit { from, to, text })
    });
    let mut edits: Vec<Edit<'_>> = edits.collect::<Option<_>>()?;
    edits.sort_by_key(|edit| edit.from);
    let overlap = |pair: &[Edit<'_>]| pair[0].to > pair[1].from;
    if edits.windows(2).any(overlap) {
        return None;
    }
    let lines: Vec<&str> = map.source.written.lines().collect();
    keep_closing_bracket(&mut edits, &lines);
    let (first, last) = (edits.first()?.from.0, edits.last()?.to.0);
    let before = lines.get(first.checked_sub(1)?..last)?;
    let mut text = String::new();
    let mut done = (first, 1);
    for edit in &edits {
        text += &between(before, first, done, edit.from)?;
        text += edit.text;
        done = edit.to;
    }
    let end = (last, before.last()?.chars().count() + 1);
    text += &between(before, first, done, end)?;
    let after: Vec<&str> = text.lines().collect();
    let is_same_count = after.len() == before.len();
    let shown = after.iter().zip(0..);
    // Unchanged lines are omitted.
    let shown = shown.filter(|(line, at)| !is_same_count || before.get(*at) != Some(*line));
    let shown: Vec<&str> = shown.map(|(line, _)| line.trim_end()).collect();
    let indented = |line: &&&str| line.len() - line.trim_start().len();
    let filled = shown.iter().filter(|line| !line.trim().is_empty());
    let indent = filled.map(|line| indented(&line)).min()?;
    let fits =
        shown.len() <= MAX_LINES && shown.iter().all(|line| line.chars().count() <= MAX_WIDTH);
    let dedented = shown
        .iter()
        .map(|line| line.get(indent..).unwrap_or_default());
    fits.then(|| dedented.collect::<Vec<_>>().join("\n"))
}

/// Leaves the bracket behind the arguments of a call in place: rustc's removal of all arguments of a
/// method contains it (`v.len(5)`).
fn keep_closing_bracket(edits: &mut [Edit<'_>], lines: &[&str]) {
    let removed = |edit: &Edit<'_>| {
        let number = edit.from.0;
        let lines = lines.get(number.checked_sub(1)?..edit.to.0)?;
        between(lines, number, edit.from, edit.to)
    };
    let texts: Option<Vec<String>> = edits.iter().map(removed).collect();
    let texts = texts.unwrap_or_default();
    let lost: isize = texts.iter().map(|text| surplus(text)).sum();
    let added: isize = edits.iter().map(|edit| surplus(edit.text)).sum();
    let removes_bracket = texts.last().is_some_and(|text| text.ends_with(')'));
    if let Some(last) = edits.last_mut()
        && removes_bracket
        && lost - added == 1
    {
        last.to.1 -= 1;
    }
}

/// Returns the number of closing brackets in a text that have no opening one in it; the brackets in strings
/// are none.
fn surplus(text: &str) -> isize {
    let parsed = SourceFile::parse(text, Edition::Edition2024);
    let tokens = parsed.syntax_node().descendants_with_tokens();
    let tokens = tokens.filter_map(NodeOrToken::into_token);
    let surplus = tokens.map(|token| match token.kind() {
        SyntaxKind::R_PAREN => 1,
        SyntaxKind::L_PAREN => -1,
        _ => 0,
    });
    surplus.sum()
}

/// The text between two positions in lines, of which the first has number `first`.
fn between(lines: &[&str], first: usize, from: Position, to: Position) -> Option<String> {
    let mut text = String::new();
    for number in from.0..=to.0 {
        let line = lines.get(number.checked_sub(first)?)?;
        let start = if number == from.0 { from.1 } else { 1 };
        let characters = line.chars().skip(start.checked_sub(1)?);
        if number == to.0 {
            text.extend(characters.take(to.1.checked_sub(start)?));
        } else {
            text.extend(characters);
            text.push('\n');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::source::PreparedSource;
    use super::*;
    use serde_json::json;

    const CELL: &str =
        "let größe = vec![1]; let b = größe;\nfn f(a: &str,\n     b: &str) -> &str {\n    a\n}";
    const ENTRY: &str = "\npub extern \"C\" fn run_user_code_0(";

    fn compiled() -> String {
        format!(
            "fn f(a: &str,\n     b: &str) -> &str {{\n    a\n}}{ENTRY}\n\
             let alt = evcxr_variable_store.take_variable::<u8>(stringify!(alt));\n\
             let größe = vec![1]; \nlet b = größe;\n}}\n"
        )
    }

    fn part(line: usize, from: usize, to: usize, text: &str) -> Value {
        json!({
            "file_name": FILE, "suggested_replacement": text,
            "line_start": line, "column_start": from, "line_end": line, "column_end": to,
            "byte_start": line * 100 + from, "byte_end": line * 100 + to,
            "text": [{"text": compiled().lines().nth(line - 1)}],
        })
    }

    fn help_text(message: &str, parts: &[Value]) -> String {
        let error = json!({"children": [{"level": "help", "message": message, "spans": parts}]});
        let source = PreparedSource::unchanged(CELL);
        help(&error, &CellMap::of(&source, compiled())).remove(0)
    }

    #[test]
    fn suggestions_show_the_changed_lines() {
        assert_eq!(
            help_text("clone it", &[part(8, 14, 14, ".clone()")]),
            "clone it: `let größe = vec![1]; let b = größe.clone();`"
        );
        let parts = [
            part(1, 5, 5, "<'a>"),
            part(1, 10, 10, "'a "),
            part(2, 10, 10, "'a "),
            part(2, 19, 19, "'a "),
        ];
        assert_eq!(
            help_text("name it", &parts),
            "name it:\nfn f<'a>(a: &'a str,\n     b: &'a str) -> &'a str {"
        );
        assert_eq!(help_text("remove it", &[part(3, 5, 6, "")]), "remove it");
        assert_eq!(help_text("it is", &[part(3, 5, 6, "b")]), "it is: `b`");
    }

    #[test]
    fn text_in_the_message_is_not_repeated() {
        let part = |text| [part(8, 9, 14, text)];
        let message = "there is a method `push` with a similar name";
        assert_eq!(help_text(message, &part("push")), message);
        assert_eq!(
            help_text("import", &part("use a::B;\n\n")),
            "import: `use a::B;`"
        );
    }

    #[test]
    fn removed_arguments_leave_the_bracket_of_the_call() {
        let cell = "größe.len(5)\nv.len(5, f(6))\n(v)\nv.len(\")\")\nv.len('(')";
        let source = PreparedSource::unchanged(cell);
        let compiled = format!("{ENTRY}\n{cell}\n}}\n");
        let line = |number: usize| compiled.lines().nth(number - 1);
        let part = |number: usize, from: usize, to: usize| {
            json!({
                "file_name": FILE, "suggested_replacement": "",
                "line_start": number, "column_start": from,
                "line_end": number, "column_end": to,
                "byte_start": number * 100 + from, "byte_end": number * 100 + to,
                "text": [{"text": line(number)}],
            })
        };
        let first = 1 + compiled
            .lines()
            .position(|line| line.starts_with('g'))
            .unwrap();
        for (parts, expected) in [
            (vec![part(first, 11, 13)], "größe.len()"),
            (vec![part(first, 11, 12)], "größe.len()"),
            (
                vec![part(first + 1, 7, 8), part(first + 1, 8, 15)],
                "v.len()",
            ),
            // Brackets in a string and as a character.
            (vec![part(first + 3, 7, 11)], "v.len()"),
            (vec![part(first + 4, 7, 11)], "v.len()"),
            // Brackets that are removed together.
            (vec![part(first + 2, 1, 2), part(first + 2, 3, 4)], "v"),
        ] {
            let error =
                json!({"children": [{"level": "help", "message": "remove it", "spans": parts}]});
            let map = CellMap::of(&source, compiled.clone());
            assert_eq!(help(&error, &map), [format!("remove it: `{expected}`")]);
        }
    }

    #[test]
    fn alternatives_are_listed_and_parts_joined() {
        let parts = [part(1, 1, 1, "use a::B;\n"), part(1, 1, 1, "use c::B;\n")];
        assert_eq!(
            help_text("import one", &parts),
            "import one: `use a::B;` or `use c::B;`"
        );
        let parts = [
            part(8, 9, 9, "<A as "),
            part(8, 14, 14, ">"),
            part(8, 9, 9, "<B as "),
            part(8, 14, 14, ">"),
        ];
        assert_eq!(help_text("qualify it", &parts), "qualify it");
    }

    #[test]
    fn immutable_variables_of_earlier_cells_are_declared_again() {
        let help = help_text(
            "consider changing this to be mutable",
            &[part(6, 5, 5, "mut ")],
        );
        assert!(help.contains("`let mut alt = alt;`"), "{help}");
    }

    #[test]
    fn labels_of_library_spans_are_listed() {
        let spans = ["`i8` implements `Sum`", "`u8` implements `Sum`"];
        let spans = spans.map(|label| json!({"file_name": "/x.rs", "label": label}));
        let help = help_text("the following other types implement trait `Sum<A>`", &spans);
        let of_library = "/x/registry/src/host-1/unknown-crate-1.2.3/src/lib.rs";
        assert!(!is_known(&json!({"file_name": of_library})));
        assert!(is_known(&json!({"file_name": "/rustlib/src/rust/x.rs"})));
        assert!(help.ends_with(":\n  `i8` implements `Sum`\n  `u8` implements `Sum`"));
    }
}
