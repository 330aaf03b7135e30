//! Segments: large data shared by processes of one machine through a file in memory, with a short
//! reference in its place.
//!
//! A reference may replace the bytes of arguments and values in any message. The sender keeps the
//! file open until the receiver has opened it through `/proc`. The file is sealed: it never
//! changes. It has no name, so that it disappears with the last process that has it open or mapped,
//! however that process ends.
//!
//! Parts of the data may be in other files, so that data that is sent again is not written again.
//! The file has a hole for each such part, and links behind the reference describe their contents.

use std::ops::Range;
use std::path::PathBuf;

/// The alignment in files of plain data that is linked instead of written again: a multiple of
/// every page size in use.
pub const PAGE: usize = 1 << 16;

/// The size in bytes from which data goes into a file.
pub const SEGMENT_THRESHOLD: usize = 1 << 20;

/// The size of an encoded reference in bytes.
pub const REFERENCE: usize = 48;

/// The first bytes of a reference; arguments and values never begin with them.
const MARK: [u8; 8] = [0xff; 8];

/// A part of the referenced data that is in another file, and mapped into a hole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentPart {
    /// The offset of the part in the whole.
    pub at: u64,
    /// The file that contains it.
    pub segment: SegmentRef,
}

impl SegmentPart {
    /// Encodes the link, which is sent after the reference.
    pub fn to_bytes(&self) -> [u8; REFERENCE] {
        let mut bytes = self.segment.to_bytes();
        bytes[..8].copy_from_slice(&self.at.to_le_bytes());
        bytes
    }

    /// The range of the hole in a mapping of `mapped` bytes whose data begins at `from`; `None` if
    /// the hole is out of bounds, or its alignment does not allow a mapping. Without this check,
    /// such a mapping is unsound.
    pub fn hole(&self, from: u64, mapped: usize) -> Option<Range<usize>> {
        let start = usize::try_from(from.checked_add(self.at)?).ok()?;
        let end = start.checked_add(usize::try_from(self.segment.len).ok()?)?;
        let on_pages = (start as u64 | self.segment.offset).is_multiple_of(PAGE as u64);
        (start < end && end <= mapped && on_pages).then_some(start..end)
    }

    /// Decodes all links behind a reference.
    pub fn all(bytes: &[u8]) -> Vec<Self> {
        if SegmentRef::from_bytes(bytes).is_none() {
            return Vec::new();
        }
        let behind = bytes.chunks_exact(REFERENCE).skip(1);
        let link = |bytes: &[u8]| {
            let (at, rest) = bytes.split_first_chunk()?;
            Some(Self {
                at: u64::from_le_bytes(*at),
                segment: SegmentRef::from_bytes(&[&MARK, rest].concat())?,
            })
        };
        behind.filter_map(link).collect()
    }
}

/// A range of bytes in a sealed file that another process has open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SegmentRef {
    /// The process that has the file open.
    pub pid: u32,
    /// The file descriptor in that process.
    pub fd: u32,
    /// The file's device, to detect another file under the same descriptor.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// The offset of the bytes in the file.
    pub offset: u64,
    /// The number of bytes.
    pub len: u64,
}

impl SegmentRef {
    /// Encodes the reference, which is sent in place of the data.
    pub fn to_bytes(&self) -> [u8; REFERENCE] {
        let mut bytes = [0; REFERENCE];
        let process = u64::from(self.pid) << 32 | u64::from(self.fd);
        let words = [process, self.device, self.inode, self.offset, self.len];
        bytes[..8].copy_from_slice(&MARK);
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Decodes bytes as a reference, with or without [`SegmentPart`]s behind it; `None` if they are
    /// data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(REFERENCE) {
            return None;
        }
        let bytes: &[u8; REFERENCE] = bytes.first_chunk()?;
        let mut words = bytes.chunks_exact(8).map(|word| {
            let word = <[u8; 8]>::try_from(word).unwrap_or_default();
            u64::from_le_bytes(word)
        });
        if words.next()? != u64::from_le_bytes(MARK) {
            return None;
        }
        let process = words.next()?;
        Some(Self {
            pid: u32::try_from(process >> 32).ok()?,
            fd: process as u32,
            device: words.next()?,
            inode: words.next()?,
            offset: words.next()?,
            len: words.next()?,
        })
    }

    /// The path by which the file can be opened while its owner has it open.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", self.pid, self.fd).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_on_pages_and_within_what_is_mapped() {
        let link = |at: u64, offset, len| SegmentPart {
            at,
            segment: SegmentRef {
                pid: 1,
                fd: 2,
                device: 3,
                inode: 4,
                offset,
                len,
            },
        };
        let page = PAGE as u64;
        let found = link(page - 64, page, page + 1).hole(64, 3 * PAGE);
        assert_eq!(found, Some(PAGE..2 * PAGE + 1));
        for (link, from) in [
            (link(page - 64, page, 2 * page + 1), 64),
            (link(page, page, 1), 64),
            (link(page, 64, 1), 0),
            (link(page, page, 0), 0),
            (link(u64::MAX, page, 1), 1),
            (link(page, page, u64::MAX), 0),
        ] {
            assert_eq!(link.hole(from, 3 * PAGE), None, "{link:?}");
        }
    }

    #[test]
    fn a_reference_comes_back_as_it_was_and_nothing_else_is_one() {
        let reference = SegmentRef {
            pid: u32::MAX,
            fd: 7,
            device: 1,
            inode: u64::MAX,
            offset: 64,
            len: 1 << 40,
        };
        let bytes = reference.to_bytes();
        assert_eq!(SegmentRef::from_bytes(&bytes), Some(reference.clone()));
        assert_eq!(SegmentPart::all(&bytes), []);
        let links = [7, 1 << 20].map(|at| SegmentPart {
            at,
            segment: reference.clone(),
        });
        let linked = [bytes, links[0].to_bytes(), links[1].to_bytes()].concat();
        assert_eq!(SegmentRef::from_bytes(&linked), Some(reference));
        assert_eq!(SegmentPart::all(&linked), links);
        assert_eq!(SegmentRef::from_bytes(&linked[1..]), None);
        assert_eq!(SegmentRef::from_bytes(&linked[..60]), None);
        assert_eq!(SegmentPart::all(&[0; REFERENCE * 2]), []);
        assert_eq!(SegmentRef::from_bytes(&bytes[1..]), None);
        assert_eq!(SegmentRef::from_bytes(&[0; REFERENCE]), None);
        assert_eq!(SegmentRef::from_bytes(b""), None);
    }
}
