//! Between a runtime process and the libraries it loads, which are compiled apart from it: C types.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64};

/// A function of a cell, as an engine calls it: `input` and `len` are its arguments, and it calls
/// `give` once, with `to`, for its value. It does not unwind.
///
/// Either may be a [`SegmentRef`](crate::segment::SegmentRef). The file of the one that is given back
/// belongs to whoever has called.
pub type Trampoline =
    unsafe extern "C" fn(input: *const u8, len: usize, to: *mut c_void, give: ValueSink);

/// Takes the bytes of a function's value; it copies them.
pub type ValueSink = unsafe extern "C" fn(to: *mut c_void, bytes: *const u8, len: usize);

/// Name of the function by which the `phalanx` library learns of a library that uses it; found from
/// every cell, as an [`Attach`].
pub const ATTACH_SYMBOL: &[u8] = b"phalanx_cell_loaded\0";

/// Takes an [`Attachment`] that lives as long as the process.
pub type Attach = unsafe extern "C" fn(*const Attachment);

/// A library that has been loaded, and what all libraries of the process share.
#[derive(Debug)]
#[repr(C)]
pub struct Attachment {
    /// The address the library is loaded at.
    pub base: usize,
    /// The file the library was loaded from, in UTF-8: the one that other processes can load too.
    pub artifact: *const u8,
    /// The length of the path in bytes.
    pub artifact_len: usize,
    /// A place for what all libraries of the process share; null until one of them fills it.
    pub shared: *const AtomicPtr<c_void>,
    /// Counts the changes of what is shared, which functions leave behind.
    pub changes: *const AtomicU64,
}

/// Name of the function by which the `phalanx` library learns of the process's profiler, as an
/// [`AttachProfiler`].
pub const PROFILER_SYMBOL: &[u8] = b"phalanx_cell_profiler\0";

/// Takes a [`Profiler`] that lives as long as the process.
pub type AttachProfiler = unsafe extern "C" fn(*const Profiler);

/// The profiler of the process.
#[derive(Debug)]
#[repr(C)]
pub struct Profiler {
    /// Begins; false if it has begun already, or the system has no clock for it.
    pub start: extern "C" fn() -> bool,
    /// Ends, and gives the stacks that were met in the form of flame graphs, `outer;inner COUNT` and a line
    /// feed each; gives nothing if it had not begun.
    pub stop: unsafe extern "C" fn(to: *mut c_void, give: ValueSink),
}

/// The first byte of a function's or a cell's value: the form of the rest.
pub mod value {
    /// A value in postcard's form.
    pub const POSTCARD: u8 = b'P';
    /// A value that has plain data beside it: seven zeros, eight bytes that say how long it is
    /// (little endian), itself as above; then, from the next multiple of 64 bytes on, the data.
    pub const BESIDE: u8 = b'S';
    /// A value in JSON.
    pub const JSON: u8 = b'J';
    /// A [`CallFailure`](super::CallFailure) in JSON: the call failed.
    pub const RAISED: u8 = b'X';
}

/// Arguments as a function takes them.
pub mod arguments {
    /// The size of the head in bytes: the length of the arguments and the offset of the function's
    /// captures among them, each in eight bytes (little endian).
    pub const HEAD: usize = 16;

    /// The first byte of captures that are elsewhere in the same file, or in the same bytes: offset
    /// and length follow, as above.
    pub const ELSEWHERE: u8 = 3;

    /// Captures that are at another place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Elsewhere {
        /// The offset of the two numbers.
        pub at: usize,
        /// The offset of the captures.
        pub from: u64,
        /// Their length in bytes.
        pub len: u64,
    }

    /// Finds the captures, unless they are among the arguments.
    pub fn elsewhere(arguments: &[u8]) -> Option<Elsewhere> {
        let word = |at: usize| {
            let bytes = arguments.get(at..)?.first_chunk()?;
            Some(u64::from_le_bytes(*bytes))
        };
        let at = HEAD.checked_add(usize::try_from(word(8)?).ok()?)?;
        if *arguments.get(at)? != ELSEWHERE {
            return None;
        }
        let at = at + 1;
        let (from, len) = (word(at)?, word(at + 8)?);
        Some(Elsewhere { at, from, len })
    }
}

/// The reason why a call gave no value although it did not panic.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CallFailure {
    /// The stable error name; `UnmetDependency` has a scheduler try another engine.
    pub ename: String,
    /// The message.
    pub evalue: String,
}
