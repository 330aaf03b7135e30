//! The log of a program, and rate-limited warnings.

use std::fs::File;
use std::sync::Mutex;
use tracing::Level;
use tracing_subscriber::EnvFilter;

/// The environment variable that holds the filter of the log.
const FILTER_VAR: &str = "PHALANX_LOG";

/// Starts the log of this program on stderr: messages from a level on, by default those that
/// `PHALANX_LOG` selects, else warnings.
///
/// # Panics
/// If the program has a log.
pub fn to_stderr(level: Option<Level>) {
    tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(std::io::stderr)
        .init();
}

/// Starts the log of this program in a file, with the messages of [`to_stderr`].
///
/// # Panics
/// If the program has a log.
pub fn to_file(level: Option<Level>, file: File) {
    tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .init();
}

fn filter(level: Option<Level>) -> EnvFilter {
    let from = |level: Level| EnvFilter::new(format!("{level},zeromq=error"));
    match level {
        Some(level) => from(level),
        None => EnvFilter::try_from_env(FILTER_VAR).unwrap_or_else(|_| from(Level::WARN)),
    }
}

/// Logs a warning that a peer can cause at any rate: a few times in ten seconds, then with the
/// number of those suppressed. Has the arguments of `tracing::warn!`.
#[macro_export]
macro_rules! warn_rarely {
    ($($field:tt)*) => {{
        static THROTTLE: $crate::Throttle = $crate::Throttle::new();
        if let Some(unsaid) = THROTTLE.pass() {
            ::tracing::warn!(unsaid, $($field)*);
        }
    }};
}
