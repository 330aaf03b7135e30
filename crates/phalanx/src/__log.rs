//! The default logger of cells, which writes to stderr. This part depends neither on `log` nor on
//! `tracing`, of which a notebook may use any version.

use phalanx_protocol::cell_crate::CELL_CRATE;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The levels in the order of their numbers in `log`, with the colours of their names.
const LEVELS: [(&str, u8); 5] = [
    ("ERROR", 31),
    ("WARN", 33),
    ("INFO", 32),
    ("DEBUG", 34),
    ("TRACE", 35),
];

/// The most detailed level that is shown; `warn` by default.
static SHOWN: AtomicUsize = AtomicUsize::new(2);

/// Shows levels up to this one: 0 for none, 1 for errors, …, 5 for traces.
pub fn show_up_to(level: usize) {
    SHOWN.store(level, Ordering::Relaxed);
}

/// Returns true if a level is shown.
pub fn shows(level: usize) -> bool {
    level <= SHOWN.load(Ordering::Relaxed)
}

/// Writes a message to stderr.
pub fn write(level: usize, target: &str, text: fmt::Arguments<'_>) {
    // That a message is the notebook's own needs no mention.
    let target = match target.split("::").next() {
        Some(CELL_CRATE) | None => String::new(),
        Some(_) => format!(" {target}"),
    };
    eprintln!("{}{target}: {text}", name(level));
}

fn name(level: usize) -> String {
    let known = level.checked_sub(1).and_then(|at| LEVELS.get(at));
    known.map_or_else(String::new, |(name, colour)| {
        format!("\x1b[{colour}m{name}\x1b[0m")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_shown_by_default() {
        assert!(shows(1) && shows(2) && !shows(3));
        show_up_to(4);
        assert!(shows(4) && !shows(5));
        assert_eq!(name(2), "\x1b[33mWARN\x1b[0m");
    }
}
