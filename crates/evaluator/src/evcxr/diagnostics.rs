//! Conversion of evcxr's errors into failures, in the coordinates of the user's source.

use super::cell_map::CellMap;
use super::error::EvcxrError;
use super::error_hints::{self, plain};
use super::error_subject::ErrorSubject;
use super::library_errors;
use super::rustc_messages::{SHOWN_BY_VALUE, original};
use super::source::PreparedSource;
use super::spans::{self, cell_spans, source_span};
use super::{habits, library_names, misfits, suggestions, unkept};
use evcxr::{CompilationError, Error};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, EarlierItem, Failure};
use serde_json::Value;

/// Converts the error of a cell.
pub(super) fn failure(error: Error, source: &PreparedSource) -> Failure {
    match error {
        Error::CompilationErrors(errors) => Failure::Compile {
            diagnostics: diagnostics(&errors, &CellMap::new(source)),
        },
        Error::TypeRedefinedVariablesLost(names) => Failure::VariablesLost { names },
        // evcxr's own messages, which contain cargo's: errors of dependencies.
        Error::Message(message) => Failure::Compile {
            diagnostics: vec![error_hints::diagnostic(&message)],
        },
        Error::SubprocessTerminated(message) => EvcxrError::RelayEnded(message).into(),
    }
}

/// The advice if rustc rejects the code that evcxr generates to keep variables.
const EXPLICIT: &str = "give the cell's variables explicit types, or put the code in braces";

/// Returns true if the error is that the type of the last expression can only be shown by value.
pub(super) fn is_shown_by_value<T>(result: &Result<T, Error>) -> bool {
    match result {
        Err(Error::CompilationErrors(errors)) => {
            let mut messages = errors.iter().map(|error| error.json.to_string());
            messages.any(|message| message.contains(SHOWN_BY_VALUE))
        }
        _ => false,
    }
}

/// Returns the variables with types that were added to a cell and that rustc rejects.
pub(super) fn disputed_types<T>(result: &Result<T, Error>, source: &PreparedSource) -> Vec<String> {
    let Err(Error::CompilationErrors(errors)) = result else {
        return Vec::new();
    };
    let spans = errors.iter().flat_map(CompilationError::spanned_messages);
    let spans = spans.filter_map(|spanned| spanned.span.as_ref());
    let names = spans.flat_map(|span| source.types_written_at(span.start_line, span.start_column));
    names.cloned().collect()
}

/// The importance of an error: only the most important ones are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiagnosticRank {
    /// In the user's code, or a message of a library.
    Own,
    /// In the code around the cell, about code in the cell: possibly a consequence of another
    /// error.
    About,
    /// A note in the user's code, for an error that is elsewhere.
    Note,
    /// In the code around the cell.
    Around,
}

/// Returns the errors to be reported. Warnings are omitted; evcxr's output includes those of
/// dependencies.
fn diagnostics(errors: &[CompilationError], map: &CellMap<'_>) -> Vec<Diagnostic> {
    let Some(best) = errors.iter().filter_map(|error| rank(error, map)).min() else {
        return vec![Diagnostic {
            help: vec![EXPLICIT.to_owned()],
            ..plain("a variable of this cell cannot be kept".to_owned())
        }];
    };
    let reported = (0..)
        .zip(errors)
        .filter(|(_, error)| rank(error, map) == Some(best));
    let mut reported = reported.collect::<Vec<_>>();
    // That a value cannot be shown is the least important error of an expression.
    if reported
        .iter()
        .any(|(_, error)| undisplayable(error, map).is_none())
    {
        reported.retain(|(_, error)| undisplayable(error, map).is_none());
    }
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for (index, error) in reported {
        let mut diagnostic = diagnostic(error, map);
        if diagnostic.spans.is_empty() && library_message(error).is_some() {
            diagnostic.spans = instantiated(errors.get(index + 1..).unwrap_or_default(), map);
        }
        let subject = ErrorSubject::new(original(&error.json), &map.compiled);
        habits::explain(&mut diagnostic, &map.source.written, subject);
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    library_errors::without_consequences(&mut diagnostics);
    without_other_cells(&mut diagnostics);
    sort_by_position(&mut diagnostics);
    library_names::explain(&mut diagnostics);
    diagnostics
        .into_iter()
        .map(|diagnostic| error_hints::with_include_help(diagnostic, &map.source.written))
        .map(error_hints::without_internal_names)
        .collect()
}

/// Removes errors of other cells, and of the code around this one, if the cell has errors of its
/// own.
fn without_other_cells(diagnostics: &mut Vec<Diagnostic>) {
    let has_spans = |diagnostic: &Diagnostic| !diagnostic.spans.is_empty();
    if diagnostics.iter().any(has_spans) {
        diagnostics.retain(has_spans);
    }
}

/// Sorts errors of the same rank by position, since evcxr writes items in its own order.
fn sort_by_position(diagnostics: &mut [Diagnostic]) {
    let mut kinds: Vec<Option<String>> = Vec::new();
    for diagnostic in diagnostics.iter() {
        if !kinds.contains(&diagnostic.code) {
            kinds.push(diagnostic.code.clone());
        }
    }
    diagnostics.sort_by_key(|diagnostic| {
        let kind = kinds.iter().position(|kind| *kind == diagnostic.code);
        let first = diagnostic.spans.first();
        (kind, first.map(|span| (span.start_line, span.start_column)))
    });
}

fn rank(error: &CompilationError, map: &CellMap<'_>) -> Option<DiagnosticRank> {
    let json = original(&error.json);
    let spans_in_cell = cell_spans(json, map);
    let spans = json["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let is_own = spans_in_cell.iter().any(|span| span.primary)
        || primary.any(|span| source_span(span).is_some_and(|span| map.is_in_item(span)))
        || library_message(error).is_some()
        || json.is_null();
    match error.level() {
        "error" if is_own => Some(DiagnosticRank::Own),
        "warning" => None,
        "error" if !spans_in_cell.is_empty() => Some(DiagnosticRank::About),
        _ if !spans_in_cell.is_empty() => Some(DiagnosticRank::Note),
        _ => Some(DiagnosticRank::Around),
    }
}

fn diagnostic(error: &CompilationError, map: &CellMap<'_>) -> Diagnostic {
    let json = original(&error.json);
    if !json.is_object() {
        return error_hints::diagnostic(&error.message());
    }
    if let Some(diagnostic) = undisplayable(error, map) {
        return diagnostic;
    }
    if let Some(diagnostic) = library_message(error) {
        return Diagnostic {
            spans: spans::closure(json, map).into_iter().collect(),
            ..diagnostic
        };
    }
    let (message, mut spans) = (error.message(), cell_spans(json, map));
    if let Some(diagnostic) = returned(&message, &spans, map) {
        return diagnostic;
    }
    if error.level() != "error" && message.contains("`fn WithCaptures::<(), ()>::task") {
        // The remaining part of the message of `task!`, at its position in the source.
        return Diagnostic {
            spans,
            ..plain(
                "this closure captures variables that task! does not name: add them to the list in brackets"
                    .to_owned(),
            )
        };
    }
    spans.extend(
        reasons(json, map)
            .filter(|reason| !spans.contains(reason))
            .collect::<Vec<_>>(),
    );
    mark_conflicting(json, &mut spans);
    let mut help = advice(json, map);
    help.extend(move_reason(json, &spans));
    let dropped = &map.source.dropped;
    let named = dropped.names.iter();
    let named = named.filter(|name| message.contains(&format!("`{name}`")));
    help.extend(named.map(|name| {
        match dropped.rebuilt.is_empty() {
            true => format!(
                "this cell redefines the type of `{name}`, so it cannot use the old value"
            ),
            false => format!(
                "the crate that defines the type of `{name}` was rebuilt, so no cell can use the old value"
            ),
        }
    }));
    let mut stored = json["spans"].as_array().into_iter().flatten();
    if spans.is_empty()
        && let Some(name) = stored.find_map(unkept::stored_variable)
    {
        return Diagnostic {
            help: vec![EXPLICIT.to_owned()],
            ..plain(format!("the variable `{name}` cannot be kept: {message}"))
        };
    }
    let rendered = spans.is_empty().then(|| rendered(json, map)).flatten();
    let earlier = rendered.as_ref().and_then(|_| earlier_item(json, map));
    let diagnostic = Diagnostic {
        message,
        code: code(json),
        rendered,
        earlier,
        spans,
        help,
    };
    library_errors::rewrite(diagnostic, json)
}

/// Returns the positions in the cell that rustc's notes refer to. The position of a note has the
/// note's message, unless that is part of the help; others have their labels.
fn reasons(error: &Value, map: &CellMap<'_>) -> impl Iterator<Item = DiagnosticSpan> {
    let children = error["children"].as_array().into_iter().flatten();
    let notes = children
        .filter(|child| child["level"] == "note")
        .filter_map(|note| Some((note["message"].as_str()?, note["spans"].as_array()?)));
    notes.flat_map(move |(message, spans)| {
        spans.iter().filter_map(move |span| {
            let has_message = span["is_primary"] == true && !suggestions::is_advice(message);
            let label = span["label"].as_str().unwrap_or_default();
            let label = if has_message { message } else { label };
            // The remainder is a link to rustc's documentation.
            let label = label.lines().next().unwrap_or_default();
            let ((start_line, start_column), (end_line, end_column)) =
                map.inside(span).filter(|_| !label.is_empty())?;
            Some(DiagnosticSpan {
                start_line,
                start_column,
                end_line,
                end_column,
                label: label.to_owned(),
                primary: false,
            })
        })
    })
}

/// Moves the error to the cell's own impl of two conflicting ones, since evcxr writes the impls of
/// all cells in its own order.
fn mark_conflicting(error: &Value, spans_in_cell: &mut [DiagnosticSpan]) {
    if error["code"]["code"] != "E0119" || spans_in_cell.iter().any(|span| span.primary) {
        return;
    }
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let label = primary.find_map(|span| span["label"].as_str());
    for span in spans_in_cell {
        span.primary = true;
        span.label = label.unwrap_or_default().to_owned();
    }
}

/// Returns the reason why a variable of an earlier cell is moved, which rustc reports at its
/// declaration.
fn move_reason(error: &Value, spans_in_cell: &[DiagnosticSpan]) -> Option<String> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut labels = spans.filter_map(|span| span["label"].as_str());
    let reason = labels.find(|label| label.starts_with("move occurs because"))?;
    let is_shown = spans_in_cell.iter().any(|span| span.label == reason);
    (!is_shown).then(|| reason.to_owned())
}

/// rustc's code for an error; for a lint, its name.
fn code(error: &Value) -> Option<String> {
    let code = error["code"]["code"].as_str()?;
    code.starts_with('E').then(|| code.to_owned())
}

/// Converts an error about a generated `?`, which is inserted behind the value of a `return`.
fn returned(message: &str, spans: &[DiagnosticSpan], map: &CellMap<'_>) -> Option<Diagnostic> {
    let span = spans
        .first()
        .filter(|_| message.starts_with("the `?` operator "))?;
    let line = map
        .source
        .written
        .lines()
        .nth(span.end_line.checked_sub(1)?)?;
    let characters: Vec<char> = line.chars().collect();
    let columns = [span.end_column.checked_sub(2)?, span.end_column - 1];
    if columns
        .iter()
        .any(|index| characters.get(*index) == Some(&'?'))
    {
        return None;
    }
    let start = characters.iter().skip(span.start_column.checked_sub(1)?);
    let blanks = start.take_while(|c| c.is_whitespace());
    Some(Diagnostic {
        code: Some("E0308".to_owned()),
        spans: vec![DiagnosticSpan {
            start_column: span.start_column + blanks.count(),
            label: "this is not a `Result`".to_owned(),
            ..span.clone()
        }],
        help: vec![
            "`return;` ends a cell; the value that it shows is that of its last expression"
                .to_owned(),
        ],
        ..plain("what a cell returns is a `Result`, or nothing".to_owned())
    })
}

/// rustc's rendering of an error, unless it is in generated code.
fn rendered(error: &Value, map: &CellMap<'_>) -> Option<String> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut source_spans = spans.filter_map(source_span);
    let is_readable = source_spans.all(|span| map.is_in_item(span));
    let rendered = error["rendered"].as_str().filter(|_| is_readable)?;
    Some(error_hints::render_earlier_item(rendered))
}

/// Returns the item of an earlier cell that an error is in.
fn earlier_item(error: &Value, map: &CellMap<'_>) -> Option<EarlierItem> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let (line, text) = misfits::item_at(&map.compiled, source_span(primary.next()?)?)?;
    let lines: Vec<&str> = text.lines().take(line + 1).collect();
    Some(EarlierItem {
        lines: lines.join("\n"),
        names: misfits::names_in(&text),
    })
}

/// Returns the positions in the user's code that instantiate the code of an error, from rustc's
/// notes after it.
fn instantiated(following: &[CompilationError], map: &CellMap<'_>) -> Vec<DiagnosticSpan> {
    let mut notes = following.iter().take_while(|error| error.level() == "note");
    let found = notes.find_map(|note| {
        let spans = cell_spans(original(&note.json), map);
        (!spans.is_empty()).then_some(spans)
    });
    found.unwrap_or_default()
}

/// Converts the error of a last expression that cannot be shown, which rustc reports in generated
/// code.
fn undisplayable(error: &CompilationError, map: &CellMap<'_>) -> Option<Diagnostic> {
    let json = original(&error.json);
    let message = json["message"].as_str()?;
    let (ty, _) = message
        .strip_prefix('`')?
        .split_once("` doesn't implement `")?;
    let spans = json["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let is_in_source = |span: &Value| {
        source_span(span).is_some_and(|span| map.inside(span).is_some() || map.is_in_item(span))
    };
    if primary.any(is_in_source) {
        return None;
    }
    let can_derive = json["children"].to_string().contains("derive(Debug)");
    Some(Diagnostic {
        spans: vec![DiagnosticSpan {
            label: "this value cannot be shown".to_owned(),
            ..map.source.last_expression.clone()?
        }],
        help: vec![match (message.contains("`Debug`"), can_derive) {
            (true, true) => format!("add `#[derive(Debug)]` to `{ty}`, or end the cell with `;`"),
            (true, false) => match help_for_type(ty) {
                Some(help) => help.to_owned(),
                None => "end the cell with `;`, or show a part of it".to_owned(),
            },
            (false, _) => {
                "values are shown in the format of `:fmt`; `:fmt {:?}` is the default".to_owned()
            }
        }],
        code: code(json),
        message: message.to_owned(),
        rendered: None,
        earlier: None,
    })
}

/// Returns the help for a value that is only used to create others.
fn help_for_type(ty: &str) -> Option<&'static str> {
    const FUTURES: [&str; 3] = ["impl Future<", "{async block@", "{async fn body"];
    const FUNCTIONS: [&str; 4] = ["fn(", "{closure", "unsafe fn(", "for<"];
    let has_prefix = |starts: &[&str]| starts.iter().any(|start| ty.starts_with(start));
    match (has_prefix(&FUTURES), has_prefix(&FUNCTIONS)) {
        (true, _) => Some("a future has its value once it is awaited: `.await`"),
        (_, true) => Some("a function has a value once it is called: `(…)`"),
        _ => None,
    }
}

/// Converts the message of a library about a constant that cannot be evaluated, as `phalanx` uses
/// for closures with captures: all of rustc's positions are in the library.
fn library_message(error: &CompilationError) -> Option<Diagnostic> {
    let message = error.message();
    let text = message.strip_prefix("evaluation panicked: ")?;
    // An assertion without a message is meant for the library's authors.
    let is_for_users = !error.is_from_user_code() && !text.starts_with("assertion failed");
    is_for_users.then(|| plain(text.to_owned()))
}

/// Returns the advice for an error: a library's own notes if it has some
/// (`#[diagnostic::on_unimplemented]`), otherwise rustc's.
fn advice(error: &Value, map: &CellMap<'_>) -> Vec<String> {
    /// The beginnings of rustc's own notes about traits that are not implemented.
    const RUSTC_NOTES: [&str; 6] = [
        "required ",
        "the full ",
        "consider ",
        "this error originates",
        "the trait ",
        "`",
    ];
    let children = error["children"].as_array().into_iter().flatten();
    let notes: Vec<String> = children
        .filter(|child| child["level"] == "note" && child["spans"][0].is_null())
        .filter_map(|child| child["message"].as_str())
        .filter(|note| !RUSTC_NOTES.iter().any(|start| note.starts_with(start)))
        // "2 redundant requirements hidden".
        .filter(|note| !note.contains("redundant requirement"))
        .map(str::to_owned)
        .collect();
    match error["code"]["code"].as_str() {
        Some("E0277") if !notes.is_empty() => notes,
        // Only rustc's note contains the expected and the found type.
        Some("E0631") => notes,
        // The traits that have a method with that name.
        Some("E0599") => [suggestions::help(error, map), notes].concat(),
        _ => suggestions::help(error, map),
    }
}
