//! The end of a runtime process.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The end of a runtime process, as far as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeExit {
    /// A signal ended it.
    Signal(i32),
    /// It exited with this status.
    Status(i32),
    /// It could not be started.
    NotStarted(String),
    /// The run was interrupted before it reached the process, which goes on.
    NotRun,
    /// The status could not be determined.
    Unknown,
}

impl RuntimeExit {
    /// The signal that the system sends to a process when memory has run out (`SIGKILL`).
    const KILL: i32 = 9;

    /// Returns true if the process was killed, by a user or by the system.
    pub fn is_kill(&self) -> bool {
        *self == Self::Signal(Self::KILL)
    }
}

impl fmt::Display for RuntimeExit {
    /// Formats as in `signal 11 (SIGSEGV)` and `exit status 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::NotStarted(reason) => f.write_str(reason),
            Self::NotRun => f.write_str("interrupted"),
            Self::Unknown => f.write_str("exit status unknown"),
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        RuntimeExit::KILL => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_described() {
        let exits = [
            RuntimeExit::Signal(9),
            RuntimeExit::Signal(34),
            RuntimeExit::Status(3),
        ];
        assert_eq!(
            exits.each_ref().map(ToString::to_string),
            ["signal 9 (SIGKILL)", "signal 34", "exit status 3"]
        );
        assert_eq!(exits.map(|exit| exit.is_kill()), [true, false, false]);
    }

    #[test]
    fn exits_are_read_back() {
        let exit = RuntimeExit::Signal(6);
        let text = serde_json::to_string(&exit).unwrap();
        assert_eq!(text, r#"{"signal":6}"#);
        assert_eq!(serde_json::from_str::<RuntimeExit>(&text).unwrap(), exit);
    }
}
