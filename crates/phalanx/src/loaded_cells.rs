//! The cells that the runtime has loaded, as it attaches them.

use phalanx_protocol::native::Attachment;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64};
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

/// The cell whose library is loaded at this address.
pub(crate) fn loaded_at(base: usize) -> Option<LoadedCell> {
    cells().get(&base).copied()
}
