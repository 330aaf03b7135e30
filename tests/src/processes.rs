//! A search for processes by a variable of their initial environment.
//!
//! Descendants inherit the mark, so the search finds even those that have left the process group.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::fs;
use std::time::{Duration, Instant};

/// A variable and its value, unique to a test or a test run.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The name of the variable.
    pub name: &'static str,
    /// The value.
    pub value: String,
}

/// A process with a mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    /// The process id.
    pub pid: i32,
    /// The command line, joined by spaces.
    pub command: String,
}

impl Mark {
    /// Returns all running processes with the mark.
    pub fn marked_processes(&self) -> Vec<Marked> {
        let variable = format!("{}={}", self.name, self.value);
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                // Unreadable for other users' processes and those that have ended; empty for
                // zombies.
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let is_marked = environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == variable.as_bytes());
                let words = fs::read(entry.path().join("cmdline")).ok()?;
                let command = String::from_utf8_lossy(&words).replace('\0', " ");
                is_marked.then(|| Marked {
                    pid,
                    command: command.trim().to_owned(),
                })
            })
            .collect()
    }

    /// Waits for all processes with the mark to end; kills and returns those left at the time
    /// limit.
    #[must_use]
    pub fn wait_or_kill(&self, grace: Duration) -> Vec<Marked> {
        let deadline = Instant::now() + grace;
        loop {
            let marked_processes = self.marked_processes();
            let Some(first) = marked_processes.first() else {
                return marked_processes;
            };
            if !wait_for_end(first.pid, deadline) {
                let remaining = self.marked_processes();
                for pid in remaining
                    .iter()
                    .filter_map(|process| Pid::from_raw(process.pid))
                {
                    kill_process(pid, Signal::KILL).ok();
                }
                return remaining;
            }
        }
    }
}

/// Waits for a process to end; returns false at the deadline.
fn wait_for_end(pid: i32, deadline: Instant) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    // The process does not exist any more.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let timeout = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut descriptors = [PollFd::new(&process, PollFlags::IN)];
    matches!(poll(&mut descriptors, Some(&timeout)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    fn mark(name: &str) -> Mark {
        Mark {
            name: "PHALANX_TEST_SAMPLE",
            value: format!("{name}-{}", std::process::id()),
        }
    }

    /// `cat` runs until its stdin is closed. Once it has echoed a line, its exec is done and its
    /// environment can be read.
    fn marked_cat(mark: &Mark) -> std::process::Child {
        let mut child = Command::new("cat")
            .env(mark.name, &mark.value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut answer = [0];
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut answer).unwrap();
        child
    }

    #[test]
    fn ended_process_does_not_remain() {
        let mark = mark("ends");
        let mut child = marked_cat(&mark);
        let found = mark.marked_processes();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].command, "cat");
        assert_eq!(mark.wait_or_kill(Duration::from_secs(5)), []);
    }

    #[test]
    fn remaining_process_is_reported_and_killed() {
        let mark = mark("stays");
        let mut child = marked_cat(&mark);
        let remaining = mark.wait_or_kill(Duration::from_millis(10));
        assert_eq!(remaining.len(), 1);
        assert!(!child.wait().unwrap().success());
    }
}
