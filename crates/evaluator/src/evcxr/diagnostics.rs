//! evcxr's errors as failures, in the coordinates of the user's source.

use super::error_hints::{self, plain};
use super::generated_crate;
use super::library_errors;
use super::source::Prepared;
use super::spans::{self, places};
use evcxr::{CompilationError, Error};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};
use serde_json::Value;

/// What went wrong with a cell.
pub(super) fn failure(error: Error, source: &Prepared) -> Failure {
    match error {
        Error::CompilationErrors(errors) => Failure::Compile {
            diagnostics: diagnostics(&errors, source),
        },
        Error::TypeRedefinedVariablesLost(names) => Failure::VariablesLost { names },
        // What evcxr refuses in its own words, which are cargo's: dependencies.
        Error::Message(message) => Failure::Compile {
            diagnostics: vec![error_hints::told(&message)],
        },
        Error::SubprocessTerminated(message) => Failure::Internal {
            message: format!("the relay ended: {message}"),
        },
    }
}

/// The advice where rustc refuses the code that evcxr makes to keep variables.
const EXPLICIT: &str = "give the cell's variables explicit types, or put the code in braces";

/// A part of rustc's message for a type that is shown by value and is given as a reference.
const SHOWN_BY_VALUE: &str = "::evcxr_display` takes ownership of the receiver";

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
pub(super) fn disputed_types<T>(result: &Result<T, Error>, source: &Prepared) -> Vec<String> {
    let Err(Error::CompilationErrors(errors)) = result else {
        return Vec::new();
    };
    let spans = errors.iter().flat_map(CompilationError::spanned_messages);
    let spans = spans.filter_map(|spanned| spanned.span.as_ref());
    let names = spans.flat_map(|span| source.types_written_at(span.start_line, span.start_column));
    names.cloned().collect()
}

/// Errors in the user's code; those in what evcxr puts around it, and what is left of them, only
/// where there are no others. Warnings are none, though evcxr gives those of dependencies too.
fn diagnostics(errors: &[CompilationError], source: &Prepared) -> Vec<Diagnostic> {
    let rank = |error: &CompilationError| {
        let is_of_user = error.is_from_user_code()
            || asserted(error).is_some()
            || !places(&error.json, source).is_empty();
        match (error.level(), is_of_user) {
            ("error", true) => Some(0),
            ("warning", _) => None,
            (_, true) => Some(1),
            (_, false) => Some(2),
        }
    };
    let Some(best) = errors.iter().filter_map(rank).min() else {
        return vec![Diagnostic {
            help: vec![EXPLICIT.to_owned()],
            ..plain("a variable of this cell cannot be kept".to_owned())
        }];
    };
    let told = (0..)
        .zip(errors)
        .filter(|(_, error)| rank(error) == Some(best));
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for (at, error) in told {
        let mut diagnostic = diagnostic(error, source);
        if diagnostic.spans.is_empty() && asserted(error).is_some() {
            diagnostic.spans = instantiated(errors.get(at + 1..).unwrap_or_default(), source);
        }
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    library_errors::without_consequences(&mut diagnostics);
    diagnostics
        .into_iter()
        .map(error_hints::in_users_words)
        .collect()
}

fn diagnostic(error: &CompilationError, source: &Prepared) -> Diagnostic {
    if !error.json.is_object() {
        return error_hints::told(&error.message());
    }
    if is_suggestion(error) {
        let left = unresolved(error, source)
            .or_else(|| library_errors::not_travelling(&error.json, source));
        if let Some(left) = left {
            return left;
        }
        if error.message().contains("`fn With::<(), ()>::task") {
            // What is left of what `task!` says, where it was written.
            return Diagnostic {
                spans: places(&error.json, source),
                ..plain(
                    "this closure captures variables that task! does not name: add them to the list in brackets"
                        .to_owned(),
                )
            };
        }
        // All that is left of an error in the code that evcxr makes to keep variables.
        return Diagnostic {
            help: vec![EXPLICIT.to_owned()],
            ..plain(format!(
                "a variable of this cell cannot be kept: {}",
                error.message()
            ))
        };
    }
    if let Some(diagnostic) = not_shown(error, source) {
        return diagnostic;
    }
    if let Some(asserted) = asserted(error) {
        let compiled = generated_crate::source();
        let place = spans::closure(&error.json, &compiled, source);
        return Diagnostic {
            spans: place.into_iter().collect(),
            ..asserted
        };
    }
    // evcxr's stand-in for a label that rustc does not give.
    let no_label = format!("error: {}", error.message());
    let mut spans = error
        .spanned_messages()
        .iter()
        .filter_map(|spanned| {
            let span = spanned.span.as_ref()?;
            let label = spanned.label.clone();
            Some(DiagnosticSpan {
                start_line: span.start_line,
                start_column: source.column(span.start_line, span.start_column),
                end_line: span.end_line,
                end_column: source.column(span.end_line, span.end_column),
                label: if label == no_label {
                    String::new()
                } else {
                    label
                },
                primary: spanned.is_primary,
            })
        })
        .collect::<Vec<_>>();
    spans.sort_by_key(|span| !span.primary);
    if spans.is_empty() {
        spans = places(&error.json, source);
    }
    let mut help = advice(&error.json);
    let message = error.message();
    let dropped = source.dropped.names.iter();
    help.extend(
        dropped
            .filter(|name| message.contains(&format!("`{name}`")))
            .map(|name| {
                match source.dropped.rebuilt.is_empty() {
                    true => format!(
                        "this cell defines the type of `{name}` anew, so it cannot use the old value"
                    ),
                    false => format!(
                        "the crate that the type of `{name}` comes from was built anew, so no cell can use the old value"
                    ),
                }
            }),
    );
    let diagnostic = Diagnostic {
        message: error.message(),
        code: error.code().map(str::to_owned),
        rendered: spans.is_empty().then(|| error.rendered()),
        spans,
        help,
    };
    library_errors::told(diagnostic, &error.json)
}

/// Where the user's code needs what an error is in, as rustc's notes behind the error tell.
fn instantiated(behind: &[CompilationError], source: &Prepared) -> Vec<DiagnosticSpan> {
    let mut notes = behind.iter().take_while(|error| error.level() == "note");
    let found = notes.find_map(|note| {
        let places = places(&note.json, source);
        (!places.is_empty()).then_some(places)
    });
    found.unwrap_or_default()
}

/// evcxr replaces an error outside the user's code by its first suggestion that is within.
fn is_suggestion(error: &CompilationError) -> bool {
    error.json.is_object() && error.level() != "error"
}

/// A name in the last expression is not known, and something of that name could be imported.
fn unresolved(error: &CompilationError, source: &Prepared) -> Option<Diagnostic> {
    let message = error.message();
    if !message.starts_with("consider importing") {
        return None;
    }
    let import = error.json["spans"][0]["suggested_replacement"]
        .as_str()?
        .trim();
    let name = import.trim_end_matches(';').rsplit("::").next()?;
    Some(Diagnostic {
        code: Some("E0425".to_owned()),
        spans: vec![DiagnosticSpan {
            label: format!("`{name}` is not found in this scope"),
            ..source.last_expression.clone()?
        }],
        help: vec![format!("{message}: `{import}`")],
        ..plain(format!("cannot find `{name}` in this scope"))
    })
}

/// The last expression's type cannot be shown: rustc complains of code the user has not written.
fn not_shown(error: &CompilationError, source: &Prepared) -> Option<Diagnostic> {
    let message = error.message();
    let (ty, _) = message
        .strip_prefix('`')?
        .split_once("` doesn't implement `")?;
    let places = error.spanned_messages().iter();
    if places.filter(|place| place.span.is_some()).count() > 0 {
        return None;
    }
    Some(Diagnostic {
        spans: vec![DiagnosticSpan {
            label: "this value cannot be shown".to_owned(),
            ..source.last_expression.clone()?
        }],
        help: vec![if message.contains("`Debug`") {
            format!("add `#[derive(Debug)]` to `{ty}`, or end the cell with `;`")
        } else {
            "values are shown as `:fmt` says; `:fmt {:?}` is what it says at first".to_owned()
        }],
        code: error.code().map(str::to_owned),
        message,
        rendered: None,
    })
}

/// What a library tells its users where a constant of it cannot be computed, as `phalanx` does of
/// closures that capture: the places rustc names are all in the library.
fn asserted(error: &CompilationError) -> Option<Diagnostic> {
    let message = error.message();
    let said = message.strip_prefix("evaluation panicked: ")?;
    // One without a message is for the library's authors.
    let is_told = !error.is_from_user_code() && !said.starts_with("assertion failed");
    is_told.then(|| plain(said.to_owned()))
}

/// What helps: a library's own words where it has some (`#[diagnostic::on_unimplemented]`), rustc's
/// otherwise.
fn advice(error: &Value) -> Vec<String> {
    /// How rustc's own notes on a trait that is not implemented begin.
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
        _ => help(error),
    }
}

/// rustc's suggestions, each with what it would put there.
fn help(error: &Value) -> Vec<String> {
    let children = error["children"].as_array().into_iter().flatten();
    children
        .filter(|child| child["level"] == "help")
        .filter_map(|child| {
            let message = child["message"].as_str()?;
            if let Some(help) = error_hints::crate_to_add(message) {
                return Some(help);
            }
            // Of a suggestion in several places, one alone says nothing.
            let is_one = child["spans"][1].is_null();
            let replacement = child["spans"][0]["suggested_replacement"].as_str();
            let replacement = replacement.filter(|_| is_one);
            Some(match replacement.map(str::trim) {
                None | Some("") => message.to_owned(),
                Some(text) if text.contains('\n') => format!("{message}:\n{text}"),
                Some(text) => format!("{message}: `{text}`"),
            })
        })
        .collect()
}
