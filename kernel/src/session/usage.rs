//! Resources in use by the kernel and its processes (`usage_request`).

use super::info::message;
use phalanx_protocol::jupyter::JupyterMessageContent;
use phalanx_sys::machine::host_name;
use rustix::system::sysinfo;
use serde_json::json;
use std::collections::HashMap;
use std::time::Instant;

/// Fields of `/proc/PID/stat` after the program's name, counted from 0.
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;

/// Clock ticks per second in `/proc`, the same on every Linux.
const TICKS: f64 = 100.0;

/// The last measurement, since processor usage refers to an interval.
#[derive(Debug, Default)]
pub struct Usage {
    last: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    /// Clock ticks spent by our processes.
    ours: u64,
    /// Clock ticks the machine's processors were busy and idle.
    busy: u64,
    idle: u64,
}

impl Usage {
    /// Measures the usage and returns a reply in ipykernel's format. Reads `/proc`.
    pub fn measure(&mut self, now: Instant) -> JupyterMessageContent {
        let me = std::process::id();
        let family = family(&processes(), me);
        let ours = family.iter().map(|process| process.ticks).sum();
        let memory: u64 = family.iter().map(|process| process.memory).sum();
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let (busy, idle) = machine_ticks(&stat);
        let at = now;
        let sample = Sample {
            at,
            ours,
            busy,
            idle,
        };
        let last = self.last.replace(sample);
        let system = sysinfo();
        let unit = u64::from(system.mem_unit.max(1));
        let total = system.totalram * unit;
        let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let available = bytes(&info, "MemAvailable:").unwrap_or(system.freeram * unit);
        message(
            "usage_reply",
            json!({
                "hostname": host_name(),
                "pid": me,
                "kernel_cpu": last.map_or(0.0, |last| own_share(last, sample)),
                "kernel_memory": memory,
                "host_cpu_percent": last.map_or(0.0, |last| machine_share(last, sample)),
                "cpu_count": std::thread::available_parallelism().map_or(1, usize::from),
                "host_virtual_memory": {
                    "total": total,
                    "available": available,
                    "percent": percent(total.saturating_sub(available), total),
                    "used": total.saturating_sub(available),
                    "free": system.freeram * unit,
                },
            }),
        )
    }
}

/// Returns the usage in percent of one processor, as `psutil` does.
fn own_share(last: Sample, now: Sample) -> f64 {
    let seconds = now.at.duration_since(last.at).as_secs_f64();
    if seconds == 0.0 {
        return 0.0;
    }
    100.0 * now.ours.saturating_sub(last.ours) as f64 / TICKS / seconds
}

/// Returns the usage in percent of all processors.
fn machine_share(last: Sample, now: Sample) -> f64 {
    let busy = now.busy.saturating_sub(last.busy);
    let idle = now.idle.saturating_sub(last.idle);
    percent(busy, busy + idle)
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct ProcessUsage {
    id: u32,
    parent: u32,
    ticks: u64,
    /// Resident memory, in bytes.
    memory: u64,
}

fn processes() -> Vec<ProcessUsage> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let stats = entries.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        // A process that has ended meanwhile is skipped.
        let read = |file| std::fs::read_to_string(entry.path().join(file)).ok();
        process(id, &read("stat")?, &read("status")?)
    });
    stats.collect()
}

fn process(id: u32, stat: &str, status: &str) -> Option<ProcessUsage> {
    // The name may contain spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(ProcessUsage {
        id,
        parent: u32::try_from(number(PARENT)?).ok()?,
        ticks: number(USER_TICKS)? + number(SYSTEM_TICKS)?,
        // Absent for a process that is ending.
        memory: bytes(status, "VmRSS:").unwrap_or(0),
    })
}

/// Returns a process and all its descendants.
fn family(processes: &[ProcessUsage], first: u32) -> Vec<ProcessUsage> {
    let mut children: HashMap<u32, Vec<ProcessUsage>> = HashMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found: Vec<ProcessUsage> = processes
        .iter()
        .filter(|process| process.id == first)
        .copied()
        .collect();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        // Removed, so that no process is counted twice.
        found.extend(children.remove(&process.id).unwrap_or_default());
        next += 1;
    }
    found
}

/// Returns the busy and idle ticks of all processors, from the first line of `/proc/stat`.
fn machine_ticks(stat: &str) -> (u64, u64) {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().sum::<u64>() - idle, idle)
}

/// Returns the size, in bytes, of a field of `/proc/PID/status` or `/proc/meminfo`.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_parsed() {
        let stat = "7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 11 5 0 0 20 0 1 0 1 4096 42 0";
        let expected = ProcessUsage {
            id: 7,
            parent: 3,
            ticks: 16,
            memory: 42 * 1024,
        };
        assert_eq!(process(7, stat, "VmRSS:\t  42 kB\n"), Some(expected));
        assert_eq!(process(7, "7 (a) S x", ""), None);
        let child = ProcessUsage {
            id: 9,
            parent: 7,
            ..expected
        };
        assert_eq!(family(&[child, expected], 7), [expected, child]);
        assert_eq!(family(&[child, expected], 1), []);
        assert_eq!(machine_ticks("cpu  1 2 3 40 5 6 7 8 9 10\ncpu0"), (27, 45));
        assert_eq!(
            bytes("MemFree: 1 kB\nMemAvailable:   2 kB\n", "MemAvailable:"),
            Some(2048)
        );
        assert_eq!(percent(1, 0), 0.0);
    }
}
