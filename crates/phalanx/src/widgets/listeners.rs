//! Callbacks. They are stored in a slot of the process and not in statics, of which every build of
//! this library that cells are linked to has its own.
//!
//! The runtime passes the address of the common slot to each library it loads. One of the libraries
//! fills it with a value that has the same type in all of them: they are compiled from one source
//! by one compiler, and share one standard library.

use super::engine_widgets::EngineWidgets;
use crate::error::Error;
use crate::host;
use phalanx_protocol::comm::{CommEvent, CommRequest};
use phalanx_protocol::host::HostReply;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A callback for the events of one comm.
pub(crate) type Callback = Box<dyn FnMut(&CommEvent) + Send>;

/// The slot all libraries share; set by the runtime.
static SLOT: AtomicPtr<AtomicPtr<c_void>> = AtomicPtr::new(null_mut());

#[derive(Default)]
struct Listeners {
    /// By comm, or by target for comms that frontends open. Locked for single lookups or updates
    /// only.
    callbacks: Mutex<BTreeMap<String, Vec<SharedListeners>>>,
    /// True while a callback is being called; callbacks do not process events themselves.
    is_processing: AtomicBool,
    /// The widgets of an engine. Locked for single lookups or updates only.
    engine_widgets: Mutex<EngineWidgets>,
}

type SharedListeners = Arc<Mutex<Callback>>;

/// Returns the widgets of this process, if it is an engine's.
pub(crate) fn engine_widgets() -> Option<MutexGuard<'static, EngineWidgets>> {
    listeners().map(|listeners| locked(&listeners.engine_widgets))
}

/// Adds a callback for a comm or a target.
pub(crate) fn listen(name: &str, callback: Callback) {
    if let Some(listeners) = listeners() {
        let mut callbacks = locked(&listeners.callbacks);
        let of_name = callbacks.entry(name.to_owned()).or_default();
        of_name.push(Arc::new(Mutex::new(callback)));
    }
}

/// Removes all callbacks of a comm.
pub(crate) fn forget(name: &str) {
    if let Some(listeners) = listeners() {
        let removed = locked(&listeners.callbacks).remove(name);
        // Dropped without the lock: a callback may own values with arbitrary destructors.
        drop(removed);
    }
}

/// Runs the callbacks for users' changes of widgets since the cell began; returns the number of
/// events.
///
/// Callbacks run automatically between cells. A long cell calls this function periodically to run
/// them meanwhile.
///
/// ```no_run
/// use phalanx::widgets::{IntSlider, process_events};
/// let slider = IntSlider::new(0..=9);
/// slider.observe(|n| println!("{n}"));
/// for _ in 0..3 {
///     process_events()?; // lets the callbacks run while the cell does
/// }
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn process_events() -> Result<usize, Error> {
    let mut count = 0;
    while process_event()? {
        count += 1;
    }
    Ok(count)
}

/// Takes one event and calls its callbacks; returns false if there was no event.
fn process_event() -> Result<bool, Error> {
    let Some(listeners) = listeners() else {
        return Ok(false);
    };
    if listeners.is_processing.swap(true, Ordering::AcqRel) {
        return Ok(false);
    }
    let _guard = CallbackGuard(&listeners.is_processing);
    let event = match host::call(&CommRequest::NextEvent.into())? {
        HostReply::CommEvent(Some(event)) => event,
        HostReply::CommEvent(None) => return Ok(false),
        other => return Err(host::unexpected(&other)),
    };
    let name = match &event {
        CommEvent::Opened { target, .. } => target,
        CommEvent::Message(message) => message.comm_id.as_str(),
        CommEvent::Closed(id) => id.as_str(),
    };
    let of_name = locked(&listeners.callbacks).get(name).cloned();
    for callback in of_name.into_iter().flatten() {
        locked(&callback)(&event);
    }
    Ok(true)
}

/// Resets the flag when dropped, also when a callback panics.
struct CallbackGuard<'a>(&'a AtomicBool);

impl Drop for CallbackGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn listeners() -> Option<&'static Listeners> {
    let slot = SLOT.load(Ordering::Acquire);
    // SAFETY: null, or a pointer set by the runtime, valid as long as the process.
    let slot = unsafe { slot.as_ref() }?;
    let mut current = slot.load(Ordering::Acquire);
    if current.is_null() {
        let new = Box::into_raw(Box::<Listeners>::default()).cast();
        match slot.compare_exchange(null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => current = new,
            Err(other) => {
                // SAFETY: created above and not shared yet.
                drop(unsafe { Box::from_raw(new.cast::<Listeners>()) });
                current = other;
            }
        }
    }
    // SAFETY: created above, here or in another cell's copy of this function, and never freed. All
    // access is synchronized.
    unsafe { current.cast::<Listeners>().as_ref() }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A callback that has panicked is called again for the next event, like any other.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Called by the runtime for every library it loads.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_attach(slot: *mut AtomicPtr<c_void>) {
    SLOT.store(slot, Ordering::Release);
}

/// Called by the runtime between cells; handles one event, so that its outputs can be attributed to
/// it.
#[unsafe(no_mangle)]
pub extern "C" fn phalanx_cell_hear() {
    let result = catch_unwind(AssertUnwindSafe(process_event));
    let mut stdout = std::io::stdout().lock();
    // A cell that has closed its stdout cannot be written to.
    if result.is_err() {
        let _ = writeln!(stdout, "EVCXR_PANIC_NOTIFICATION");
    }
    let _ = stdout.flush();
}
