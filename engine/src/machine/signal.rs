//! Signals by number or name, as `signal_request` has them.

use phalanx_protocol::parallel::Signal;

/// The signal's number on Linux; `Some(0)` for the signal that does nothing.
pub(super) fn number(signal: &Signal) -> Option<i32> {
    match signal {
        Signal::Number(number) => (0..=64).contains(number).then_some(*number),
        Signal::Name(name) => {
            let name = name.strip_prefix("SIG").unwrap_or(name);
            NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, number)| *number)
        }
    }
}

/// Ends the running cell.
pub(super) const INTERRUPT: i32 = 2;
/// Ends the runtime.
pub(super) const KILL: i32 = 9;
/// Ends the engine.
pub(super) const TERMINATE: i32 = 15;

const NAMES: [(&str, i32); 11] = [
    ("HUP", 1),
    ("INT", INTERRUPT),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", KILL),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("TERM", TERMINATE),
    ("CONT", 18),
    ("STOP", 19),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        let name = |name: &str| number(&Signal::Name(name.to_owned()));
        assert_eq!(name("SIGINT"), Some(2));
        assert_eq!(name("TERM"), Some(15));
        assert_eq!(name("SIGBOGUS"), None);
        assert_eq!(number(&Signal::Number(9)), Some(9));
        assert_eq!(number(&Signal::Number(-1)), None);
    }
}
