//! evcxr's errors as failures, in the coordinates of the user's source.

use super::source::Prepared;
use evcxr::{CompilationError, Error};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};

/// What went wrong with a cell.
pub(super) fn failure(error: Error, source: &Prepared) -> Failure {
    match error {
        Error::CompilationErrors(errors) => Failure::Compile {
            diagnostics: errors
                .iter()
                .map(|error| diagnostic(error, source))
                .collect(),
        },
        Error::TypeRedefinedVariablesLost(names) => Failure::VariablesLost { names },
        // What evcxr refuses in its own words: closures, unnameable types, bad commands.
        Error::Message(message) => Failure::Compile {
            diagnostics: vec![plain(message)],
        },
        Error::SubprocessTerminated(message) => Failure::Internal {
            message: format!("the relay ended: {message}"),
        },
    }
}

fn plain(message: String) -> Diagnostic {
    Diagnostic {
        message,
        code: None,
        spans: Vec::new(),
        help: Vec::new(),
        rendered: None,
    }
}

fn diagnostic(error: &CompilationError, source: &Prepared) -> Diagnostic {
    if !error.json.is_object() {
        return plain(error.message());
    }
    let mut spans = error
        .spanned_messages()
        .iter()
        .filter_map(|spanned| {
            let span = spanned.span.as_ref()?;
            Some(DiagnosticSpan {
                start_line: span.start_line,
                start_column: source.column(span.start_line, span.start_column),
                end_line: span.end_line,
                end_column: source.column(span.end_line, span.end_column),
                label: spanned.label.clone(),
                primary: spanned.is_primary,
            })
        })
        .collect::<Vec<_>>();
    spans.sort_by_key(|span| !span.primary);
    let mut help = error.help();
    help.extend(error.evcxr_extra_hint().map(str::to_owned));
    let elsewhere = !error.is_from_user_code() || spans.is_empty();
    Diagnostic {
        message: error.message(),
        code: error.code().map(str::to_owned),
        spans,
        help,
        rendered: elsewhere.then(|| error.rendered()),
    }
}
