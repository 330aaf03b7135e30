//! Signals by number or name, as in `signal_request`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A signal by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Signal {
    /// The number, such as `2`.
    Number(i32),
    /// The name, such as `"SIGINT"`.
    Name(String),
}

/// The signals known by name, with their numbers on Linux.
const NAMES: [(&str, i32); 13] = [
    ("HUP", 1),
    ("INT", Signal::INTERRUPT),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", Signal::KILL),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", Signal::TERMINATE),
    ("CONT", 18),
    ("STOP", 19),
];

impl Signal {
    /// Interrupts the running cell.
    pub const INTERRUPT: i32 = 2;
    /// Kills the runtime.
    pub const KILL: i32 = 9;
    /// Ends the runtime, unless its code handles the signal.
    pub const TERMINATE: i32 = 15;

    /// The largest number of a signal; real-time signals cannot be sent.
    pub const LAST: i32 = 31;

    /// The signal's number on Linux; `Some(0)` for the null signal, `None` if there is no such
    /// signal, or if it cannot be sent.
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Number(number) => (0..=Self::LAST).contains(number).then_some(*number),
            Self::Name(name) => {
                let name = name.strip_prefix("SIG").unwrap_or(name);
                NAMES
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, number)| *number)
            }
        }
    }

    /// The names of all known signals: `SIGHUP`, …
    pub fn names() -> impl Iterator<Item = String> {
        NAMES.iter().map(|(name, _)| format!("SIG{name}"))
    }
}

impl fmt::Display for Signal {
    /// Formats the name, such as `SIGINT`, or `signal 34` for a signal without a name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match (NAMES.iter().find(|(_, known)| Some(*known) == number), self) {
            (Some((name, _)), _) => write!(f, "SIG{name}"),
            (None, Self::Number(number)) => write!(f, "signal {number}"),
            (None, Self::Name(name)) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        let name = |name: &str| Signal::Name(name.to_owned()).number();
        assert_eq!(name("SIGINT"), Some(2));
        assert_eq!(name("TERM"), Some(15));
        assert_eq!(name("SIGBOGUS"), None);
        assert_eq!(Signal::Number(9).number(), Some(9));
        for unknown in [-1, 34, 999] {
            assert_eq!(Signal::Number(unknown).number(), None);
        }
        assert_eq!(Signal::Number(2).to_string(), "SIGINT");
        assert_eq!(Signal::Name("TERM".into()).to_string(), "SIGTERM");
        assert_eq!(Signal::Number(34).to_string(), "signal 34");
    }
}
