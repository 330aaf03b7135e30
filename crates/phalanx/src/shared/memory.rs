//! Immutable byte buffers at stable addresses, and unnamed files that other processes can map.

use phalanx_protocol::segment::{PAGE, SEGMENT_THRESHOLD, SegmentPart, SegmentRef};
use phalanx_segment::Mapping;
use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The alignment of plain data in a file, sufficient for every primitive type.
pub(crate) const ALIGN: usize = 64;

/// The maximum number of files kept open for data that may be sent again; data beyond it is written
/// again.
const MAX_OPEN_FILES: usize = 64;

/// The number of files currently kept open.
static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// Bytes that neither move nor change while a clone of this value lives.
#[derive(Clone)]
pub struct StableBytes {
    start: *const u8,
    len: usize,
    keep: Arc<dyn Any + Send + Sync>,
    written: Option<Arc<WrittenData>>,
}

/// The file and offset of data that was written before, if any.
struct WrittenData {
    start: usize,
    len: usize,
    location: OnceLock<SealedPlace>,
}

/// A sealed file, and an offset in it.
struct SealedPlace {
    file: Arc<File>,
    offset: u64,
}

impl Drop for SealedPlace {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
    }
}

// SAFETY: the bytes never change, and their owner is Send and Sync.
unsafe impl Send for StableBytes {}
// SAFETY: as above.
unsafe impl Sync for StableBytes {}

/// A block of memory aligned for every type.
#[repr(C, align(64))]
struct AlignedLine([u8; ALIGN]);

impl StableBytes {
    /// Wraps memory owned by `keep`.
    ///
    /// # Safety
    /// The bytes are initialized, and neither move nor change while `keep` lives.
    pub unsafe fn new(start: *const u8, len: usize, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            start,
            len,
            keep,
            written: None,
        }
    }

    /// Marks data that may be sent several times: it is written to a file only once.
    pub fn sent_again(mut self) -> Self {
        if self.written.is_some() {
            return self;
        }
        self.written = (self.len >= SEGMENT_THRESHOLD).then(|| {
            Arc::new(WrittenData {
                start: self.start.addr(),
                len: self.len,
                location: OnceLock::new(),
            })
        });
        self
    }

    /// Returns the file that contains these bytes, and their offset, if known and mappable by other
    /// processes.
    fn written(&self) -> Option<(Arc<File>, u64)> {
        let written = self.written.as_ref()?;
        let location = written.location.get()?;
        let from = self.start.addr().checked_sub(written.start)?;
        let offset = location.offset + from as u64;
        (self.len >= SEGMENT_THRESHOLD && offset.is_multiple_of(PAGE as u64))
            .then(|| (Arc::clone(&location.file), offset))
    }

    /// Records that all of it has been written to `file` at `offset`.
    fn record_location(&self, file: &Arc<File>, offset: u64) {
        let Some(written) = &self.written else {
            return;
        };
        let is_whole = (written.start, written.len) == (self.start.addr(), self.len);
        if !is_whole || written.location.get().is_some() {
            return;
        }
        if OPEN_FILES.fetch_add(1, Ordering::Relaxed) >= MAX_OPEN_FILES {
            OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // If another thread was faster, this entry is dropped, which decrements the count.
        let _ = written.location.set(SealedPlace {
            file: Arc::clone(file),
            offset,
        });
    }

    /// Wraps bytes that need no alignment.
    pub fn of(bytes: Vec<u8>) -> Self {
        let keep = Arc::new(bytes);
        let (start, len) = (keep.as_ptr(), keep.len());
        Self {
            start,
            len,
            keep,
            written: None,
        }
    }

    /// Copies bytes into memory that is aligned for every type.
    pub fn copy(bytes: &[u8]) -> Self {
        let mut lines = Vec::with_capacity(bytes.len().div_ceil(ALIGN));
        for part in bytes.chunks(ALIGN) {
            let mut line = AlignedLine([0; ALIGN]);
            line.0[..part.len()].copy_from_slice(part);
            lines.push(line);
        }
        let keep = Arc::new(lines);
        let (start, len) = (keep.as_ptr().cast(), bytes.len());
        Self {
            start,
            len,
            keep,
            written: None,
        }
    }

    /// Returns a part of it, which shares the memory.
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        let part = self.get(range)?;
        Some(Self {
            start: part.as_ptr(),
            len: part.len(),
            keep: Arc::clone(&self.keep),
            written: self.written.clone(),
        })
    }

    /// Maps the bytes that another process refers to.
    ///
    /// # Errors
    /// Returns an error if the file no longer exists, or there is no memory to map it.
    pub fn open(reference: &SegmentRef) -> io::Result<Self> {
        Self::open_linked(reference, &[])
    }

    /// Like [`open`](Self::open), with parts that are in other files.
    ///
    /// # Errors
    /// Returns an error if one of the files no longer exists, or there is no memory to map it.
    pub fn open_linked(reference: &SegmentRef, links: &[SegmentPart]) -> io::Result<Self> {
        let mapping = Mapping::open(reference, links)?;
        let bytes = mapping.as_ref();
        let (start, len) = (bytes.as_ptr(), bytes.len());
        Ok(Self {
            start,
            len,
            keep: Arc::new(mapping),
            written: None,
        })
    }
}

impl Deref for StableBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: guaranteed by the caller of `new`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// An unnamed file in memory that is being written.
pub(crate) struct SegmentWriter {
    file: File,
    end: u64,
    /// The data that may be sent again, with its offsets in this file.
    to_remember: Vec<(StableBytes, u64)>,
    /// Linked files, kept open as long as this one.
    linked: Vec<Arc<File>>,
}

/// The written file, kept until the receiver has opened it.
pub(crate) struct WrittenSegment {
    file: Arc<File>,
    _linked: Vec<Arc<File>>,
}

impl WrittenSegment {
    /// Returns the file, which the caller must close.
    pub fn into_file(self) -> Option<File> {
        Arc::into_inner(self.file)
    }
}

impl SegmentWriter {
    /// Creates an empty file; `None` where memory files are not supported or other processes could
    /// not open them.
    pub fn begin() -> Option<Self> {
        let file = phalanx_segment::create().ok()?;
        let filling = Self {
            file,
            end: 0,
            to_remember: Vec::new(),
            linked: Vec::new(),
        };
        let path = filling.reference(0).ok()?.path();
        File::open(path).is_ok().then_some(filling)
    }

    /// Advances to an offset that is aligned for any type, and returns it.
    pub fn align(&mut self) -> u64 {
        self.end = self.end.next_multiple_of(ALIGN as u64);
        self.end
    }

    /// Advances such that a page begins `after` bytes later.
    pub fn align_page(&mut self, after: u64) {
        let page = PAGE as u64;
        self.end = (self.align() + after).next_multiple_of(page) - after;
    }

    /// Appends data that may be sent again. If it was written before, only a hole is left, and the
    /// link that fills it is returned. The referenced bytes begin at `from`.
    ///
    /// # Errors
    /// Returns an error if there is no memory for the data.
    pub fn write_once(&mut self, data: &StableBytes, from: u64) -> io::Result<Option<SegmentPart>> {
        let at = self.end;
        let on_page = at.is_multiple_of(PAGE as u64);
        let Some((file, offset)) = data.written().filter(|_| on_page) else {
            self.write(data)?;
            if on_page && data.len >= SEGMENT_THRESHOLD {
                self.to_remember.push((data.clone(), at));
            }
            return Ok(None);
        };
        self.end += data.len as u64;
        self.file.set_len(self.end)?;
        let segment = phalanx_segment::reference(&file, offset, data.len as u64)?;
        self.linked.push(file);
        Ok(Some(SegmentPart {
            at: at - from,
            segment,
        }))
    }

    /// Advances to an offset.
    pub fn seek(&mut self, offset: u64) {
        self.end = offset;
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Returns an error if there is no memory for the bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Returns a reference, for other processes, to the data written since `from`.
    ///
    /// # Errors
    /// Returns an error if the system cannot identify the file.
    pub fn reference(&self, from: u64) -> io::Result<SegmentRef> {
        phalanx_segment::reference(&self.file, from, self.end - from)
    }

    /// Seals the file: its length and content cannot change any more.
    ///
    /// # Errors
    /// Returns an error if the system cannot seal the file.
    pub fn seal(self) -> io::Result<WrittenSegment> {
        phalanx_segment::seal(&self.file)?;
        let file = Arc::new(self.file);
        let repeated: u64 = self
            .to_remember
            .iter()
            .map(|(data, _)| data.len as u64)
            .sum();
        // The whole file is kept for the data that may be sent again, so that data must be at least
        // half of it.
        if repeated * 2 >= self.end {
            for (data, offset) in self.to_remember {
                data.record_location(&file, offset);
            }
        }
        Ok(WrittenSegment {
            file,
            _linked: self.linked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_file_outlives_its_owner() {
        let mut filling = SegmentWriter::begin().unwrap();
        filling.write(b"first").unwrap();
        let from = filling.align();
        assert_eq!(from, ALIGN as u64);
        filling.write(b"second").unwrap();
        let reference = filling.reference(from).unwrap();
        assert!(
            StableBytes::open(&reference).is_err(),
            "it could still change"
        );
        let file = filling.seal().unwrap();
        let chunk = StableBytes::open(&reference).unwrap();
        drop(file);
        assert_eq!(&*chunk, b"second");
        assert!(StableBytes::open(&reference).is_err());
        let part = chunk.part(1..3).unwrap();
        assert!(chunk.part(5..7).is_none());
        drop(chunk);
        assert_eq!(&*part, b"ec");
    }

    #[test]
    fn copies_are_aligned() {
        for len in [0, 1, 64, 65] {
            let bytes = vec![7; len];
            let copy = StableBytes::copy(&bytes);
            assert_eq!(&*copy, bytes);
            assert_eq!(copy.as_ptr().addr() % ALIGN, 0);
        }
    }
}
