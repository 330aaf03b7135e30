//! Calling a function of a loaded library by its place in it.

use libloading::os::unix::Library;
use phalanx_protocol::native::{ATTACH_SYMBOL, Attach, Attachment, Trampoline};
use phalanx_protocol::segment::SegmentRef;
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The data all libraries of this process share; they fill it.
static SHARED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Their changes of it.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// The number of times functions have changed what the libraries share.
pub(super) fn changes() -> u64 {
    CHANGES.load(Ordering::Relaxed)
}

/// Counts a change made by what is no library.
#[cfg(feature = "echo")]
pub(super) fn changed() {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// The beginning of `link_map` of `link.h`.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const c_char,
    _dynamic: *const c_void,
    next: *const LinkMap,
}

/// Gives the `phalanx` library of a cell the cell's location; libraries without the hook are skipped.
pub(super) fn attach(library: &Library, artifact: &Path, base: usize) {
    // SAFETY: only the `phalanx` library exports this name, as a function of this type.
    let Ok(attach) = (unsafe { library.get::<Attach>(ATTACH_SYMBOL) }) else {
        return;
    };
    // One per library, which are never unloaded either.
    let artifact: &'static str = artifact.display().to_string().leak();
    let attachment: &'static Attachment = Box::leak(Box::new(Attachment {
        base,
        artifact: artifact.as_ptr(),
        artifact_len: artifact.len(),
        shared: &SHARED,
        changes: &CHANGES,
    }));
    // SAFETY: the attachment and what it points to live as long as the process.
    unsafe { attach(attachment) };
}

/// The load address of the library.
pub(super) fn base(library: &Library) -> Result<usize, String> {
    link_map(library).map(|found| found.address)
}

/// The libraries that were loaded after one, by it or later: path and address.
pub(super) fn loaded_after(library: &Library) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    let mut next = link_map(library).map_or(std::ptr::null(), |map| map.next);
    // SAFETY: null, or the loader's own entry for a library; none is ever unloaded, and this is the
    // only thread that loads any.
    while let Some(map) = unsafe { next.as_ref() } {
        if !map.name.is_null() {
            // SAFETY: the loader's own text, which lives as long as the entry.
            let name = unsafe { CStr::from_ptr(map.name) };
            found.push((
                PathBuf::from(OsStr::from_bytes(name.to_bytes())),
                map.address,
            ));
        }
        next = map.next;
    }
    found
}

fn link_map(library: &Library) -> Result<&'static LinkMap, String> {
    let mut place: *mut LinkMap = std::ptr::null_mut();
    // SAFETY: the handle is that of a library that is never unloaded, and for this request the loader
    // stores one pointer where it is told to.
    let failed = unsafe {
        let handle = std::ptr::read(library).into_raw();
        libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut place).cast())
    };
    // SAFETY: null, or the loader's own entry for the library, which lives as long as that.
    match unsafe { place.as_ref() } {
        Some(found) if failed == 0 => Ok(found),
        _ => Err("the loader does not know where the library is".to_owned()),
    }
}

/// The file of a value, if it is one.
pub(super) fn file(output: &[u8]) -> Option<OwnedFd> {
    let reference = SegmentRef::from_bytes(output)?;
    let fd = RawFd::try_from(reference.fd).ok()?;
    // SAFETY: whoever gives a reference back leaves the file to its caller.
    (reference.pid == std::process::id()).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Calls the function at `base + offset`; returns its value.
pub(super) fn call(base: usize, offset: u64, input: &[u8]) -> Vec<u8> {
    unsafe extern "C" fn give(to: *mut c_void, bytes: *const u8, len: usize) {
        // SAFETY: `to` is the vector below, which outlives the call; the function gives bytes that
        // are valid while this runs.
        let (to, bytes) = unsafe {
            (
                &mut *to.cast::<Vec<u8>>(),
                std::slice::from_raw_parts(bytes, len),
            )
        };
        to.extend_from_slice(bytes);
    }
    let mut output = Vec::new();
    // SAFETY: the offset is that of a trampoline in the library of this hash, as the loader told
    // whoever compiled it; it is signed with the request. A wrong one costs this process, which is
    // what the process is for.
    let function = unsafe { std::mem::transmute::<usize, Trampoline>(base + offset as usize) };
    // SAFETY: input and output outlive the call, and trampolines do not unwind.
    unsafe {
        function(input.as_ptr(), input.len(), (&raw mut output).cast(), give);
    }
    output
}
