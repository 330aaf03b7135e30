//! The library's error that was formatted last in this thread. A cell's error reaches the owner as a
//! text, to which this adds its structure.

use phalanx_protocol::failure::Failure;
use std::cell::RefCell;

/// An error of the library, and its text.
#[derive(Debug)]
pub(crate) struct FormattedError {
    pub(crate) text: String,
    pub(crate) failure: Failure,
}

thread_local! {
    static LAST: RefCell<Option<FormattedError>> = const { RefCell::new(None) };
}

/// Records that an error was formatted.
pub(crate) fn record(text: &str, failure: &Failure) {
    restore(Some(FormattedError {
        text: text.to_owned(),
        failure: failure.clone(),
    }));
}

/// Returns the error formatted last, and forgets it.
pub(crate) fn take() -> Option<FormattedError> {
    LAST.take()
}

/// Records an error that was taken.
pub(crate) fn restore(error: Option<FormattedError>) {
    LAST.set(error);
}
