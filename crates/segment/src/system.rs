//! The system calls: memfd_create(2), fcntl(2), mmap(2), munmap(2).
//!
//! Declared here rather than taken from libc, whose metadata rustc would read with every cell: the
//! notebook's library contains this crate.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

unsafe extern "C" {
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn mmap(
        at: *mut c_void,
        len: usize,
        access: c_int,
        flags: c_int,
        fd: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn munmap(at: *mut c_void, len: usize) -> c_int;
}

// `linux/memfd.h`, `linux/fcntl.h`, `sys/mman.h`.
const MFD_CLOEXEC: c_uint = 1;
const MFD_ALLOW_SEALING: c_uint = 2;
const F_ADD_SEALS: c_int = 1033;
const F_GET_SEALS: c_int = 1034;
/// `F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE`: neither the length nor the bytes change.
const SEALED: c_int = 0x2 | 0x4 | 0x8;
const F_SEAL_SEAL: c_int = 0x1;
const PROT_READ: c_int = 1;
const MAP_SHARED: c_int = 1;
const MAP_FIXED: c_int = 0x10;

/// Creates an empty file that can be sealed.
pub(crate) fn create_file() -> io::Result<File> {
    // SAFETY: the name ends with a zero byte.
    let fd = unsafe { memfd_create(c"phalanx".as_ptr(), MFD_CLOEXEC | MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was created above and has no other owner.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Seals a file for good: its length and bytes, and the seals themselves.
pub(crate) fn add_seals(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the command takes a number.
    if unsafe { fcntl(file.as_raw_fd(), F_ADD_SEALS, SEALED | F_SEAL_SEAL) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Returns true if a file's length and bytes are sealed.
pub(crate) fn is_sealed(file: &File) -> bool {
    // SAFETY: the descriptor is open, and the command takes no argument.
    let seals = unsafe { fcntl(file.as_raw_fd(), F_GET_SEALS) };
    seals >= 0 && seals & SEALED == SEALED
}

/// Maps the first `len` bytes of a file, at an address that the system chooses. `len` is not 0.
pub(crate) fn map(file: &File, len: usize) -> io::Result<*const u8> {
    let (at, fd) = (std::ptr::null_mut(), file.as_raw_fd());
    // SAFETY: the system chooses an address range that is not in use.
    let start = unsafe { mmap(at, len, PROT_READ, MAP_SHARED, fd, 0) };
    address(start)
}

/// Maps `len` bytes of a file from `offset` on over what is mapped at `at`.
///
/// # Safety
/// The pages from `at` on belong to a mapping of the caller's that nothing has borrowed from.
pub(crate) unsafe fn map_over(
    file: &File,
    offset: u64,
    at: *const u8,
    len: usize,
) -> io::Result<()> {
    let offset = c_long::try_from(offset).map_err(io::Error::other)?;
    let (at, fd) = (at.cast_mut().cast(), file.as_raw_fd());
    // SAFETY: as this function asks of its caller.
    let start = unsafe { mmap(at, len, PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset) };
    address(start).map(drop)
}

/// Unmaps what [`map`] has mapped.
///
/// # Safety
/// The range is one that `map` returned, and nothing borrows from it.
pub(crate) unsafe fn unmap(start: *const u8, len: usize) {
    // SAFETY: as this function asks of its caller. Unmapping a whole mapping does not fail.
    let _ = unsafe { munmap(start.cast_mut().cast(), len) };
}

/// The address that mmap(2) returned, or its error (`MAP_FAILED`).
fn address(start: *mut c_void) -> io::Result<*const u8> {
    match start.addr() == usize::MAX {
        true => Err(io::Error::last_os_error()),
        false => Ok(start.cast_const().cast()),
    }
}
