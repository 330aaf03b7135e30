//! Interrupts of compilations: cargo and its child processes are killed, evcxr and its state are
//! not affected.

use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The interval at which compilers that evcxr starts after an interrupt are killed.
const KILL_INTERVAL: Duration = Duration::from_millis(5);

/// The state of interrupts, shared by the threads of an evaluator.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<InterruptState>);

#[derive(Default)]
struct InterruptState {
    /// The number of received requests that are not answered.
    pending: AtomicU32,
    interrupted: AtomicBool,
    /// The process id of the relay, which must not be killed: evcxr would assume the loss of all
    /// variables.
    spared: AtomicU32,
}

impl Interrupt {
    /// Records that a request was received.
    pub(crate) fn begin(&self) {
        self.0.pending.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns true if the current request was interrupted.
    pub(crate) fn interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }

    /// Records that a request was answered.
    pub(crate) fn end(&self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
        self.0.interrupted.store(false, Ordering::SeqCst);
    }

    /// Records a child process that is not part of any compilation.
    #[cfg_attr(
        not(feature = "evcxr"),
        expect(dead_code, reason = "only evcxr has a relay")
    )]
    pub(crate) fn spare(&self, pid: u32) {
        self.0.spared.store(pid, Ordering::SeqCst);
    }

    /// Kills every descendant except the relay, and every one that evcxr starts from now on until
    /// it has ended the request; does nothing if there is no request.
    pub(crate) fn kill_children(&self) {
        let idle = self.0.pending.load(Ordering::SeqCst) == 0;
        if idle || self.0.interrupted.swap(true, Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(&self.0);
        // Ends with the request.
        std::thread::spawn(move || {
            while state.interrupted.load(Ordering::SeqCst) {
                kill_descendants(state.spared.load(Ordering::SeqCst));
                std::thread::sleep(KILL_INTERVAL);
            }
        });
    }
}

/// Kills every descendant of this process but one.
fn kill_descendants(spared: u32) {
    for pid in descendants(std::process::id()).difference(&BTreeSet::from([spared])) {
        if let Some(pid) = Pid::from_raw(*pid as i32) {
            // A process that has just exited cannot be killed.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Returns all descendants of a process, from `/proc`.
fn descendants(root: u32) -> BTreeSet<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in processes {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut descendants = BTreeSet::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            descendants.insert(child);
            next.push(child);
        }
    }
    descendants
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain any character; the parent is the second field after it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_include_running_children() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "echo up; read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(descendants(std::process::id()).contains(&child.id()));
        assert_eq!(parent_of(child.id()), Some(std::process::id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!descendants(std::process::id()).contains(&child.id()));
    }
}
