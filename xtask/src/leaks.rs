//! Finds processes that outlived the tests that started them.

use std::fs;
use std::time::{Duration, Instant};

/// Set for everything a test run starts, to a value of that run's own.
pub const RUN_VARIABLE: &str = "PHALANX_TEST_RUN";

/// How long processes that are just ending get; a kernel that lost its parent polls once a second.
const GRACE: Duration = Duration::from_secs(5);

/// The command lines of processes that still carry the run's mark when the grace is over.
pub fn left_behind(run: &str) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    loop {
        let found = marked(run);
        if found.is_empty() || Instant::now() >= deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn marked(run: &str) -> Vec<String> {
    let wanted = format!("{RUN_VARIABLE}={run}");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter(|process| {
            // Unreadable is another user's, or gone by now.
            fs::read(process.path().join("environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == wanted.as_bytes())
            })
        })
        .map(|process| {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            format!("{} {}", process.file_name().to_string_lossy(), words.trim())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_running_process_is_found_and_an_ended_one_is_not() {
        let run = format!("leaks-{}", std::process::id());
        // `cat` waits for its input to end.
        let mut child = Command::new("cat")
            .env(RUN_VARIABLE, &run)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let found = marked(&run);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found, [format!("{} cat", child.id())]);
        assert_eq!(left_behind(&run), Vec::<String>::new());
    }
}
