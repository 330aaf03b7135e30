//! The order in which the system ends processes when memory runs out.

use rustix::process::Pid;

/// The surplus of a process's score over others', in thousandths of all memory.
const MORE: i32 = 500;

const FILE: &str = "/proc/self/oom_score_adj";

/// The score this process was started with.
#[derive(Clone, Copy, Debug)]
pub(super) struct OomScore(i32);

impl OomScore {
    pub(super) fn own() -> Self {
        let known = std::fs::read_to_string(FILE).ok();
        Self(known.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// Memory that is short takes the process that runs a cell, not its snapshot.
    pub(super) fn raise(self) {
        write(FILE, (self.0 + MORE).min(1000));
    }

    /// Gives another process the score that this one was started with. The snapshot does not do it
    /// itself: a file it opens would be among ours.
    pub(super) fn of(self, pid: Pid) {
        write(&format!("/proc/{}/oom_score_adj", pid.as_raw_pid()), self.0);
    }
}

fn write(file: &str, score: i32) {
    // Where it may not be set, the larger process goes first: that is the one running.
    let _ = std::fs::write(file, score.to_string());
}
