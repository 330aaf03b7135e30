//! The functions by which engines store and return values of their namespace, in serialized form.

use super::call::IncomingCall;
use super::located::Located;
use super::trampoline::{raise, serve};
use crate::Error;
use crate::namespace;
use phalanx_protocol::native::ValueSink;
use std::ffi::c_void;

/// Stores a pushed value under its name.
unsafe extern "C" fn receive(input: *const u8, len: usize, to: *mut c_void, give: ValueSink) {
    let act = |call: &mut IncomingCall<'_>| {
        let (name, type_name) = (call.text(0)?, call.text(1)?);
        namespace::put(&name, &type_name, call.keep(2)?);
        call.reply_value("()", &|_| Ok(()))
    };
    // SAFETY: the runtime's arguments are passed on unchanged.
    unsafe { serve(input, len, to, give, &act) };
}

/// Returns the value of a pulled name in its serialized form.
unsafe extern "C" fn fetch(input: *const u8, len: usize, to: *mut c_void, give: ValueSink) {
    let act = |call: &mut IncomingCall<'_>| {
        let (name, type_name) = (call.text(0)?, call.text(1)?);
        match namespace::stored_value(&name, &type_name) {
            Ok(value) => call.reply_stored(value),
            Err(unknown) => raise(unknown.ename, unknown.evalue),
        }
    };
    // SAFETY: the runtime's arguments are passed on unchanged.
    unsafe { serve(input, len, to, give, &act) };
}

/// Returns the function that takes a name, the name of a type, and a value of that type.
pub(crate) fn receiver() -> Result<Located, Error> {
    Located::single("push", receive)
}

/// Returns the function that takes a name and the name of a type, and returns the value.
pub(crate) fn fetcher() -> Result<Located, Error> {
    Located::single("pull", fetch)
}
