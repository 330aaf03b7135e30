//! Programs run with a time limit.

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The output of a program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` if a signal has ended it.
    pub code: Option<i32>,
    /// The output on stdout.
    pub stdout: String,
    /// The output on stderr.
    pub stderr: String,
}

impl Finished {
    /// Returns the output if the program succeeded.
    ///
    /// # Panics
    /// Panics if it failed; the message contains its output.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a program to its end without stdin, in a process group of its own.
///
/// # Panics
/// Panics if it cannot be started or exceeds the time limit, which kills its group.
#[must_use]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    let command_text = format!("{command:?}");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command_text}: {error}"));
    let group = Pid::from_child(&child);
    // A single message; the waiting thread ends with the group at the latest.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output = match receiver.recv_timeout(limit) {
        Ok(output) => output,
        Err(_) => {
            kill_process_group(group, Signal::KILL).ok();
            let output = receiver.recv_timeout(limit);
            panic!("{command_text} did not end within {limit:?}: {output:#?}");
        }
    };
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap_or_else(|error| panic!("cannot wait for {command_text}: {error}"));
    Finished {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_exit_code_are_returned() {
        let finished = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            Duration::from_secs(10),
        );
        assert_eq!(
            (
                finished.code,
                finished.stdout.as_str(),
                finished.stderr.as_str()
            ),
            (Some(3), "out\n", "err\n")
        );
    }

    #[test]
    #[should_panic(expected = "did not end within")]
    fn program_is_killed_at_the_time_limit() {
        let endless = &mut Command::new("sh");
        let _ = run(
            endless.args(["-c", "while :; do :; done"]),
            Duration::from_millis(20),
        );
    }
}
