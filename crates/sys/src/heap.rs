//! The heap of this process.

/// Returns free memory to the system. The C library keeps free memory between used blocks, which
/// can be most of the heap. Takes some milliseconds per hundred megabytes.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: may be called by any thread at any time; it takes the locks it needs.
        let _ = unsafe { malloc_trim(0) };
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = status.split(' ').nth(1).unwrap();
        pages.parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn free_memory_between_used_blocks_is_returned_to_the_system() {
        let many = || (0..200_000).map(|_| vec![1u8; 1000]);
        let (kept, free): (Vec<_>, Vec<_>) = many().enumerate().partition(|(n, _)| n % 100 == 0);
        drop(free);
        let before = resident();
        trim();
        assert!(resident() + (100 << 20) < before);
        drop(kept);
    }
}
