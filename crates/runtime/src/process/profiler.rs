//! A sampling profiler of this process, driven by its CPU time.

use super::library::profiler_of;
use super::symbols::Symbols;
use libloading::os::unix::Library;
use phalanx_protocol::cell_crate::replace_cell_crate;
use phalanx_protocol::native::{Profiler, ValueSink};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The maximum number of samples per second; the system's clock ticks 100 to 1,000 times. A prime
/// number, so that no loop runs in step with it.
const RATE: i64 = 499;

/// The maximum number of frames kept of a sample, the innermost ones.
const DEPTH: usize = 128;

/// The number of words for samples: several minutes on all cores; memory is allocated only when
/// written.
const SAMPLE_WORDS: usize = 4 << 20;

/// The prefix of a cell's entry function, above which its own functions begin.
const ENTRY: &str = "run_user_code_";

/// The function above which a thread's own functions begin.
const THREAD: &str = "__rust_begin_short_backtrace";

/// Parts of the names of the functions between the user's own and the sampling.
const HANDLERS: [&str; 3] = ["profiler::sample", "__restore_rt", "__kernel_rt_sigreturn"];

/// The functions that libraries call.
static PROFILER: Profiler = Profiler { start, stop };

static RUNNING: AtomicBool = AtomicBool::new(false);

/// The samples: for each the number of frames, and their addresses.
static SAMPLES: OnceLock<Box<[AtomicUsize]>> = OnceLock::new();

/// The number of words in use.
static USED_WORDS: AtomicUsize = AtomicUsize::new(0);

/// Passes the profiler to a newly loaded library.
pub(super) fn attach(library: &Library) {
    if let Some(attach) = profiler_of(library) {
        // SAFETY: the function takes a profiler that lives as long as the process, and does not unwind.
        unsafe { attach(&raw const PROFILER) };
    }
}

extern "C" fn start() -> bool {
    if RUNNING.swap(true, Ordering::AcqRel) {
        return false;
    }
    SAMPLES.get_or_init(room);
    USED_WORDS.store(0, Ordering::Release);
    let started = handle().and_then(|()| every(1_000_000 / RATE));
    if started.is_err() {
        RUNNING.store(false, Ordering::Release);
    }
    started.is_ok()
}

/// Stops sampling, and passes the stacks to `give`: one line per stack, with its functions from the
/// outermost on, separated by semicolons, and its count.
///
/// # Safety
/// `to` is a valid argument for `give`.
unsafe extern "C" fn stop(to: *mut c_void, give: ValueSink) {
    // The handler stays installed, since a signal may be pending.
    let _ = every(0);
    if !RUNNING.swap(false, Ordering::AcqRel) {
        return;
    }
    let text = folded();
    // SAFETY: passed by the caller, and called once.
    unsafe { give(to, text.as_ptr(), text.len()) };
}

/// Allocates zeroed words, which take no memory until they are written.
fn room() -> Box<[AtomicUsize]> {
    let zeros = Box::into_raw(vec![0usize; SAMPLE_WORDS].into_boxed_slice());
    // SAFETY: an atomic number has the size and the alignment of the number, and this is the only
    // pointer to the memory.
    unsafe { Box::from_raw(zeros as *mut [AtomicUsize]) }
}

/// Installs [`sample`] as the handler of the profiling clock's ticks.
fn handle() -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeros is an action without flags and with an empty set of signals; its fields are
    // then set as required by the system.
    let failed = unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = sample as extern "C" fn(c_int) as usize;
        // Interrupted system calls of the cell are restarted.
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGPROF, action, null_mut())
    };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the interval of the clock in microseconds of CPU time; 0 stops it.
fn every(microseconds: i64) -> io::Result<()> {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    // SAFETY: the timer is only read, and a null pointer is not written to.
    match unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Records the stack of the interrupted thread. Does not allocate or block.
extern "C" fn sample(_: c_int) {
    let Some(samples) = SAMPLES.get().filter(|_| RUNNING.load(Ordering::Acquire)) else {
        return;
    };
    let mut frames = [0; DEPTH];
    let mut count = 0;
    // SAFETY: synchronisation is only required with other threads in the same function, and walking
    // a stack needs none.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            frames[count] = frame.ip() as usize;
            count += 1;
            count < DEPTH
        });
    }
    let at = USED_WORDS.fetch_add(count + 1, Ordering::AcqRel);
    let Some(slot) = samples.get(at..at + count + 1) else {
        return;
    };
    for (word, frame) in slot[1..].iter().zip(frames) {
        word.store(frame, Ordering::Relaxed);
    }
    slot[0].store(count, Ordering::Release);
}

fn folded() -> String {
    let Some(samples) = SAMPLES.get() else {
        return String::new();
    };
    let end = USED_WORDS.load(Ordering::Acquire).min(samples.len());
    let mut names = Symbols::read();
    let mut stacks = BTreeMap::<String, usize>::new();
    let mut at = 0;
    while let Some(count) = samples[..end].get(at) {
        // Zero if the sample was not completed, or did not fit.
        let count = count.swap(0, Ordering::AcqRel);
        let frames: Option<Vec<usize>> = samples[..end].get(at + 1..at + 1 + count).map(|words| {
            let frames = words.iter().map(|word| word.load(Ordering::Relaxed));
            frames.collect()
        });
        at += count + 1;
        if let Some(stack) = frames.and_then(|frames| stack(&frames, &mut names)) {
            *stacks.entry(stack).or_default() += 1;
        }
    }
    let lines = stacks.iter();
    lines
        .map(|(stack, count)| format!("{stack} {count}\n"))
        .collect()
}

/// The functions of the user's code in a sample; `None` if there are none.
fn stack(frames: &[usize], names: &mut Symbols) -> Option<String> {
    // A return address is that of the next instruction, which may belong to another function.
    let addresses = frames.iter().map(|frame| frame.saturating_sub(1) as u64);
    let functions = addresses.filter_map(|address| Some(names.at(address)?.replace(';', ",")));
    outermost_first(&functions.collect::<Vec<_>>())
}

/// The functions from the one above the entry of a cell, or of a thread, on; without the signal
/// handler's.
fn outermost_first(innermost_first: &[String]) -> Option<String> {
    let is_handlers = |name: &String| HANDLERS.iter().any(|part| name.contains(part));
    let begin = innermost_first.iter().rposition(is_handlers);
    let own = &innermost_first[begin.map_or(0, |handler| handler + 1)..];
    let end = own
        .iter()
        .position(|name| name.contains(ENTRY) || name.contains(THREAD))?;
    let functions = own[..end]
        .iter()
        .rev()
        .map(|name| replace_cell_crate(name, ""));
    let functions: Vec<String> = functions.collect();
    match functions.is_empty() {
        true => Some("the cell".to_owned()),
        false => Some(functions.join(";")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_users_functions_are_listed_from_the_outermost() {
        let sample = names(&[
            "phalanx_runtime::process::profiler::sample",
            "__restore_rt",
            "core::f64::sqrt",
            "notebook::inner",
            "notebook::outer",
            "notebook::run_user_code_3::{{closure}}",
            "run_user_code_3",
            "main",
        ]);
        assert_eq!(
            outermost_first(&sample).as_deref(),
            Some("outer;inner;core::f64::sqrt")
        );
        let thread = names(&[
            "notebook::work",
            "std::sys::backtrace::__rust_begin_short_backtrace",
        ]);
        assert_eq!(outermost_first(&thread).as_deref(), Some("work"));
        assert_eq!(outermost_first(&names(&["epoll_wait", "main"])), None);
        let cell = names(&["__restore_rt", "run_user_code_1"]);
        assert_eq!(outermost_first(&cell).as_deref(), Some("the cell"));
    }

    #[inline(never)]
    fn run_user_code_1(until: &AtomicBool) -> u64 {
        busy(until)
    }

    #[inline(never)]
    fn busy(until: &AtomicBool) -> u64 {
        let mut sum = 0u64;
        while !until.load(Ordering::Relaxed) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
            if USED_WORDS.load(Ordering::Relaxed) > 200 {
                break;
            }
        }
        sum
    }

    #[test]
    fn a_busy_function_is_sampled() {
        unsafe extern "C" fn give(to: *mut c_void, bytes: *const u8, len: usize) {
            // SAFETY: a string, and bytes that are valid during the call.
            let (to, bytes) = unsafe {
                (
                    &mut *to.cast::<String>(),
                    std::slice::from_raw_parts(bytes, len),
                )
            };
            to.push_str(&String::from_utf8_lossy(bytes));
        }
        assert!(start());
        assert!(!start(), "one at a time");
        run_user_code_1(&AtomicBool::new(false));
        let mut text = String::new();
        // SAFETY: the function above expects the string.
        unsafe { stop((&raw mut text).cast(), give) };
        assert!(text.contains("busy"), "{text}");
    }
}
