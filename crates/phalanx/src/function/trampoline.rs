//! The C functions that engines call, and their location.

use super::call::{CallError, IncomingCall};
use super::frame::ReceivedArguments;
use super::invoke::{Invoke, ParameterTypes};
use crate::Error;
use crate::error::LibraryError;
use crate::loaded_cells::{library_of, loaded_at};
use phalanx_protocol::native::{CallFailure, Trampoline, ValueSink, value};
use serde::Serialize;
use std::any::type_name;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// Locates a function: the path of its library, and the offset in it.
pub(super) fn locate(function: Trampoline) -> Result<(PathBuf, u64), Error> {
    let address = function as usize;
    let (base, file) = library_of(address).ok_or(LibraryError::Unlocated)?;
    let cell = loaded_at(base);
    let artifact = match cell {
        Some(cell) => cell.artifact.into(),
        // A function of this library itself, where it is a shared library.
        None if library_of(locate as *const () as usize).is_some_and(|(own, _)| own == base) => {
            file
        }
        None => return Err(LibraryError::OutsideCells.into()),
    };
    Ok((artifact, (address - base) as u64))
}

/// Fails at compile time for a closure that captures something.
#[inline(always)]
pub(super) fn captures_nothing<F>() {
    const {
        assert!(
            size_of::<F>() == 0,
            "this closure captures variables: name them with task!, as in `task!([k] |x: f64| k * x)`"
        );
    }
}

/// Creates an instance of a zero-sized function type.
pub(super) fn zst_instance<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0) }
    // SAFETY: a zero-sized value has no invalid bytes, and code that can name the type had an
    // instance of it when the function was located.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

/// Calls `I` once, with the arguments received.
pub(super) unsafe extern "C" fn single<I: Invoke<P>, P: ParameterTypes + 'static>(
    input: *const u8,
    len: usize,
    to: *mut c_void,
    give: ValueSink,
) {
    let act = |call: &mut IncomingCall<'_>| {
        let function = I::prepare(call)?;
        let output = function.invoke(P::read(call)?);
        call.reply_value(type_name::<I::Output>(), &|to| output.serialize(to))
    };
    // SAFETY: the runtime's arguments are passed on unchanged.
    unsafe { serve(input, len, to, give, &act) };
}

/// Calls `I` for every item received.
pub(super) unsafe extern "C" fn many<I: Invoke<P>, P: ParameterTypes + 'static>(
    input: *const u8,
    len: usize,
    to: *mut c_void,
    give: ValueSink,
) {
    let act = |call: &mut IncomingCall<'_>| {
        let function = I::prepare(call)?;
        let names = [type_name::<P>(), type_name::<I::Output>()];
        call.each(names, &|item| {
            let mut arguments = None;
            item.read(&mut |from| {
                arguments = Some(P::item(from)?);
                Ok(())
            })?;
            let output = function.invoke(arguments?);
            item.write(&|to| output.serialize(to))
        })
    };
    // SAFETY: as above.
    unsafe { serve(input, len, to, give, &act) };
}

/// Handles a received call; `None` if it has failed.
type IncomingCallHandler<'a> = dyn Fn(&mut IncomingCall<'_>) -> Option<()> + 'a;

/// Deserializes the arguments, calls the function, and serializes its value.
///
/// # Safety
/// `input` and `len` describe bytes that are valid during the call, and `give` can be called with
/// `to`.
#[inline(never)]
pub(super) unsafe fn serve(
    input: *const u8,
    len: usize,
    to: *mut c_void,
    give: ValueSink,
    act: &IncomingCallHandler<'_>,
) {
    // SAFETY: guaranteed by the caller.
    let input = unsafe { std::slice::from_raw_parts(input, len) };
    let output = caught(|| {
        let input = ReceivedArguments::open(input).map_err(CallError::unread)?;
        let cut_off = || CallError::unread("the arguments are cut off".to_owned());
        let buffers = input.buffers().ok_or_else(cut_off)?;
        let (captures, arguments) = input.split(&buffers).ok_or_else(cut_off)?;
        let mut call = IncomingCall::new(captures, arguments);
        // A failed call has recorded its error.
        let _ = act(&mut call);
        call.finish()
    });
    // SAFETY: the bytes are valid during the call, which copies them.
    unsafe { give(to, output.as_ptr(), output.len()) };
}

/// Runs the function and returns its value; empty if it panicked, which is reported like the panic
/// of a cell.
fn caught(call: impl FnOnce() -> Result<Vec<u8>, CallError>) -> Vec<u8> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(output)) => output,
        Ok(Err(failed)) => raised(failed.ename, failed.evalue),
        Err(payload) => match payload.downcast::<CallFailure>() {
            Ok(given_up) => raised(&given_up.ename, given_up.evalue),
            Err(_) => {
                println!("EVCXR_PANIC_NOTIFICATION");
                Vec::new()
            }
        },
    }
}

/// Leaves the called function with this failure.
pub(crate) fn raise(ename: &str, evalue: String) -> ! {
    // Bypasses the panic hook: this is not a panic.
    resume_unwind(Box::new(CallFailure {
        ename: ename.to_owned(),
        evalue,
    }))
}

fn raised(ename: &str, evalue: String) -> Vec<u8> {
    let mut bytes = vec![value::RAISED];
    let raised = CallFailure {
        ename: ename.to_owned(),
        evalue,
    };
    // Serializing two strings cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &raised);
    bytes
}
