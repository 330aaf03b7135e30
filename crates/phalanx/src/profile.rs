//! The profile of a cell, shown as a flame graph: `%prof`.

use crate::display::{MimeBundle, put};
use phalanx_protocol::look::flame;
use phalanx_protocol::native::Profiler;
use phalanx_protocol::output::{Display, Output};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The profiler of this process; set by the runtime.
static PROFILER: AtomicPtr<Profiler> = AtomicPtr::new(null_mut());

/// Called by the runtime for every library it loads.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_profiler(profiler: *mut Profiler) {
    PROFILER.store(profiler, Ordering::Release);
}

fn profiler() -> Option<&'static Profiler> {
    // SAFETY: null, or a pointer set by the runtime, valid as long as the process.
    unsafe { PROFILER.load(Ordering::Acquire).as_ref() }
}

/// Starts sampling; does nothing without a profiler, as in a program made from a notebook.
pub(crate) fn begin() {
    if let Some(profiler) = profiler() {
        (profiler.start)();
    }
}

/// Stops sampling and shows the samples.
pub(crate) fn end() {
    unsafe extern "C" fn give(to: *mut c_void, bytes: *const u8, len: usize) {
        // SAFETY: `to` is the text below, which outlives the call; the bytes are valid during it.
        let (to, bytes) = unsafe {
            (
                &mut *to.cast::<Option<String>>(),
                std::slice::from_raw_parts(bytes, len),
            )
        };
        *to = Some(String::from_utf8_lossy(bytes).into_owned());
    }
    let Some(profiler) = profiler() else {
        return;
    };
    let mut stacks: Option<String> = None;
    // SAFETY: `give` expects a pointer to the text.
    unsafe { (profiler.stop)((&raw mut stacks).cast(), give) };
    if let Some(stacks) = stacks {
        show(flame::bundle(&stacks));
    }
}

fn show(data: MimeBundle) {
    let shown = put(Output::Display(Display {
        data,
        ..Display::default()
    }));
    if let Err(error) = shown {
        eprintln!("phalanx: {error:?}");
    }
}
