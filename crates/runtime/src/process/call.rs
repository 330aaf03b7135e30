//! Calls of functions of loaded libraries, by their offsets.

use libloading::os::unix::Library;
use phalanx_protocol::native::{ATTACH_SYMBOL, Attach, Attachment, Trampoline};
use phalanx_protocol::segment::SegmentRef;
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// The slot for the data that all libraries of this process share, filled by them.
static SHARED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// The number of changes of the shared data.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// The load address of the cell that is running, or ran last.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Records that a cell is about to run, by the load address of its library.
pub(super) fn will_run(base: usize) {
    RUNNING.store(base, Ordering::Relaxed);
}

/// The number of times functions have changed the shared data.
pub(super) fn changes() -> u64 {
    CHANGES.load(Ordering::Relaxed)
}

/// Counts a change that was not made by a library.
#[cfg(feature = "echo")]
pub(super) fn changed() {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// The first fields of `link_map` in `link.h`.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const c_char,
    _dynamic: *const c_void,
    next: *const LinkMap,
}

/// Passes the location of a cell to the `phalanx` library; libraries without the hook are skipped.
pub(super) fn attach(library: &Library, artifact: &Path, base: usize) {
    // SAFETY: only the `phalanx` library exports this name, as a function of this type.
    let Ok(attach) = (unsafe { library.get::<Attach>(ATTACH_SYMBOL) }) else {
        return;
    };
    // One per library; libraries are never unloaded either.
    let artifact: &'static str = artifact.display().to_string().leak();
    let attachment: &'static Attachment = Box::leak(Box::new(Attachment {
        base,
        artifact: artifact.as_ptr(),
        artifact_len: artifact.len(),
        shared: &SHARED,
        changes: &CHANGES,
        running: &RUNNING,
    }));
    // SAFETY: the attachment and what it points to live as long as the process.
    unsafe { attach(attachment) };
}

/// The load address of the library.
pub(super) fn base(library: &Library) -> Result<usize, String> {
    link_map(library).map(|found| found.address)
}

/// The libraries that were loaded after one, by it or later: their paths and addresses.
pub(super) fn loaded_after(library: &Library) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    let mut next = link_map(library).map_or(std::ptr::null(), |map| map.next);
    // SAFETY: null, or the loader's entry for a library; none is ever unloaded, and no other thread
    // loads any.
    while let Some(map) = unsafe { next.as_ref() } {
        if !map.name.is_null() {
            // SAFETY: the loader's string, which lives as long as the entry.
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
    let mut entry: *mut LinkMap = std::ptr::null_mut();
    // SAFETY: the handle is that of a library that is never unloaded, and for this request the
    // loader stores one pointer at the given address.
    let failed = unsafe {
        let handle = std::ptr::read(library).into_raw();
        libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut entry).cast())
    };
    // SAFETY: null, or the loader's entry for the library, which lives as long as the library.
    match unsafe { entry.as_ref() } {
        Some(found) if failed == 0 => Ok(found),
        _ => Err("the loader does not report the library's address".to_owned()),
    }
}

/// Takes ownership of the file of a value, if it is a reference.
pub(super) fn file(output: &[u8]) -> Option<OwnedFd> {
    let reference = SegmentRef::from_bytes(output)?;
    let fd = RawFd::try_from(reference.fd).ok()?;
    // SAFETY: a function that returns a reference leaves the file to its caller.
    (reference.pid == std::process::id()).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Calls the function at `base + offset`; returns its value.
pub(super) fn call(base: usize, offset: u64, input: &[u8]) -> Vec<u8> {
    unsafe extern "C" fn give(to: *mut c_void, bytes: *const u8, len: usize) {
        // SAFETY: `to` is the vector below, which outlives the call; the function passes bytes that
        // are valid during it.
        let (to, bytes) = unsafe {
            (
                &mut *to.cast::<Vec<u8>>(),
                std::slice::from_raw_parts(bytes, len),
            )
        };
        to.extend_from_slice(bytes);
    }
    let mut output = Vec::new();
    // SAFETY: the offset is that of a trampoline in the library with this hash, determined through
    // the loader by the client that compiled it, and is signed with the request. A wrong offset can
    // only crash this process, which exists for that purpose.
    let function = unsafe { std::mem::transmute::<usize, Trampoline>(base + offset as usize) };
    // SAFETY: input and output outlive the call, and trampolines do not unwind.
    unsafe {
        function(input.as_ptr(), input.len(), (&raw mut output).cast(), give);
    }
    output
}
