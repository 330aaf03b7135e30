//! The system calls: memfd_create(2), fcntl(2), mmap(2), munmap(2).

use libc::{
    F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, MAP_FAILED,
    MAP_FIXED, MAP_SHARED, MFD_ALLOW_SEALING, MFD_CLOEXEC, PROT_READ, c_int, c_void, fcntl,
    memfd_create, mmap, munmap, off_t,
};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The seals of a segment: neither the length nor the bytes change.
const SEALED: c_int = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

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
    let offset = off_t::try_from(offset).map_err(io::Error::other)?;
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

/// The address that mmap(2) returned, or its error.
fn address(start: *mut c_void) -> io::Result<*const u8> {
    match start == MAP_FAILED {
        true => Err(io::Error::last_os_error()),
        false => Ok(start.cast_const().cast()),
    }
}
