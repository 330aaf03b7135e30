//! The callbacks of cells: a slot in the process for the state that all cells' libraries share,
//! although each has its own statics.

use super::library::LibraryHook;
use libloading::os::unix::Library;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;

/// Exported by the `phalanx` library of every cell: receives the address of the shared slot.
const ATTACH_SYMBOL: &[u8] = b"phalanx_cell_attach\0";
/// Exported by the `phalanx` library of every cell: requests an event from the owner, and runs its
/// callbacks.
const CALLBACKS_SYMBOL: &[u8] = b"phalanx_cell_hear\0";

type Attach = unsafe extern "C" fn(*const AtomicPtr<c_void>);

/// The shared slot for callbacks, and the function that runs them.
pub(super) struct Listeners {
    /// Filled by the first library that needs it; all libraries use the same type, since they are
    /// compiled from the same source.
    slot: &'static AtomicPtr<c_void>,
    /// The function of the newest library; libraries are never unloaded.
    run: Option<LibraryHook>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            slot: Box::leak(Box::new(AtomicPtr::new(null_mut()))),
            run: None,
        }
    }
}

impl Listeners {
    /// Passes the address of the shared slot to a newly loaded library.
    pub(super) fn attach(&mut self, library: &Library) {
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(attach) = unsafe { library.get::<Attach>(ATTACH_SYMBOL) } {
            // SAFETY: as above; the slot lives as long as the process, and the function does not
            // unwind.
            unsafe { attach(self.slot) };
        }
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(run) = unsafe { library.get::<LibraryHook>(CALLBACKS_SYMBOL) } {
            self.run = Some(*run);
        }
    }

    /// Runs the callbacks for events of comms.
    pub(super) fn run_callbacks(&self) {
        if let Some(run) = self.run {
            // SAFETY: the function has no arguments and does not unwind, and its library stays
            // loaded.
            unsafe { run() };
        }
    }
}
