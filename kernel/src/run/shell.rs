//! `!` lines: shell commands with streamed output.

use super::Environment;
use super::error::CellError;
use crate::channel::OutputSink;
use crate::context::CellContext;
use crate::magic;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// The number of bytes read at once, and thus the largest size of a message.
const CHUNK: usize = 1 << 14;

/// The exit code of `sh` for a command that does not exist.
const NOT_FOUND: i32 = 127;

/// Runs a command; as in other kernels, its exit code does not fail the cell.
///
/// # Errors
/// Returns an error if the shell cannot be started or the cell is interrupted, which kills the
/// command and its children.
pub async fn run(
    context: &CellContext,
    environment: &Environment,
    line: &str,
) -> Result<(), Failure> {
    let (status, had_output) = stream(context, environment, "sh", line).await?;
    let notice = magic::installs(line).map(|text| format!("{text}\n"));
    if let Some(text) = notice.or_else(|| silent(line, status.code(), had_output)) {
        context.sink().text(StreamName::Stderr, text).await;
    }
    Ok(())
}

/// Runs a script.
///
/// # Errors
/// Returns the errors of [`run`], or an error if the script's exit code is not 0.
pub async fn script(
    context: &CellContext,
    environment: &Environment,
    shell: &str,
    script: &str,
) -> Result<(), Failure> {
    let (status, _) = stream(context, environment, shell, script).await?;
    if status.success() {
        return Ok(());
    }
    Err(CellError::Script {
        shell: shell.to_owned(),
        status,
    }
    .into())
}

/// Runs text in a shell and streams its output; returns its status, and true if it had output.
async fn stream(
    context: &CellContext,
    environment: &Environment,
    shell: &str,
    text: &str,
) -> Result<(ExitStatus, bool), Failure> {
    let mut command = Command::new(shell);
    environment.apply_to(&mut command);
    let mut child = command
        .arg("-c")
        .arg(text)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| CellError::ShellStart {
            shell: shell.to_owned(),
            error,
        })?;
    let output = async {
        let (stdout, stderr) = tokio::join!(
            forward(context.sink(), StreamName::Stdout, child.stdout.take()),
            forward(context.sink(), StreamName::Stderr, child.stderr.take()),
        );
        stdout || stderr
    };
    let had_output = tokio::select! {
        had_output = output => had_output,
        () = context.interrupted().cancelled() => {
            end(&mut child).await;
            return Err(Failure::Interrupted { lost: Vec::new() });
        }
    };
    let status = child.wait().await;
    let status = status.map_err(|error| CellError::ShellStatus {
        shell: shell.to_owned(),
        error,
    })?;
    Ok((status, had_output))
}

/// Returns a notice for a line that may have been meant as Rust, if the shell has no such command
/// or it printed nothing.
fn silent(line: &str, status: Option<i32>, had_output: bool) -> Option<String> {
    let hint = format!("to negate in Rust, write `(!{line})`");
    match status {
        _ if line.contains(char::is_whitespace) => None,
        Some(NOT_FOUND) => Some(format!(
            "a line that begins with `!` goes to the shell; {hint}\n"
        )),
        Some(status) if !had_output && ra_ap_rustc_lexer::is_ident(line) => Some(format!(
            "the shell ran `{line}`, which printed nothing (exit code {status}); {hint}\n"
        )),
        _ => None,
    }
}

async fn end(child: &mut Child) {
    if let Some(group) = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id as i32))
    {
        // It fails if the group has ended.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    // The process was killed, so it ends.
    let _ = child.wait().await;
}

/// Publishes the output of a pipe; returns true if there was any.
async fn forward(
    sink: &OutputSink,
    name: StreamName,
    pipe: Option<impl AsyncRead + Unpin>,
) -> bool {
    let Some(mut pipe) = pipe else {
        return false;
    };
    let mut any = false;
    let mut buffer = vec![0; CHUNK];
    let mut pending = Vec::new();
    while let Ok(count) = pipe.read(&mut buffer).await
        && count > 0
    {
        any = true;
        pending.extend_from_slice(&buffer[..count]);
        let text = take_text(&mut pending);
        if !text.is_empty() {
            sink.text(name, text).await;
        }
    }
    if !pending.is_empty() {
        let rest = String::from_utf8_lossy(&pending).into_owned();
        sink.text(name, rest).await;
    }
    any
}

/// Takes the bytes that form whole characters or can never be part of one.
fn take_text(pending: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(pending) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => pending.len(),
    };
    let rest = pending.split_off(whole);
    let text = String::from_utf8_lossy(pending).into_owned();
    *pending = rest;
    text
}

#[cfg(test)]
mod tests {
    use super::{silent, take_text};

    #[test]
    fn a_shell_line_that_may_be_rust_gets_a_notice() {
        assert!(silent("done", Some(127), true).unwrap().contains("(!done)"));
        assert!(
            silent("sync", Some(0), false)
                .unwrap()
                .contains("exit code 0")
        );
        assert_eq!(silent("ls", Some(0), true), None);
        assert_eq!(silent("mkdir a", Some(0), false), None);
    }

    #[test]
    fn incomplete_characters_are_held_back() {
        let mut pending = "aé".as_bytes()[..2].to_vec();
        assert_eq!(take_text(&mut pending), "a");
        pending.push("é".as_bytes()[1]);
        assert_eq!(take_text(&mut pending), "é");
        pending.extend(b"\xffb");
        assert_eq!(take_text(&mut pending), "\u{fffd}b");
        assert!(pending.is_empty());
    }
}
