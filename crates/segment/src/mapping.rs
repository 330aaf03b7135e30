//! The bytes of a reference, mapped into this process.

use crate::{file, system};
use phalanx_protocol::segment::{SegmentPart, SegmentRef};
use std::fs::File;
use std::io;

/// The bytes of a [`SegmentRef`], read only. They neither move nor change.
#[derive(Debug)]
pub struct Mapping {
    start: *const u8,
    /// The number of bytes mapped: the file up to the end of the reference.
    len: usize,
    /// The first byte of the reference.
    offset: usize,
}

// SAFETY: the file is sealed, so the bytes never change; they are mapped until the value is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the bytes of a reference, with the parts of them that are in other files.
    ///
    /// # Errors
    /// As for [`open`](crate::open); and when the parts do not fit, or no address range is left.
    pub fn open(reference: &SegmentRef, parts: &[SegmentPart]) -> io::Result<Self> {
        Self::of_file(&File::open(reference.path())?, reference, parts)
    }

    /// Maps the bytes of a reference whose file is open already.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn of_file(file: &File, reference: &SegmentRef, parts: &[SegmentPart]) -> io::Result<Self> {
        file::check(file, reference)?;
        let offset = usize::try_from(reference.offset).map_err(io::Error::other)?;
        let bytes = usize::try_from(reference.len).map_err(io::Error::other)?;
        let len = offset
            .checked_add(bytes)
            .ok_or(io::ErrorKind::InvalidData)?;
        let start = match len {
            0 => std::ptr::dangling(),
            _ => system::map(file, len)?,
        };
        let mut mapping = Self { start, len, offset };
        for part in parts {
            mapping.fill(part)?;
        }
        Ok(mapping)
    }

    /// Maps a part of another file over the hole that stands for it.
    fn fill(&mut self, part: &SegmentPart) -> io::Result<()> {
        let hole = part
            .hole(self.offset as u64, self.len)
            .ok_or(io::ErrorKind::InvalidData)?;
        let file = file::open(&part.segment)?;
        let at = self.start.wrapping_add(hole.start);
        // SAFETY: the hole is within this mapping, from which nothing has borrowed yet, and begins on a
        // page; that the last page is replaced as a whole stays within it, too.
        unsafe { system::map_over(&file, part.segment.offset, at, hole.len()) }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped as long as `self` lives, or of no length; the seals keep the file as long as
        // it was when it was mapped.
        let whole = unsafe { std::slice::from_raw_parts(self.start, self.len) };
        whole.get(self.offset..).unwrap_or_default()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the range is this mapping's, and what borrows from it is gone.
            unsafe { system::unmap(self.start, self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{create, reference, seal};
    use phalanx_protocol::segment::PAGE;
    use std::os::unix::fs::FileExt;

    fn file_of(bytes: &[u8]) -> File {
        let file = create().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn a_reference_is_readable_once_its_file_is_sealed_and_no_longer_than_it_is_open() {
        let file = file_of(b"before and after");
        let reference = reference(&file, 7, 3).unwrap();
        let early = Mapping::open(&reference, &[]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::NotFound);
        seal(&file).unwrap();
        assert!(file.write_all_at(b"x", 0).is_err());
        let mapping = Mapping::open(&reference, &[]).unwrap();
        drop(file);
        assert_eq!(mapping.as_ref(), b"and");
        assert!(Mapping::open(&reference, &[]).is_err());
    }

    #[test]
    fn nothing_and_more_than_the_file_has_can_be_asked_for() {
        let file = file_of(b"");
        seal(&file).unwrap();
        let nothing = reference(&file, 0, 0).unwrap();
        assert_eq!(Mapping::open(&nothing, &[]).unwrap().as_ref(), b"");
        for (offset, len) in [(0, 1), (1, 0), (u64::MAX, 1)] {
            let beyond = reference(&file, offset, len).unwrap();
            assert!(Mapping::open(&beyond, &[]).is_err(), "{offset} {len}");
        }
    }

    #[test]
    fn parts_in_other_files_fill_the_holes() {
        let filler = file_of(&vec![7; PAGE]);
        seal(&filler).unwrap();
        let file = file_of(&vec![1; 3 * PAGE]);
        seal(&file).unwrap();
        let whole = reference(&file, 0, 3 * PAGE as u64).unwrap();
        let part = |at: u64| SegmentPart {
            at,
            segment: reference(&filler, 0, PAGE as u64).unwrap(),
        };
        let mapping = Mapping::open(&whole, &[part(PAGE as u64)]).unwrap();
        let bytes = mapping.as_ref();
        assert_eq!(bytes[PAGE - 1..=PAGE], [1, 7]);
        assert_eq!(bytes[2 * PAGE - 1..=2 * PAGE], [7, 1]);
        for wrong in [1, 3 * PAGE as u64] {
            assert!(Mapping::open(&whole, &[part(wrong)]).is_err(), "{wrong}");
        }
    }
}
