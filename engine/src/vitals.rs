//! The state of the runtime process, reported with each heartbeat.

use phalanx_protocol::parallel::Vitals;
use phalanx_runtime::ProcessId;
use phalanx_sys::machine::host_name;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Clock ticks per second in a process's `stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// The process that runs cells, if any. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchedProcess(
    /// Locked for an assignment.
    Arc<Mutex<Option<ProcessId>>>,
);

impl WatchedProcess {
    /// Sets the process that runs cells.
    pub fn set(&self, process: ProcessId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    fn pid(&self) -> Option<u32> {
        let process = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(ProcessId::get)
    }
}

/// Measures the resource usage of the process.
#[derive(Debug)]
pub(crate) struct VitalsMeter {
    watched: WatchedProcess,
    /// The process id, its processor time in seconds, and the time of the last measurement.
    last: Option<(u32, f64, Instant)>,
}

impl VitalsMeter {
    pub fn new(watched: WatchedProcess) -> Self {
        let last = None;
        Self { watched, last }
    }

    /// Measures the process; `None` if there is none.
    pub fn read(&mut self, now: Instant) -> Option<Vitals> {
        let pid = self.watched.pid()?;
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let seconds = seconds_on_core(&read("stat")?)?;
        let memory = memory(&read("status")?)?;
        let cores = match self.last {
            Some((before, used, at)) if before == pid && now > at => {
                (seconds - used).max(0.0) / now.duration_since(at).as_secs_f64()
            }
            _ => 0.0,
        };
        self.last = Some((pid, seconds, now));
        Some(Vitals {
            host: host_name(),
            memory,
            cores,
        })
    }
}

/// Returns the processor time, in seconds, in a process's `stat`.
fn seconds_on_core(stat: &str) -> Option<f64> {
    // The name in parentheses may contain spaces.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// Returns the memory, in bytes, in a process's `status`.
fn memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib = line.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_process_is_read() {
        let stat = "4 (a) b) S 1 4 4 0 -1 4 1 2 3 4 250 50 0 0 20 0 1 0 7 1000 3 18446 1";
        assert_eq!(seconds_on_core(stat), Some(3.0));
        assert_eq!(seconds_on_core("nothing"), None);
        let status = "Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t1\n";
        assert_eq!(memory(status), Some(2 << 20));
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(memory(&own).unwrap() > 1 << 20);
    }
}
