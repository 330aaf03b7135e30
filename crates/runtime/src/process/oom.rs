//! The order in which the system kills processes when memory runs out.

use rustix::process::Pid;

/// The amount by which a process's score exceeds others', in thousandths of all memory.
const SCORE_INCREASE: i32 = 500;

const FILE: &str = "/proc/self/oom_score_adj";

/// The score with which this process was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct OomScore(i32);

impl OomScore {
    pub(super) fn own() -> Self {
        let known = std::fs::read_to_string(FILE).ok();
        Self(known.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// Raises the score, so that the system kills the process that runs a cell rather than its
    /// snapshot.
    pub(super) fn raise(self) {
        write(FILE, (self.0 + SCORE_INCREASE).min(1000));
    }

    /// Sets another process's score to the one with which this process was started. The snapshot
    /// does not do so itself, since it shares its open files with this process.
    pub(super) fn of(self, pid: Pid) {
        write(&format!("/proc/{}/oom_score_adj", pid.as_raw_pid()), self.0);
    }
}

fn write(file: &str, score: i32) {
    // If it cannot be set, the system kills the larger process, which is the running one.
    let _ = std::fs::write(file, score.to_string());
}
