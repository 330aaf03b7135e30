//! The descendants of this process.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs;

/// Returns the children of this process, which must have a single thread. If it is a subreaper,
/// they include its orphaned descendants.
pub fn list() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_pid();
    let listed = fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let listed = listed.unwrap_or_default();
    let pids = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}

/// Returns the children of all threads of this process.
pub fn of_all_threads() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let listed = threads.filter_map(|entry| fs::read_to_string(entry.path().join("children")).ok());
    let pids = listed.flat_map(|listed| {
        let pids = listed.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.collect::<Vec<i32>>()
    });
    pids.filter_map(Pid::from_raw).collect()
}

/// Returns the start time of a process, in clock ticks since boot.
pub fn start_time(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The name, in parentheses, may contain any character; the time is the twentieth field after
    // it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Kills the children selected by `wanted`, and their children, until none is left; calls `ended`
/// with the wait status of each.
///
/// For a subreaper, which adopts the children of each child it kills.
pub fn end(wanted: impl Fn(Pid) -> bool, mut ended: impl FnMut(Pid, i32)) {
    loop {
        let victims: Vec<Pid> = list().into_iter().filter(|pid| wanted(*pid)).collect();
        if victims.is_empty() {
            return;
        }
        for pid in &victims {
            // A child that was not waited for, so its id cannot have been reused.
            let _ = kill_process(*pid, Signal::KILL);
        }
        for pid in victims {
            if let Ok(Some((pid, status))) = waitpid(Some(pid), WaitOptions::empty()) {
                ended(pid, status.as_raw());
            }
        }
    }
}

/// Reaps a child that has ended, without blocking; returns its raw wait status.
pub fn reap() -> Option<(Pid, i32)> {
    let reaped = rustix::process::wait(WaitOptions::NOHANG).ok().flatten();
    reaped.map(|(pid, status)| (pid, status.as_raw()))
}
