//! The C interface between a runtime process and the libraries it loads, which are compiled
//! separately.

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};

/// A function of a cell, as called by an engine: `input` and `len` are its arguments, and it calls
/// `give` once, with `to`, to return its value. It must not unwind.
///
/// Both may be a [`SegmentRef`](crate::segment::SegmentRef). The file of a returned one belongs to
/// the caller.
pub type Trampoline =
    unsafe extern "C" fn(input: *const u8, len: usize, to: *mut c_void, give: ValueSink);

/// Receives the bytes of a function's value; it copies them.
pub type ValueSink = unsafe extern "C" fn(to: *mut c_void, bytes: *const u8, len: usize);

/// The name of the function by which the `phalanx` library is notified of each loaded cell;
/// exported by every cell, as an [`Attach`].
pub const ATTACH_SYMBOL: &[u8] = b"phalanx_cell_loaded\0";

/// Receives an [`Attachment`] that lives as long as the process.
pub type Attach = unsafe extern "C" fn(*const Attachment);

/// A loaded library, and the state that all libraries of the process share.
#[derive(Debug)]
#[repr(C)]
pub struct Attachment {
    /// The load address of the library.
    pub base: usize,
    /// The path from which the library was loaded, in UTF-8; other processes can load it too.
    pub artifact: *const u8,
    /// The length of the path in bytes.
    pub artifact_len: usize,
    /// A slot for the data that all libraries of the process share; null until one of them fills
    /// it.
    pub shared: *const AtomicPtr<c_void>,
    /// Counts the changes of the shared data made by functions.
    pub changes: *const AtomicU64,
    /// The load address of the cell that is running, or ran last; 0 before the first one.
    pub running: *const AtomicUsize,
}

/// The name of the function by which the `phalanx` library receives the process's profiler, as an
/// [`AttachProfiler`].
pub const PROFILER_SYMBOL: &[u8] = b"phalanx_cell_profiler\0";

/// Receives a [`Profiler`] that lives as long as the process.
pub type AttachProfiler = unsafe extern "C" fn(*const Profiler);

/// The profiler of the process.
#[derive(Debug)]
#[repr(C)]
pub struct Profiler {
    /// Starts sampling; returns false if it is running already, or the system has no suitable
    /// clock.
    pub start: extern "C" fn() -> bool,
    /// Stops sampling, and passes the sampled stacks to `give` in the format of flame graphs: lines
    /// `outer;inner COUNT`. Does not call it if sampling was not running.
    pub stop: unsafe extern "C" fn(to: *mut c_void, give: ValueSink),
}

/// The first byte of the value of a function or a cell, which determines the format of the rest.
pub mod value {
    /// A value in postcard's format.
    pub const POSTCARD: u8 = b'P';
    /// A value with out-of-band data: seven zeros, its length in eight bytes (little endian), and
    /// the value in one of the other formats; the data follows at the next multiple of 64 bytes.
    pub const OUT_OF_BAND: u8 = b'S';
    /// A value in JSON.
    pub const JSON: u8 = b'J';
    /// A [`CallFailure`](super::CallFailure) in JSON: the call has failed.
    pub const RAISED: u8 = b'X';
}

/// The layout of a function's arguments.
pub mod arguments {
    /// The size of the head in bytes: the length of the arguments and the offset of the function's
    /// captures within them, each in eight bytes (little endian).
    pub const HEAD: usize = 16;

    /// The first byte of captures that are stored elsewhere in the same file, or in the same bytes;
    /// their offset and length follow, encoded as in the head.
    pub const ELSEWHERE: u8 = 3;

    /// The location of captures that are stored elsewhere.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Elsewhere {
        /// The offset of the location itself.
        pub at: usize,
        /// The offset of the captures.
        pub from: u64,
        /// Their length in bytes.
        pub len: u64,
    }

    /// Returns the location of the captures, unless they are among the arguments.
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

/// The reason why a call returned no value although it did not panic.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CallFailure {
    /// The stable error name; with `UnmetDependency` the scheduler tries another engine.
    pub ename: String,
    /// The message.
    pub evalue: String,
}
