//! Conversion of evcxr's errors into failures, in the coordinates of the user's source.

use super::cell_map::CellMap;
use super::error::EvcxrError;
use super::error_hints::{self, plain};
use super::library_errors;
use super::rustc_messages::{SHOWN_BY_VALUE, original};
use super::source::PreparedSource;
use super::spans::{self, places, written};
use super::{habits, misfits, suggestions, unkept};
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

/// The variables with types that were added to a cell and that rustc rejects.
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

/// The errors to be reported. Warnings are omitted; evcxr's output includes those of dependencies.
fn diagnostics(errors: &[CompilationError], map: &CellMap<'_>) -> Vec<Diagnostic> {
    let Some(best) = errors.iter().filter_map(|error| rank(error, map)).min() else {
        return vec![Diagnostic {
            help: vec![EXPLICIT.to_owned()],
            ..plain("a variable of this cell cannot be kept".to_owned())
        }];
    };
    let told = (0..)
        .zip(errors)
        .filter(|(_, error)| rank(error, map) == Some(best));
    let mut told = told.collect::<Vec<_>>();
    // That a value cannot be shown is the least important error of an expression.
    if told
        .iter()
        .any(|(_, error)| not_shown(error, map).is_none())
    {
        told.retain(|(_, error)| not_shown(error, map).is_none());
    }
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for (at, error) in told {
        let mut diagnostic = diagnostic(error, map);
        if diagnostic.spans.is_empty() && asserted(error).is_some() {
            diagnostic.spans = instantiated(errors.get(at + 1..).unwrap_or_default(), map);
        }
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    library_errors::without_consequences(&mut diagnostics);
    without_others(&mut diagnostics);
    in_order(&mut diagnostics);
    habits::explain(&mut diagnostics, &map.source.written);
    diagnostics
        .into_iter()
        .map(error_hints::in_users_words)
        .collect()
}

/// Removes errors of other cells, and of the code around this one, if the cell has errors of its
/// own.
fn without_others(diagnostics: &mut Vec<Diagnostic>) {
    let is_placed = |told: &Diagnostic| !told.spans.is_empty();
    if diagnostics.iter().any(is_placed) {
        diagnostics.retain(is_placed);
    }
}

/// Sorts errors of the same rank by position, since evcxr writes items in its own order.
fn in_order(diagnostics: &mut [Diagnostic]) {
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
    let places = places(json, map);
    let spans = json["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let is_own = places.iter().any(|place| place.primary)
        || primary.any(|span| written(span).is_some_and(|span| map.is_in_item(span)))
        || asserted(error).is_some()
        || json.is_null();
    match error.level() {
        "error" if is_own => Some(DiagnosticRank::Own),
        "warning" => None,
        "error" if !places.is_empty() => Some(DiagnosticRank::About),
        _ if !places.is_empty() => Some(DiagnosticRank::Note),
        _ => Some(DiagnosticRank::Around),
    }
}

fn diagnostic(error: &CompilationError, map: &CellMap<'_>) -> Diagnostic {
    let json = original(&error.json);
    if !json.is_object() {
        return error_hints::diagnostic(&error.message());
    }
    if let Some(diagnostic) = not_shown(error, map) {
        return diagnostic;
    }
    if let Some(asserted) = asserted(error) {
        return Diagnostic {
            spans: spans::closure(json, map).into_iter().collect(),
            ..asserted
        };
    }
    let (message, mut spans) = (error.message(), places(json, map));
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
    conflicting(json, &mut spans);
    let mut help = advice(json, map);
    help.extend(moved(json, &spans));
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
        && let Some(name) = stored.find_map(unkept::variable)
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

/// The positions in the cell that rustc's notes refer to. The position of a note has the note's
/// message, unless that is part of the help; others have their labels.
fn reasons(error: &Value, map: &CellMap<'_>) -> impl Iterator<Item = DiagnosticSpan> {
    let children = error["children"].as_array().into_iter().flatten();
    let notes = children
        .filter(|child| child["level"] == "note")
        .filter_map(|note| Some((note["message"].as_str()?, note["spans"].as_array()?)));
    notes.flat_map(move |(message, spans)| {
        spans.iter().filter_map(move |span| {
            let is_told = span["is_primary"] == true && !suggestions::is_advice(message);
            let label = span["label"].as_str().unwrap_or_default();
            let label = if is_told { message } else { label };
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
fn conflicting(error: &Value, places: &mut [DiagnosticSpan]) {
    if error["code"]["code"] != "E0119" || places.iter().any(|place| place.primary) {
        return;
    }
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let label = primary.find_map(|span| span["label"].as_str());
    for place in places {
        place.primary = true;
        place.label = label.unwrap_or_default().to_owned();
    }
}

/// The reason why a variable of an earlier cell is moved, which rustc reports at its declaration.
fn moved(error: &Value, places: &[DiagnosticSpan]) -> Option<String> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut labels = spans.filter_map(|span| span["label"].as_str());
    let reason = labels.find(|label| label.starts_with("move occurs because"))?;
    let is_shown = places.iter().any(|place| place.label == reason);
    (!is_shown).then(|| reason.to_owned())
}

/// rustc's code for an error; for a lint, its name.
fn code(error: &Value) -> Option<String> {
    let code = error["code"]["code"].as_str()?;
    code.starts_with('E').then(|| code.to_owned())
}

/// Converts an error about a generated `?`, which is inserted behind the value of a `return`.
fn returned(message: &str, spans: &[DiagnosticSpan], map: &CellMap<'_>) -> Option<Diagnostic> {
    let place = spans
        .first()
        .filter(|_| message.starts_with("the `?` operator "))?;
    let line = map
        .source
        .written
        .lines()
        .nth(place.end_line.checked_sub(1)?)?;
    let characters: Vec<char> = line.chars().collect();
    let around = [place.end_column.checked_sub(2)?, place.end_column - 1];
    if around.iter().any(|at| characters.get(*at) == Some(&'?')) {
        return None;
    }
    let start = characters.iter().skip(place.start_column.checked_sub(1)?);
    let blanks = start.take_while(|c| c.is_whitespace());
    Some(Diagnostic {
        code: Some("E0308".to_owned()),
        spans: vec![DiagnosticSpan {
            start_column: place.start_column + blanks.count(),
            label: "this is not a `Result`".to_owned(),
            ..place.clone()
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
    let mut written = spans.filter_map(written);
    let is_readable = written.all(|span| map.is_in_item(span));
    let rendered = error["rendered"].as_str().filter(|_| is_readable)?;
    Some(error_hints::of_an_earlier_cell(rendered))
}

/// The item of an earlier cell that an error is in.
fn earlier_item(error: &Value, map: &CellMap<'_>) -> Option<EarlierItem> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let (line, text) = misfits::item_at(&map.compiled, written(primary.next()?)?)?;
    let lines: Vec<&str> = text.lines().take(line + 1).collect();
    Some(EarlierItem {
        lines: lines.join("\n"),
        names: misfits::names_in(&text),
    })
}

/// The positions in the user's code that instantiate the code of an error, from rustc's notes after
/// it.
fn instantiated(behind: &[CompilationError], map: &CellMap<'_>) -> Vec<DiagnosticSpan> {
    let mut notes = behind.iter().take_while(|error| error.level() == "note");
    let found = notes.find_map(|note| {
        let places = places(original(&note.json), map);
        (!places.is_empty()).then_some(places)
    });
    found.unwrap_or_default()
}

/// Converts the error of a last expression that cannot be shown, which rustc reports in generated
/// code.
fn not_shown(error: &CompilationError, map: &CellMap<'_>) -> Option<Diagnostic> {
    let json = original(&error.json);
    let message = json["message"].as_str()?;
    let (ty, _) = message
        .strip_prefix('`')?
        .split_once("` doesn't implement `")?;
    let spans = json["spans"].as_array().into_iter().flatten();
    let mut primary = spans.filter(|span| span["is_primary"] == true);
    let is_written = |span: &Value| {
        written(span).is_some_and(|span| map.inside(span).is_some() || map.is_in_item(span))
    };
    if primary.any(is_written) {
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
            (true, false) => match made_by(ty) {
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

/// The help for a value that is only used to create others.
fn made_by(ty: &str) -> Option<&'static str> {
    const FUTURES: [&str; 3] = ["impl Future<", "{async block@", "{async fn body"];
    const FUNCTIONS: [&str; 4] = ["fn(", "{closure", "unsafe fn(", "for<"];
    let begins = |starts: &[&str]| starts.iter().any(|start| ty.starts_with(start));
    match (begins(&FUTURES), begins(&FUNCTIONS)) {
        (true, _) => Some("a future has its value once it is awaited: `.await`"),
        (_, true) => Some("a function has a value once it is called: `(…)`"),
        _ => None,
    }
}

/// Converts the message of a library about a constant that cannot be evaluated, as `phalanx` uses
/// for closures with captures: all of rustc's positions are in the library.
fn asserted(error: &CompilationError) -> Option<Diagnostic> {
    let message = error.message();
    let said = message.strip_prefix("evaluation panicked: ")?;
    // An assertion without a message is meant for the library's authors.
    let is_told = !error.is_from_user_code() && !said.starts_with("assertion failed");
    is_told.then(|| plain(said.to_owned()))
}

/// The advice for an error: a library's own notes if it has some
/// (`#[diagnostic::on_unimplemented]`), otherwise rustc's.
fn advice(error: &Value, map: &CellMap<'_>) -> Vec<String> {
    /// The beginnings of rustc's own notes about traits that are not implemented.
    const RUSTCS: [&str; 6] = [
        "required ",
        "the full ",
        "consider ",
        "this error originates",
        "the trait ",
        "`",
    ];
    let children = error["children"].as_array().into_iter().flatten();
    let words: Vec<String> = children
        .filter(|child| child["level"] == "note" && child["spans"][0].is_null())
        .filter_map(|child| child["message"].as_str())
        .filter(|note| !RUSTCS.iter().any(|start| note.starts_with(start)))
        .map(str::to_owned)
        .collect();
    match error["code"]["code"].as_str() {
        Some("E0277") if !words.is_empty() => words,
        // Only rustc's note contains the expected and the found type.
        Some("E0631") => words,
        // The traits that have a method with that name.
        Some("E0599") => [suggestions::help(error, map), words].concat(),
        _ => suggestions::help(error, map),
    }
}
