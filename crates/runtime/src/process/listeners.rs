//! The code's callbacks: one place in the process for what all cells' libraries share, although each
//! has statics of its own.

use super::library::LibraryHook;
use libloading::os::unix::Library;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;

/// Exported by the `phalanx` library of every cell: told where the shared place is.
const ATTACH_SYMBOL: &[u8] = b"phalanx_cell_attach\0";
/// Exported by the `phalanx` library of every cell: asks the owner what frontends have done, and
/// calls whoever wants to know.
const HEAR_SYMBOL: &[u8] = b"phalanx_cell_hear\0";

type Attach = unsafe extern "C" fn(*const AtomicPtr<c_void>);

/// Every library's way to the callbacks.
pub(super) struct Listeners {
    /// The library that first needs it makes what stands here; all have the same idea of it, since
    /// they were compiled from the same source.
    place: &'static AtomicPtr<c_void>,
    /// The newest library's function; libraries are never unloaded.
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
    /// Gives a library that was just loaded the address of the shared place.
    pub(super) fn attach(&mut self, library: &Library) {
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(attach) = unsafe { library.get::<Attach>(ATTACH_SYMBOL) } {
            // SAFETY: as above; the place lives as long as the process, and the function does not
            // unwind.
            unsafe { attach(self.place) };
        }
        // SAFETY: only the `phalanx` library exports this name, as a function of this type.
        if let Ok(hear) = unsafe { library.get::<LibraryHook>(HEAR_SYMBOL) } {
            self.hear = Some(*hear);
        }
    }

    /// Has the code hear what frontends have done.
    pub(super) fn run_callbacks(&self) {
        if let Some(hear) = self.hear {
            // SAFETY: the function takes nothing and does not unwind, and its library stays loaded.
            unsafe { hear() };
        }
    }
}
