//! evcxr's errors as failures, in the coordinates of the user's source.

use super::cell_map::CellMap;
use super::error_hints::{self, plain};
use super::library_errors;
use super::rustc_messages::{SHOWN_BY_VALUE, original};
use super::source::PreparedSource;
use super::spans::{self, places, written};
use super::{habits, suggestions, unkept};
use evcxr::{CompilationError, Error};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};
use serde_json::Value;

/// The failure of a cell.
pub(super) fn failure(error: Error, source: &PreparedSource) -> Failure {
    match error {
        Error::CompilationErrors(errors) => Failure::Compile {
            diagnostics: diagnostics(&errors, &CellMap::new(source)),
        },
        Error::TypeRedefinedVariablesLost(names) => Failure::VariablesLost { names },
        // What evcxr refuses in its own words, which are cargo's: dependencies.
        Error::Message(message) => Failure::Compile {
            diagnostics: vec![error_hints::diagnostic(&message)],
        },
        Error::SubprocessTerminated(message) => Failure::Internal {
            message: format!("the relay ended: {message}"),
        },
    }
}

/// The advice where rustc refuses the code that evcxr makes to keep variables.
const EXPLICIT: &str = "give the cell's variables explicit types, or put the code in braces";

/// Returns true if the last expression is of a type that is shown by value.
pub(super) fn is_shown_by_value<T>(result: &Result<T, Error>) -> bool {
    match result {
        Err(Error::CompilationErrors(errors)) => {
            let mut messages = errors.iter().map(|error| error.json.to_string());
            messages.any(|message| message.contains(SHOWN_BY_VALUE))
        }
        _ => false,
    }
}

/// The variables whose types were written into a cell and rustc does not agree with.
pub(super) fn disputed_types<T>(result: &Result<T, Error>, source: &PreparedSource) -> Vec<String> {
    let Err(Error::CompilationErrors(errors)) = result else {
        return Vec::new();
    };
    let spans = errors.iter().flat_map(CompilationError::spanned_messages);
    let spans = spans.filter_map(|spanned| spanned.span.as_ref());
    let names = spans.flat_map(|span| source.types_written_at(span.start_line, span.start_column));
    names.cloned().collect()
}

/// The importance of an error: only the most important ones are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiagnosticRank {
    /// It is in code of the user, or said by a library.
    Own,
    /// It is in the code around the cell, and about something in the cell: it may follow from another.
    About,
    /// A note in the user's code, all that is left of an error.
    Note,
    /// It is in the code around the cell.
    Around,
}

/// The errors that a user is to read. Warnings are none, though evcxr gives those of dependencies too.
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
    // A value that cannot be shown is the least fault of an expression.
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

/// Leaves out errors of other cells, and of the code around this one, once there are some of its own.
fn without_others(diagnostics: &mut Vec<Diagnostic>) {
    let is_placed = |told: &Diagnostic| !told.spans.is_empty();
    if diagnostics.iter().any(is_placed) {
        diagnostics.retain(is_placed);
    }
}

/// Sorts errors of one kind by their places: evcxr writes items in an order of its own.
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
        // What is left of what `task!` says, where it was written.
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
                "this cell defines the type of `{name}` anew, so it cannot use the old value"
            ),
            false => format!(
                "the crate that the type of `{name}` comes from was built anew, so no cell can use the old value"
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
    let diagnostic = Diagnostic {
        message,
        code: code(json),
        rendered: spans.is_empty().then(|| rendered(json, map)).flatten(),
        spans,
        help,
    };
    library_errors::rewrite(diagnostic, json)
}

/// The places in the cell that rustc's notes point to. The one a note is about has its message, unless that is told
/// as help; the others have their labels.
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
            // What follows is a link to rustc's own pages.
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

/// Has the impl of the cell be the one that conflicts: evcxr writes those of all cells in an order of its own.
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

/// The reason for which a variable of an earlier cell is moved: in a file it stands where that is declared.
fn moved(error: &Value, places: &[DiagnosticSpan]) -> Option<String> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut labels = spans.filter_map(|span| span["label"].as_str());
    let reason = labels.find(|label| label.starts_with("move occurs because"))?;
    let is_shown = places.iter().any(|place| place.label == reason);
    (!is_shown).then(|| reason.to_owned())
}

/// The code by which rustc explains an error. A lint that is an error has its name there.
fn code(error: &Value) -> Option<String> {
    let code = error["code"]["code"].as_str()?;
    code.starts_with('E').then(|| code.to_owned())
}

/// An error about a `?` that the user has not written: it was put behind what a `return` of the cell gives.
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

/// An error as rustc shows it, unless that is in code which the user has not written.
fn rendered(error: &Value, map: &CellMap<'_>) -> Option<String> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let mut written = spans.filter_map(written);
    let is_readable = written.all(|span| map.is_in_item(span));
    let rendered = error["rendered"].as_str().filter(|_| is_readable)?;
    Some(error_hints::of_an_earlier_cell(rendered))
}

/// The places in the user's code that need what an error is in, as rustc's notes behind the error name them.
fn instantiated(behind: &[CompilationError], map: &CellMap<'_>) -> Vec<DiagnosticSpan> {
    let mut notes = behind.iter().take_while(|error| error.level() == "note");
    let found = notes.find_map(|note| {
        let places = places(original(&note.json), map);
        (!places.is_empty()).then_some(places)
    });
    found.unwrap_or_default()
}

/// The last expression's type cannot be shown: rustc complains of code the user has not written.
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
                "values are shown as `:fmt` says; `:fmt {:?}` is what it says at first".to_owned()
            }
        }],
        code: code(json),
        message: message.to_owned(),
        rendered: None,
    })
}

/// The help for a value that only makes others.
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

/// The message of a library to its users where a constant of it cannot be computed, as `phalanx` does of
/// closures that capture: the places rustc names are all in the library.
fn asserted(error: &CompilationError) -> Option<Diagnostic> {
    let message = error.message();
    let said = message.strip_prefix("evaluation panicked: ")?;
    // One without a message is for the library's authors.
    let is_told = !error.is_from_user_code() && !said.starts_with("assertion failed");
    is_told.then(|| plain(said.to_owned()))
}

/// The advice of an error: a library's own words where it has some (`#[diagnostic::on_unimplemented]`), rustc's
/// otherwise.
fn advice(error: &Value, map: &CellMap<'_>) -> Vec<String> {
    /// The beginning of rustc's own notes on a trait that is not implemented.
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
        // What was expected and what was found is in rustc's note alone.
        Some("E0631") => words,
        // The traits that have a method of that name.
        Some("E0599") => [suggestions::help(error, map), words].concat(),
        _ => suggestions::help(error, map),
    }
}
