//! Input from the user.

use crate::Error;
use crate::error::LibraryError;
use crate::host::{call, unexpected};
use phalanx_protocol::host::{CellRequest, HostReply};

/// Prompts the user for a line; returns it without its newline.
///
/// `std::io::stdin` works too, without a prompt.
///
/// ```no_run
/// match phalanx::input("name? ") {
///     Ok(name) => println!("hello, {name}"),
///     Err(error) => println!("nobody to ask: {error}"),
/// }
/// ```
///
/// # Errors
/// `UsageError` if the frontend does not support input or the code runs on an engine, `Error` if the
/// user ends the input (Ctrl-D).
pub fn input(prompt: impl Into<String>) -> Result<String, Error> {
    ask(prompt.into(), false)
}

/// Prompts the user for a line that is not echoed.
///
/// ```no_run
/// if let Ok(token) = phalanx::password("token? ") {
///     println!("{} characters", token.chars().count());
/// }
/// ```
///
/// # Errors
/// As [`input`].
pub fn password(prompt: impl Into<String>) -> Result<String, Error> {
    ask(prompt.into(), true)
}

fn ask(prompt: String, password: bool) -> Result<String, Error> {
    match call(&CellRequest::Input { prompt, password }.into())? {
        HostReply::Input(Some(line)) => Ok(line),
        HostReply::Input(None) => Err(LibraryError::InputEnded.into()),
        other => Err(unexpected(&other)),
    }
}
