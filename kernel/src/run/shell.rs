//! `!` lines: a command of the shell, its output streamed as it comes.

use super::{CellContext, Surroundings};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Bytes read at once, and so in one message.
const CHUNK: usize = 1 << 14;

/// `sh`'s exit code for a command that does not exist.
const NOT_FOUND: i32 = 127;

/// Runs a command; as in other kernels, its exit code does not fail the cell.
///
/// # Errors
/// When there is no shell, or the cell is interrupted: then the command and its children are ended.
pub async fn run(
    context: &CellContext,
    surroundings: &Surroundings,
    line: &str,
) -> Result<(), Failure> {
    let mut command = Command::new("sh");
    surroundings.surround(&mut command);
    let mut child = command
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::Environment {
            message: format!("`sh` could not be started: {error}"),
            hint: None,
        })?;
    let output = async {
        tokio::join!(
            forward(context, StreamName::Stdout, child.stdout.take()),
            forward(context, StreamName::Stderr, child.stderr.take()),
        );
    };
    tokio::select! {
        () = output => {}
        () = context.interrupted().cancelled() => {
            end(&mut child).await;
            return Err(Failure::Interrupted { lost: Vec::new() });
        }
    }
    let status = child.wait().await.ok().and_then(|status| status.code());
    if status == Some(NOT_FOUND) && !line.contains(char::is_whitespace) {
        let hint = format!(
            "a line that begins with `!` goes to the shell; to negate in Rust, write `(!{line})`\n"
        );
        context.outlet().text(StreamName::Stderr, hint).await;
    }
    Ok(())
}

async fn end(child: &mut Child) {
    if let Some(group) = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id as i32))
    {
        // A group that has ended by itself needs no ending.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    // Killed, so it ends.
    let _ = child.wait().await;
}

async fn forward(context: &CellContext, name: StreamName, pipe: Option<impl AsyncRead + Unpin>) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut buffer = vec![0; CHUNK];
    let mut pending = Vec::new();
    while let Ok(count) = pipe.read(&mut buffer).await
        && count > 0
    {
        pending.extend_from_slice(&buffer[..count]);
        let text = take_text(&mut pending);
        if !text.is_empty() {
            context.outlet().text(name, text).await;
        }
    }
    if !pending.is_empty() {
        let rest = String::from_utf8_lossy(&pending).into_owned();
        context.outlet().text(name, rest).await;
    }
}

/// Takes the bytes that are whole characters, or can never become any.
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
    use super::take_text;

    #[test]
    fn characters_are_not_cut() {
        let mut pending = "aé".as_bytes()[..2].to_vec();
        assert_eq!(take_text(&mut pending), "a");
        pending.push("é".as_bytes()[1]);
        assert_eq!(take_text(&mut pending), "é");
        pending.extend(b"\xffb");
        assert_eq!(take_text(&mut pending), "\u{fffd}b");
        assert!(pending.is_empty());
    }
}
