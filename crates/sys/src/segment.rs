//! Large data in unnamed files, shared by reference between processes of a machine
//! (`phalanx_protocol::segment`). A reference created here keeps its file open as long as a clone
//! of it exists.

use bytes::Bytes;
use phalanx_protocol::native::arguments::{Elsewhere, elsewhere};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_protocol::segment::{REFERENCE, SegmentPart, SegmentRef};
use phalanx_segment::Mapping;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The alignment of captures, in bytes.
const ALIGN: usize = 64;

/// The largest number of other processes' files that this process keeps open; further ones are
/// mapped, up to ten times as many.
const MAX_OPEN: usize = 256;

/// The number of files currently open.
static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// Writes bytes to a new file and returns a reference to it.
///
/// # Errors
/// Returns an error if the memory cannot be allocated.
pub fn create(bytes: &[u8]) -> io::Result<Segment> {
    let file = phalanx_segment::create()?;
    file.write_all_at(bytes, 0)?;
    phalanx_segment::seal(&file)?;
    let reference = phalanx_segment::reference(&file, 0, bytes.len() as u64)?;
    held(vec![(CountedFile::new(file), reference)], &[])
}

/// Opens the files of references by other processes, so that they remain valid when their owners
/// end. If too many files are open, maps the bytes instead.
///
/// # Errors
/// Returns an error if a file no longer exists.
pub fn hold(all: Vec<Payload>) -> io::Result<Vec<Payload>> {
    let mut open = HashMap::new();
    let hold = |payload: Payload| {
        let Some(segment) = payload.segment() else {
            return Ok(payload);
        };
        let links = segment.links();
        let others = links.iter().map(|link| link.segment.clone());
        let mut files = Vec::new();
        for reference in std::iter::once(segment.reference().clone()).chain(others) {
            let key = (reference.pid, reference.fd);
            let file = match open.get(&key) {
                Some(file) => Arc::clone(file),
                None => {
                    let file = phalanx_segment::open(&reference)?;
                    if OPEN_FILES.load(Ordering::Relaxed) >= MAX_OPEN {
                        return resolve(payload).map(Payload::Inline);
                    }
                    let file = CountedFile::new(file);
                    open.insert(key, Arc::clone(&file));
                    file
                }
            };
            files.push((file, reference));
        }
        held(files, &links).map(Payload::from)
    };
    all.into_iter().map(hold).collect()
}

/// Returns the bytes of a payload; those of a reference are mapped.
///
/// # Errors
/// Returns an error if the file no longer exists or cannot be mapped.
pub fn resolve(payload: Payload) -> io::Result<Bytes> {
    match payload {
        Payload::Inline(bytes) => Ok(bytes),
        Payload::Segment(segment) => {
            Mapping::open(segment.reference(), &segment.links()).map(Bytes::from_owner)
        }
    }
}

/// Returns the bytes of arguments, including captures stored once for several tasks.
///
/// # Errors
/// Returns the errors of [`resolve`].
pub fn resolve_arguments(args: Payload) -> io::Result<Bytes> {
    let segment = match args {
        Payload::Inline(bytes) => return Ok(bytes),
        Payload::Segment(segment) => segment,
    };
    let reference = segment.reference().clone();
    let file = phalanx_segment::open(&reference)?;
    let own = Mapping::of_file(&file, &reference, &segment.links())?;
    let own = Bytes::from_owner(own);
    let Some(Elsewhere { at, from, len }) = elsewhere(&own) else {
        return Ok(own);
    };
    let captures = SegmentRef {
        offset: from,
        len,
        ..reference
    };
    let captures = Mapping::of_file(&file, &captures, &[])?;
    let captures = captures.as_ref();
    let from = own.len().next_multiple_of(ALIGN);
    let mut whole = Vec::with_capacity(from + captures.len());
    whole.extend_from_slice(&own);
    whole.resize(from, 0);
    whole.extend_from_slice(captures);
    whole[at..at + 8].copy_from_slice(&(from as u64).to_le_bytes());
    Ok(whole.into())
}

/// Returns true if this process cannot open a referenced file.
pub fn is_out_of_reach(segment: &Segment) -> bool {
    let of_links = segment.links().into_iter().map(|link| link.segment);
    let mut all = std::iter::once(segment.reference().clone()).chain(of_links);
    all.any(|reference| phalanx_segment::open(&reference).is_err())
}

/// Returns a reference to this process's files: the first one, and the targets of its links.
fn held(files: Vec<(Arc<CountedFile>, SegmentRef)>, links: &[SegmentPart]) -> io::Result<Segment> {
    let mut bytes = Vec::with_capacity(files.len() * REFERENCE);
    let mut kept = Vec::with_capacity(files.len());
    for (number, (file, reference)) in files.into_iter().enumerate() {
        let segment = SegmentRef {
            pid: std::process::id(),
            fd: u32::try_from(file.0.as_raw_fd()).map_err(io::Error::other)?,
            ..reference
        };
        let link = number.checked_sub(1).and_then(|number| links.get(number));
        bytes.extend_from_slice(&match link {
            None => segment.to_bytes(),
            Some(link) => SegmentPart {
                at: link.at,
                segment,
            }
            .to_bytes(),
        });
        kept.push(file);
    }
    let frame = Bytes::from_owner(HeldSegment {
        reference: bytes,
        _files: kept,
    });
    // The frame starts with a reference.
    Segment::read(frame).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A reference together with its open files.
struct HeldSegment {
    reference: Vec<u8>,
    _files: Vec<Arc<CountedFile>>,
}

/// An open file, included in the count.
struct CountedFile(File);

impl CountedFile {
    fn new(file: File) -> Arc<Self> {
        OPEN_FILES.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(file))
    }
}

impl Drop for CountedFile {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for HeldSegment {
    fn as_ref(&self) -> &[u8] {
        &self.reference
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::native::arguments::ELSEWHERE;
    use phalanx_protocol::segment::PAGE;

    /// Returns the reference alone, as received by another process.
    fn sent(segment: &Segment) -> Payload {
        Payload::read(Bytes::copy_from_slice(segment.frame()))
    }

    fn made(reference: &SegmentRef) -> Segment {
        Segment::read(Bytes::copy_from_slice(&reference.to_bytes())).unwrap()
    }

    fn large() -> Vec<u8> {
        (0..3_000_000u32).map(|number| number as u8).collect()
    }

    #[test]
    fn a_segment_is_read_through_its_reference() {
        let bytes = large();
        let segment = create(&bytes).unwrap();
        assert_eq!(segment.frame().len(), REFERENCE);
        assert!(!is_out_of_reach(&segment));
        let read = resolve(sent(&segment)).unwrap();
        // A mapping does not need the owner any more.
        drop(segment);
        assert_eq!(read, bytes);
    }

    #[test]
    fn a_mapping_outlives_its_owner() {
        let segment = create(&large()).unwrap();
        let plain = Payload::Inline(Bytes::from_static(b"plain"));
        let kept = hold(vec![sent(&segment), plain.clone()]).unwrap();
        let copy = sent(&segment);
        drop(segment);
        assert!(is_out_of_reach(copy.segment().unwrap()) && resolve(copy).is_err());
        assert_eq!(resolve(kept[0].clone()).unwrap(), large());
        assert_eq!(kept[1], plain);
    }

    #[test]
    fn a_reused_descriptor_number_is_detected() {
        let segment = create(b"one").unwrap();
        let mut reference = segment.reference().clone();
        for change in [
            |r: &mut SegmentRef| r.inode += 1,
            |r: &mut SegmentRef| r.len += 1,
            |r: &mut SegmentRef| r.offset = u64::MAX,
        ] {
            let right = reference.clone();
            change(&mut reference);
            assert!(is_out_of_reach(&made(&reference)));
            reference = right;
        }
        // A file that is not sealed may still change.
        let file = phalanx_segment::create().unwrap();
        file.write_all_at(b"one", 0).unwrap();
        let open = phalanx_segment::reference(&file, 0, 3).unwrap();
        assert!(is_out_of_reach(&made(&open)));
    }

    #[test]
    fn more_segments_than_the_descriptor_limit_can_be_mapped() {
        let segments: Vec<_> = (0..MAX_OPEN)
            .map(|number| create(&[number as u8; 3]).unwrap())
            .collect();
        let held = hold(segments.iter().map(sent).collect()).unwrap();
        assert_eq!(held[7], Payload::Inline(Bytes::from_static(&[7; 3])));
        drop(segments);
        assert_eq!(resolve(held[200].clone()).unwrap(), [200; 3][..]);
    }

    #[test]
    fn holes_are_filled_from_other_files() {
        let other = [vec![1u8; PAGE], vec![7u8; PAGE + 100]].concat();
        let other = create(&other).unwrap();
        let segment = SegmentRef {
            offset: PAGE as u64,
            len: PAGE as u64 + 100,
            ..other.reference().clone()
        };
        let mut own = vec![2u8; 4 * PAGE];
        own[PAGE..2 * PAGE + 100].fill(0);
        let own = create(&own).unwrap();
        let reference = SegmentRef {
            offset: 64,
            len: 4 * PAGE as u64 - 64,
            ..own.reference().clone()
        };
        let with = |at: u64, segment: &SegmentRef| {
            let segment = segment.clone();
            let link = SegmentPart { at, segment }.to_bytes();
            Payload::read([reference.to_bytes(), link].concat().into())
        };
        let at = PAGE as u64 - 64;
        let linked = with(at, &segment);
        for bytes in [resolve(linked.clone()), resolve_arguments(linked.clone())] {
            let bytes = bytes.unwrap();
            assert_eq!(bytes.len() as u64, reference.len);
            let at = at as usize;
            assert!(bytes[..at].iter().all(|byte| *byte == 2));
            let filled = &bytes[at..at + PAGE + 100];
            assert!(filled.iter().all(|byte| *byte == 7));
            // Whole pages are linked; the rest of the last page is not.
            assert_eq!(bytes[at + 2 * PAGE], 2);
        }
        // The new owner needs neither of the previous ones.
        let kept = hold(vec![linked.clone()]).unwrap();
        drop((own, other));
        let (linked, whole) = (linked.segment().unwrap(), kept[0].segment().unwrap());
        assert!(is_out_of_reach(linked) && !is_out_of_reach(whole));
        assert_eq!(resolve(kept[0].clone()).unwrap()[at as usize], 7);
        let held = whole.links().remove(0).segment;
        let beyond = SegmentRef {
            len: held.len + 1,
            ..held.clone()
        };
        let crooked = SegmentRef {
            offset: 64,
            ..held.clone()
        };
        let far = u64::MAX - 64;
        let own = whole.reference();
        for (at, segment) in [(at, &beyond), (at, &crooked), (far, &held), (at + 1, &held)] {
            let link = SegmentPart {
                at,
                segment: segment.clone(),
            };
            let broken = [own.to_bytes(), link.to_bytes()].concat();
            assert!(resolve(Payload::read(broken.into())).is_err(), "{link:?}");
        }
    }

    #[test]
    fn arguments_include_captures_stored_in_other_segments() {
        // The captures, followed at 64 by the arguments of a task: its own byte, then the position
        // of the captures.
        let word = |number: u64| number.to_le_bytes();
        let mut file = b"captures".to_vec();
        file.resize(64, 0);
        let own = [&word(18)[..], &word(1), &[7, ELSEWHERE], &word(0), &word(8)].concat();
        file.extend_from_slice(&own);
        let segment = create(&file).unwrap();
        let reference = SegmentRef {
            offset: 64,
            len: own.len() as u64,
            ..segment.reference().clone()
        };
        let whole = resolve_arguments(made(&reference).into()).unwrap();
        let found = elsewhere(&whole).unwrap();
        let (from, len) = (found.from as usize, found.len as usize);
        assert_eq!(whole[from..from + len], b"captures"[..]);
        assert_eq!(whole[16], 7);
        let plain = resolve_arguments(segment.into()).unwrap();
        assert_eq!(plain, file);
    }

    #[test]
    fn an_empty_segment_can_be_created() {
        let segment = create(b"").unwrap();
        assert_eq!(resolve(segment.into()).unwrap(), Bytes::new());
    }
}
