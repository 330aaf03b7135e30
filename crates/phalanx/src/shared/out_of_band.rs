//! Out-of-band data: plain data in transit, separate from the bytes of the value that contains it.

use super::memory::{ALIGN, StableBytes};
use phalanx_protocol::segment::{PAGE, SEGMENT_THRESHOLD};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The out-of-band data of a value, with offsets from the beginning of all of it.
#[derive(Clone, Default)]
pub(crate) struct OutOfBandAreas {
    list: Vec<(u64, StableBytes)>,
    end: u64,
    on_pages: bool,
}

impl OutOfBandAreas {
    /// Adds data; returns its offset.
    pub fn add(&mut self, chunk: StableBytes) -> u64 {
        let offset = self.end;
        self.end = (offset + chunk.len() as u64).next_multiple_of(ALIGN as u64);
        self.list.push((offset, chunk));
        offset
    }

    /// Adds data that may have been written to a file before; returns its offset. It occupies whole
    /// pages, so that other processes can map it from that file.
    pub fn add_shared(&mut self, chunk: StableBytes) -> u64 {
        if chunk.len() < SEGMENT_THRESHOLD {
            return self.add(chunk);
        }
        self.on_pages = true;
        self.end = self.end.next_multiple_of(PAGE as u64);
        let offset = self.add(chunk);
        self.end = self.end.next_multiple_of(PAGE as u64);
        offset
    }

    /// Returns true if some of the data occupies whole pages.
    pub fn on_pages(&self) -> bool {
        self.on_pages
    }

    /// Appends other data, aligned; returns its offset.
    pub fn append(&mut self, other: OutOfBandAreas) -> u64 {
        if other.on_pages {
            self.on_pages = true;
            self.end = self.end.next_multiple_of(PAGE as u64);
        }
        self.append_here(other)
    }

    /// Appends other data directly behind the existing data; returns its offset.
    pub fn append_here(&mut self, other: OutOfBandAreas) -> u64 {
        let offset = self.end;
        let moved = other.list.into_iter();
        self.list
            .extend(moved.map(|(start, chunk)| (offset + start, chunk)));
        self.end = offset + other.end;
        offset
    }

    /// Returns the data with its offsets, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(u64, StableBytes)> {
        self.list.iter()
    }

    /// Returns the size of all data in bytes.
    pub fn len(&self) -> u64 {
        self.end
    }
}

/// The source of out-of-band data while a value is deserialized.
#[derive(Clone)]
pub(crate) enum OutOfBandSource<'a> {
    /// The buffers of the value that was serialized in this process.
    Areas(Arc<OutOfBandAreas>),
    /// Received memory that can be kept.
    Chunk(StableBytes),
    /// Received bytes that are valid only while the value is deserialized.
    Passing(&'a [u8]),
}

impl OutOfBandSource<'_> {
    /// Returns true if there is no out-of-band data.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Areas(areas) => areas.len() == 0,
            Self::Chunk(chunk) => chunk.is_empty(),
            Self::Passing(bytes) => bytes.is_empty(),
        }
    }
}

thread_local! {
    /// The out-of-band data of the value that is being serialized.
    static WRITTEN: RefCell<Option<OutOfBandAreas>> = const { RefCell::new(None) };
    /// True while another value is serialized, whose data must stay inline.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    /// The out-of-band data of the value that is being deserialized.
    static READ: RefCell<Option<ErasedSource>> = const { RefCell::new(None) };
    /// The reason why the last value could not be deserialized.
    static WHY_NOT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records why a value cannot be deserialized, for formats whose errors lose the message.
pub(crate) fn fails(why: &str) {
    WHY_NOT.set(Some(why.to_owned()));
}

/// Takes the reason why the last value could not be deserialized, if known.
pub(crate) fn take_reason() -> Option<String> {
    WHY_NOT.take()
}

/// An [`OutOfBandSource`] without a lifetime.
enum ErasedSource {
    Areas(Arc<OutOfBandAreas>),
    Chunk(StableBytes),
    Passing(*const u8, usize),
}

/// Serializes a value; returns its out-of-band data as well.
pub(crate) fn writing<T>(write: impl FnOnce() -> T) -> (T, OutOfBandAreas) {
    let writing = OutOfBandWriter::begin();
    let written = writing.write(write);
    (written, writing.end())
}

/// Serializes a sequence of values and collects the out-of-band data of all.
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

    /// Serializes another value.
    pub(crate) fn write<T>(&self, write: impl FnOnce() -> T) -> T {
        PAUSED.set(false);
        let written = write();
        PAUSED.set(true);
        written
    }

    /// Returns the collected data.
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

/// Adds out-of-band data to the value that is being serialized; returns its offset, or `None` if
/// the data must stay inline.
pub(super) fn put(chunk: &StableBytes) -> Option<u64> {
    if PAUSED.get() {
        return None;
    }
    WRITTEN.with_borrow_mut(|areas| Some(areas.as_mut()?.add_shared(chunk.clone())))
}

/// Deserializes a value that has out-of-band data.
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
    // Restored by a drop guard, since after a panic the bytes may no longer be valid.
    let _before = Before(READ.replace(Some(source)));
    read()
}

/// Returns the data of this length at an offset of the out-of-band data of the value that is being
/// deserialized.
pub(super) fn take(offset: u64, len: u64) -> Option<StableBytes> {
    let from = usize::try_from(offset).ok()?;
    let to = from.checked_add(usize::try_from(len).ok()?)?;
    READ.with_borrow(|source| match source.as_ref()? {
        ErasedSource::Areas(areas) => {
            let mut list = areas.list.iter();
            let (_, chunk) =
                list.find(|(start, chunk)| *start == offset && chunk.len() as u64 == len)?;
            Some(chunk.clone())
        }
        ErasedSource::Chunk(chunk) => chunk.part(from..to),
        ErasedSource::Passing(start, len) => {
            // SAFETY: `reading` has not returned, and its caller's bytes outlive it.
            let bytes = unsafe { std::slice::from_raw_parts(*start, *len) };
            Some(StableBytes::copy(bytes.get(from..to)?))
        }
    })
}
