//! Plain data on its way, beside the bytes of the value it is in.

use super::memory::{ALIGN, StableBytes};
use phalanx_protocol::segment::{PAGE, SEGMENT_THRESHOLD};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Plain data beside a value, each at its place: counted from where all of it begins.
#[derive(Clone, Default)]
pub(crate) struct OutOfBandAreas {
    list: Vec<(u64, StableBytes)>,
    end: u64,
    on_pages: bool,
}

impl OutOfBandAreas {
    /// Adds data; its place.
    pub fn add(&mut self, chunk: StableBytes) -> u64 {
        let place = self.end;
        self.end = (place + chunk.len() as u64).next_multiple_of(ALIGN as u64);
        self.list.push((place, chunk));
        place
    }

    /// Adds data that may have been written to a file before; its place. So that others can map it from
    /// there, it has pages of its own.
    pub fn add_shared(&mut self, chunk: StableBytes) -> u64 {
        if chunk.len() < SEGMENT_THRESHOLD {
            return self.add(chunk);
        }
        self.on_pages = true;
        self.end = self.end.next_multiple_of(PAGE as u64);
        let place = self.add(chunk);
        self.end = self.end.next_multiple_of(PAGE as u64);
        place
    }

    /// Returns true if some of the data has pages of its own.
    pub fn on_pages(&self) -> bool {
        self.on_pages
    }

    /// Adds other data as it is; where it begins.
    pub fn append(&mut self, other: OutOfBandAreas) -> u64 {
        if other.on_pages {
            self.on_pages = true;
            self.end = self.end.next_multiple_of(PAGE as u64);
        }
        self.append_here(other)
    }

    /// Adds other data right behind what is there.
    pub fn append_here(&mut self, other: OutOfBandAreas) -> u64 {
        let place = self.end;
        let moved = other.list.into_iter();
        self.list
            .extend(moved.map(|(at, chunk)| (place + at, chunk)));
        self.end = place + other.end;
        place
    }

    /// Everything with its place, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(u64, StableBytes)> {
        self.list.iter()
    }

    /// The size of all of it in bytes.
    pub fn len(&self) -> u64 {
        self.end
    }
}

/// The place of plain data while a value is read.
#[derive(Clone)]
pub(crate) enum OutOfBandSource<'a> {
    /// It is still where it was written from.
    Areas(Arc<OutOfBandAreas>),
    /// It came in memory that can be kept.
    Chunk(StableBytes),
    /// It came in bytes that are gone once the value has been read.
    Passing(&'a [u8]),
}

impl OutOfBandSource<'_> {
    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Areas(areas) => areas.len() == 0,
            Self::Chunk(chunk) => chunk.is_empty(),
            Self::Passing(bytes) => bytes.is_empty(),
        }
    }
}

thread_local! {
    /// The out-of-band data of the value that is being written.
    static WRITTEN: RefCell<Option<OutOfBandAreas>> = const { RefCell::new(None) };
    /// Says that meanwhile other values are written, for somebody else.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    /// The out-of-band data of the value that is being read.
    static READ: RefCell<Option<ErasedSource>> = const { RefCell::new(None) };
    /// The reason why the last value could not be read.
    static WHY_NOT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Says why a value cannot be read, in formats that do not keep that.
pub(crate) fn fails(why: &str) {
    WHY_NOT.set(Some(why.to_owned()));
}

/// The reason why the last value could not be read, if known.
pub(crate) fn take_reason() -> Option<String> {
    WHY_NOT.take()
}

/// A [`OutOfBandSource`] that does not say how long it lives.
enum ErasedSource {
    Areas(Arc<OutOfBandAreas>),
    Chunk(StableBytes),
    Passing(*const u8, usize),
}

/// Writes a value; what it leaves beside it.
pub(crate) fn writing<T>(write: impl FnOnce() -> T) -> (T, OutOfBandAreas) {
    let writing = OutOfBandWriter::begin();
    let written = writing.write(write);
    (written, writing.end())
}

/// Values that are written one after the other, and what all of them leave beside them.
pub(crate) struct OutOfBandWriter {
    before: Option<OutOfBandAreas>,
    was_paused: bool,
}

impl OutOfBandWriter {
    pub(crate) fn begin() -> Self {
        Self {
            before: WRITTEN.replace(Some(OutOfBandAreas::default())),
            was_paused: PAUSED.replace(true),
        }
    }

    /// Writes another value.
    pub(crate) fn write<T>(&self, write: impl FnOnce() -> T) -> T {
        PAUSED.set(false);
        let written = write();
        PAUSED.set(true);
        written
    }

    /// Returns the data that they have left.
    pub(crate) fn end(self) -> OutOfBandAreas {
        WRITTEN.take().unwrap_or_default()
    }
}

impl Drop for OutOfBandWriter {
    fn drop(&mut self) {
        WRITTEN.set(self.before.take());
        PAUSED.set(self.was_paused);
    }
}

/// Leaves data beside the value that is being written; its place. `None` where a value is written
/// for somebody else.
pub(super) fn put(chunk: &StableBytes) -> Option<u64> {
    if PAUSED.get() {
        return None;
    }
    WRITTEN.with_borrow_mut(|areas| Some(areas.as_mut()?.add_shared(chunk.clone())))
}

/// Reads a value that has data beside it.
pub(crate) fn reading<T>(source: OutOfBandSource<'_>, read: impl FnOnce() -> T) -> T {
    struct Before(Option<ErasedSource>);
    impl Drop for Before {
        fn drop(&mut self) {
            READ.set(self.0.take());
        }
    }
    let source = match source {
        OutOfBandSource::Areas(areas) => ErasedSource::Areas(areas),
        OutOfBandSource::Chunk(chunk) => ErasedSource::Chunk(chunk),
        OutOfBandSource::Passing(bytes) => ErasedSource::Passing(bytes.as_ptr(), bytes.len()),
    };
    WHY_NOT.set(None);
    // Put back when reading panics, too: the bytes may be gone by then.
    let _before = Before(READ.replace(Some(source)));
    read()
}

/// The data of that length at a place beside the value that is being read.
pub(super) fn take(place: u64, len: u64) -> Option<StableBytes> {
    let from = usize::try_from(place).ok()?;
    let to = from.checked_add(usize::try_from(len).ok()?)?;
    READ.with_borrow(|source| match source.as_ref()? {
        ErasedSource::Areas(areas) => {
            let mut list = areas.list.iter();
            let (_, chunk) = list.find(|(at, chunk)| *at == place && chunk.len() as u64 == len)?;
            Some(chunk.clone())
        }
        ErasedSource::Chunk(chunk) => chunk.part(from..to),
        ErasedSource::Passing(start, len) => {
            // SAFETY: `reading` has not returned, and was given bytes that outlive it.
            let bytes = unsafe { std::slice::from_raw_parts(*start, *len) };
            Some(StableBytes::copy(bytes.get(from..to)?))
        }
    })
}
