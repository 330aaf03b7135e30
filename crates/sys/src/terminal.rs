//! A stderr that looks like a terminal to the code of cells: crates draw their bars on nothing else.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

static STDERR_LOOKS_LIKE_ONE: AtomicBool = AtomicBool::new(false);

/// Makes stderr a terminal to all that ask in this process, whatever it is. Programs it starts see what
/// it is.
pub fn imitate_on_stderr() {
    STDERR_LOOKS_LIKE_ONE.store(true, Ordering::Relaxed);
}

/// libc's function, in its place: a program's own symbols come before those of libraries, also for the
/// libraries of cells, which are loaded later.
#[unsafe(no_mangle)]
extern "C" fn isatty(fd: c_int) -> c_int {
    if fd == libc::STDERR_FILENO && STDERR_LOOKS_LIKE_ONE.load(Ordering::Relaxed) {
        return 1;
    }
    let mut attributes = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the place is large enough for what is written there, and it is not read.
    let answer = unsafe { libc::tcgetattr(fd, attributes.as_mut_ptr()) };
    c_int::from(answer == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IsTerminal;

    #[test]
    fn stderr_is_one_to_the_standard_library_and_a_file_is_none() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(!file.is_terminal());
        imitate_on_stderr();
        assert!(std::io::stderr().is_terminal());
        assert!(!file.is_terminal());
    }
}
