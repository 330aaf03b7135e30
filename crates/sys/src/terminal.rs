//! A stderr that appears to be a terminal to the code of cells, as crates require for progress
//! bars.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

static STDERR_IS_TERMINAL: AtomicBool = AtomicBool::new(false);

/// Makes `isatty` report stderr as a terminal in this process. Programs it starts are not affected.
pub fn imitate_on_stderr() {
    STDERR_IS_TERMINAL.store(true, Ordering::Relaxed);
}

/// Replaces the C library's function: a program's own symbols take precedence over those of
/// libraries, even for the libraries of cells, which are loaded later.
#[unsafe(no_mangle)]
extern "C" fn isatty(fd: c_int) -> c_int {
    if fd == libc::STDERR_FILENO && STDERR_IS_TERMINAL.load(Ordering::Relaxed) {
        return 1;
    }
    let mut attributes = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the buffer is large enough for the result, and is not read.
    let answer = unsafe { libc::tcgetattr(fd, attributes.as_mut_ptr()) };
    c_int::from(answer == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IsTerminal;

    #[test]
    fn terminal_detection_of_the_standard_library_can_be_overridden() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(!file.is_terminal());
        imitate_on_stderr();
        assert!(std::io::stderr().is_terminal());
        assert!(!file.is_terminal());
    }
}
