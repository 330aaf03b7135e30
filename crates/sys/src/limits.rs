//! The limit on open files.
//!
//! The soft limit is usually 1024, for the sake of programs that use `select`; each process may
//! raise its own to the hard limit.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Raises the soft limit to the hard limit, if permitted.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // Left unchanged on failure; errors at the limit are described by [`describe`].
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Returns the number of files this process may have open; `None` if it is unlimited.
pub fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns true if an error means that too many files are open, in this process or in the system.
pub fn is_reached(error: &io::Error) -> bool {
    let errors = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error
        .raw_os_error()
        .is_some_and(|error| errors.contains(&error))
}

/// Describes an error; one caused by too many open files includes the limit and the remedy.
pub fn describe(error: &io::Error) -> String {
    match is_reached(error).then(open_files).flatten() {
        Some(limit) => format!(
            "{error}: this process may have {limit} open files; raise the limit where it is started (`ulimit -Hn`, LimitNOFILE of a service)"
        ),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_hard_limit() {
        raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }

    #[test]
    fn an_error_at_the_limit_has_a_hint() {
        let reached = io::Error::from(Errno::MFILE);
        assert!(describe(&reached).contains("open files; raise the limit"));
        let other = io::Error::from(Errno::CONNREFUSED);
        assert_eq!(describe(&other), other.to_string());
    }
}
