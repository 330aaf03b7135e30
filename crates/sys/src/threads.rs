//! The other threads of this process, from `/proc`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// A thread other than the calling one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The name.
    pub name: String,
    /// True if the thread is waiting (the state `S`).
    pub idle: bool,
}

/// Returns the number of threads of this process; takes a single system call.
///
/// # Errors
/// Returns an error if `/proc` is not mounted.
pub fn count() -> io::Result<u64> {
    // The link count of a folder includes its parent's entry, its own `.`, and one per subfolder.
    Ok(fs::metadata("/proc/self/task")?.nlink().saturating_sub(2))
}

/// Returns all threads but the calling one.
///
/// # Errors
/// Returns an error if `/proc` is not mounted.
pub fn others() -> io::Result<Vec<Thread>> {
    let own = rustix::thread::gettid().as_raw_pid().to_string();
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        if entry.file_name().to_str() == Some(&own) {
            continue;
        }
        // A thread that has just ended is skipped.
        if let Ok(stat) = fs::read_to_string(entry.path().join("stat")) {
            others.extend(parse(&stat));
        }
    }
    Ok(others)
}

/// Parses a line of `stat`. The name, in parentheses, may contain any character; the state follows
/// it.
fn parse(stat: &str) -> Option<Thread> {
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    Some(Thread {
        name: name.to_owned(),
        idle: after.starts_with('S'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_that_waits_is_idle_and_has_its_name() {
        let (go, wait) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("a (b) c".to_owned())
            .spawn(move || wait.recv())
            .unwrap();
        let found = loop {
            let others = others().unwrap();
            if let Some(found) = others.into_iter().find(|t| t.name == "a (b) c" && t.idle) {
                break found;
            }
        };
        assert!(found.idle);
        assert!(count().unwrap() >= 2);
        drop(go);
        assert!(thread.join().unwrap().is_err());
    }

    #[test]
    fn a_busy_thread_is_not_idle() {
        let stat = "7 (spin) R 1 7 7 0 -1";
        let thread = parse(stat).unwrap();
        assert_eq!((thread.name.as_str(), thread.idle), ("spin", false));
    }
}
