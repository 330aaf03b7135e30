//! The cells that the runtime has loaded, as it attaches them.

use phalanx_protocol::native::Attachment;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A loaded cell, and the state the runtime shares with all cells.
#[derive(Clone, Copy)]
pub(crate) struct LoadedCell {
    /// The path of its library.
    pub artifact: &'static str,
    /// A slot for the data that all libraries of the process share; null until one of them fills
    /// it.
    pub shared: &'static AtomicPtr<c_void>,
    /// Counts the changes of the shared data.
    pub changes: &'static AtomicU64,
    /// The load address of the cell that is running, or ran last.
    pub running: &'static AtomicUsize,
}

/// `Dl_info` of `dlfcn.h`.
#[repr(C)]
struct DlInfo {
    file_name: *const c_char,
    file_base: *mut c_void,
    symbol_name: *const c_char,
    symbol_address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// The cells by their load addresses. Locked for single lookups or insertions only.
static CELLS: Mutex<BTreeMap<usize, LoadedCell>> = Mutex::new(BTreeMap::new());

fn cells() -> MutexGuard<'static, BTreeMap<usize, LoadedCell>> {
    CELLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Called by the runtime when it has loaded a cell.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_loaded(attachment: *const Attachment) {
    // SAFETY: the runtime passes an attachment that lives as long as the process, as does
    // everything it points to; its path is UTF-8.
    let loaded = unsafe {
        attachment.as_ref().and_then(|attachment| {
            let artifact = std::slice::from_raw_parts(attachment.artifact, attachment.artifact_len);
            let loaded = LoadedCell {
                artifact: std::str::from_utf8_unchecked(artifact),
                shared: attachment.shared.as_ref()?,
                changes: attachment.changes.as_ref()?,
                running: attachment.running.as_ref()?,
            };
            Some((attachment.base, loaded))
        })
    };
    cells().extend(loaded);
}

/// Any loaded cell, for the data that all cells share; `None` outside a runtime.
pub(crate) fn loaded() -> Option<LoadedCell> {
    cells().values().next().copied()
}

/// Returns the cell whose library is loaded at this address.
pub(crate) fn loaded_at(base: usize) -> Option<LoadedCell> {
    cells().get(&base).copied()
}

/// Returns true if an address is that of a cell other than the one that is running, or ran last.
pub(crate) fn is_in_other_cell(address: usize) -> bool {
    library_of(address).is_some_and(|(base, _)| {
        loaded_at(base).is_some_and(|cell| cell.running.load(Ordering::Relaxed) != base)
    })
}

/// Finds the library that contains an address: its load address and its file.
pub(crate) fn library_of(address: usize) -> Option<(usize, PathBuf)> {
    let mut info = DlInfo {
        file_name: std::ptr::null(),
        file_base: std::ptr::null_mut(),
        symbol_name: std::ptr::null(),
        symbol_address: std::ptr::null_mut(),
    };
    // SAFETY: `info` is a valid destination.
    let is_found = unsafe { dladdr(address as *const c_void, &mut info) } != 0;
    if !is_found || info.file_name.is_null() {
        return None;
    }
    // SAFETY: the loader's name of a library is zero-terminated and lives as long as the library.
    let file = unsafe { CStr::from_ptr(info.file_name) };
    let file = OsStr::from_bytes(file.to_bytes());
    Some((info.file_base as usize, file.into()))
}
