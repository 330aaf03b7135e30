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
const HEAR_SYMBOL: &[u8] = b"phalanx_cell_hear\0";

type Attach = unsafe extern "C" fn(*const AtomicPtr<c_void>);

/// The shared slot for callbacks, and the function that runs them.
pub(super) struct Listeners {
    /// Filled by the first library that needs it; all libraries use the same type, since they are
    /// compiled from the same source.
    place: &'static AtomicPtr<c_void>,
    /// The function of the newest library; libraries are never unloaded.
    hear: Option<LibraryHook>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            place: Box::leak(Box::new(AtomicPtr::new(null_mut()))),
            hear: None,
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
            unsafe { attach(self.place) };
        }
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(hear) = unsafe { library.get::<LibraryHook>(HEAR_SYMBOL) } {
            self.hear = Some(*hear);
        }
    }

    /// Runs the callbacks for events of comms.
    pub(super) fn run_callbacks(&self) {
        if let Some(hear) = self.hear {
            // SAFETY: the function has no arguments and does not unwind, and its library stays
            // loaded.
            unsafe { hear() };
        }
    }
}
