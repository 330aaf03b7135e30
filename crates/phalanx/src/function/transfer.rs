//! The functions by which engines take and give values of their namespace, in bytes as they are.

use super::call::ReceivedCall;
use super::located::Located;
use super::trampoline::serve;
use crate::namespace;
use crate::{Error, engine};
use phalanx_protocol::native::ValueSink;
use std::ffi::c_void;

/// Puts a value that is pushed under its name.
unsafe extern "C" fn receive(input: *const u8, len: usize, to: *mut c_void, give: ValueSink) {
    let act = |call: &mut ReceivedCall<'_>| {
        let (name, type_name) = (call.text(0)?, call.text(1)?);
        namespace::put(&name, &type_name, call.keep(2)?);
        call.answer("()", &|_| Ok(()))
    };
    // SAFETY: what the runtime gives is handed on.
    unsafe { serve(input, len, to, give, &act) };
}

/// Gives the value of a name that is pulled, as it came.
unsafe extern "C" fn fetch(input: *const u8, len: usize, to: *mut c_void, give: ValueSink) {
    let act = |call: &mut ReceivedCall<'_>| {
        let (name, type_name) = (call.text(0)?, call.text(1)?);
        match namespace::kept(&name, &type_name) {
            Ok(kept) => call.answer_kept(kept),
            Err(unknown) => engine::raise(unknown.ename, unknown.evalue),
        }
    };
    // SAFETY: as above.
    unsafe { serve(input, len, to, give, &act) };
}

/// The function that takes a name, the name of a type and a value of it.
pub(crate) fn receiver() -> Result<Located, Error> {
    Located::single("push", receive)
}

/// The function that takes a name and the name of a type, and gives the value.
pub(crate) fn fetcher() -> Result<Located, Error> {
    Located::single("pull", fetch)
}
