//! Interrupts: a flag that the owner sets while a cell runs.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The word by which the owner requests the cell to stop.
static STOP: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());
/// The word by which the cell indicates that it polls.
static ASKED: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());

/// Returns true once the user has interrupted this cell. Takes a few nanoseconds, in any thread.
///
/// By default an interrupt ends a cell as if it had not run. A cell that polls this function has
/// two seconds to end by itself instead, and its variables are kept:
///
/// ```no_run
/// let mut steps = 0_u64;
/// while steps < 1_000_000 && !phalanx::interrupted() {
///     steps += 1;
/// }
/// ```
pub fn interrupted() -> bool {
    let word = |slot: &AtomicPtr<AtomicU32>| {
        // SAFETY: null, or a pointer that the runtime has passed to `phalanx_cell_page`, valid as
        // long as the process.
        unsafe { slot.load(Ordering::Relaxed).as_ref() }
    };
    if let Some(asked) = word(&ASKED) {
        asked.store(1, Ordering::Relaxed);
    }
    word(&STOP).is_some_and(|stop| stop.load(Ordering::Relaxed) != 0)
}

/// Called by the runtime when it has loaded this library.
///
/// # Safety
/// Both pointers are valid as long as the process.
// SAFETY: no other function has this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phalanx_cell_page(stop: *const AtomicU32, asked: *const AtomicU32) {
    STOP.store(stop.cast_mut(), Ordering::Relaxed);
    ASKED.store(asked.cast_mut(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupt_check_is_recorded_and_reads_the_request() {
        static PAGE: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
        assert!(!interrupted());
        // SAFETY: both point to statics.
        unsafe { phalanx_cell_page(&raw const PAGE[0], &raw const PAGE[1]) };
        assert!(!interrupted());
        assert_eq!(PAGE[1].load(Ordering::Relaxed), 1);
        PAGE[0].store(1, Ordering::Relaxed);
        assert!(interrupted());
    }
}
