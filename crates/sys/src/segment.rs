//! Large data in files without names, which processes of one machine hand each other by reference
//! (`phalanx_protocol::segment`).
//!
//! Bytes here are either themselves or a reference to such a file. A reference made here keeps its
//! file open as long as a clone of it lives.

use bytes::Bytes;
use phalanx_protocol::native::arguments::{Elsewhere, elsewhere};
use phalanx_protocol::segment::{REFERENCE, SegmentRef};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where captures begin in bytes.
const ALIGN: usize = 64;

/// How many files of others a process keeps open at most; it does with maps of any more, of which
/// there may be ten times as many.
const MOST_HELD: usize = 256;

/// How many are open now.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Makes a reference to a new file with these bytes.
///
/// # Errors
/// When there is no memory for it.
pub fn place(bytes: &[u8]) -> io::Result<Bytes> {
    let file = File::from(memfd_create(
        c"phalanx",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?);
    file.write_all_at(bytes, 0)?;
    fcntl_add_seals(&file, sealed() | SealFlags::SEAL)?;
    let metadata = file.metadata()?;
    let reference = SegmentRef {
        pid: 0,
        fd: 0,
        device: metadata.dev(),
        inode: metadata.ino(),
        offset: 0,
        len: bytes.len() as u64,
    };
    held(&Open::new(file), reference)
}

/// Takes over what others have referred to: the references are this process's then, or the bytes
/// themselves, mapped, where it has many files open. Other bytes stay what they are.
///
/// # Errors
/// When one is gone.
pub fn hold(all: Vec<Bytes>) -> io::Result<Vec<Bytes>> {
    let mut open = HashMap::new();
    let hold = |bytes: Bytes| {
        let Some(reference) = SegmentRef::from_bytes(&bytes) else {
            return Ok(bytes);
        };
        let key = (reference.pid, reference.fd);
        let file = match open.get(&key) {
            Some(file) => Arc::clone(file),
            None => {
                let file = opened(&reference)?;
                if HELD.load(Ordering::Relaxed) >= MOST_HELD {
                    return mapped(&file, &reference);
                }
                let file = Open::new(file);
                open.insert(key, Arc::clone(&file));
                file
            }
        };
        held(&file, reference)
    };
    all.into_iter().map(hold).collect()
}

/// The bytes that are referred to, mapped; other bytes stay what they are.
///
/// # Errors
/// When they are gone, or there is no room to map them.
pub fn resolve(bytes: Bytes) -> io::Result<Bytes> {
    let Some(reference) = SegmentRef::from_bytes(&bytes) else {
        return Ok(bytes);
    };
    mapped(&opened(&reference)?, &reference)
}

/// The bytes of arguments that are referred to, with the captures that they have together with those
/// of other tasks; other bytes stay what they are.
///
/// # Errors
/// As for [`resolve`].
pub fn resolve_arguments(bytes: Bytes) -> io::Result<Bytes> {
    let Some(reference) = SegmentRef::from_bytes(&bytes) else {
        return Ok(bytes);
    };
    let file = opened(&reference)?;
    let own = mapped(&file, &reference)?;
    let Some(Elsewhere { at, from, len }) = elsewhere(&own) else {
        return Ok(own);
    };
    let captures = SegmentRef {
        offset: from,
        len,
        ..reference
    };
    opened(&captures)?;
    let captures = mapped(&file, &captures)?;
    let from = own.len().next_multiple_of(ALIGN);
    let mut whole = Vec::with_capacity(from + captures.len());
    whole.extend_from_slice(&own);
    whole.resize(from, 0);
    whole.extend_from_slice(&captures);
    whole[at..at + 8].copy_from_slice(&(from as u64).to_le_bytes());
    Ok(whole.into())
}

fn mapped(file: &File, reference: &SegmentRef) -> io::Result<Bytes> {
    let from = usize::try_from(reference.offset).map_err(io::Error::other)?;
    let len = usize::try_from(reference.len).map_err(io::Error::other)?;
    let whole = Mapping::of(file, from + len)?;
    Ok(Bytes::from_owner(whole).slice(from..))
}

/// Whether bytes are a reference to a file that this process cannot open.
pub fn is_out_of_reach(bytes: &[u8]) -> bool {
    SegmentRef::from_bytes(bytes).is_some_and(|reference| opened(&reference).is_err())
}

/// What has to hold for bytes to stay as they are.
fn sealed() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Opens the file, if it is the one that is meant.
fn opened(reference: &SegmentRef) -> io::Result<File> {
    let file = File::open(reference.path())?;
    let metadata = file.metadata()?;
    let end = reference.offset.checked_add(reference.len);
    let same = (metadata.dev(), metadata.ino()) == (reference.device, reference.inode)
        && end.is_some_and(|end| end <= metadata.len());
    if !same || !fcntl_get_seals(&file)?.contains(sealed()) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// A reference to this process's file.
fn held(file: &Arc<Open>, reference: SegmentRef) -> io::Result<Bytes> {
    let reference = SegmentRef {
        pid: std::process::id(),
        fd: u32::try_from(file.0.as_raw_fd()).map_err(io::Error::other)?,
        ..reference
    };
    Ok(Bytes::from_owner(Held {
        reference: reference.to_bytes(),
        _file: Arc::clone(file),
    }))
}

/// A reference, and what it refers to.
struct Held {
    reference: [u8; REFERENCE],
    _file: Arc<Open>,
}

/// A file that is counted.
struct Open(File);

impl Open {
    fn new(file: File) -> Arc<Self> {
        HELD.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(file))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.reference
    }
}

/// The beginning of a sealed file.
struct Mapping {
    start: *const u8,
    len: usize,
}

// SAFETY: the file is sealed, so the bytes never change; they are mapped until the value is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn of(file: &File, len: usize) -> io::Result<Self> {
        if len == 0 {
            let start = std::ptr::NonNull::<u8>::dangling().as_ptr();
            return Ok(Self { start, len });
        }
        // SAFETY: the system chooses a place where nothing is.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        Ok(Self {
            start: start.cast(),
            len,
        })
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped as long as `self` lives, or of no length; the seals keep the file as long
        // as it was when it was mapped.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: our mapping, and what borrows from it is gone. Unmapping it does not fail.
            let _ = unsafe { munmap(self.start.cast_mut().cast(), self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::native::arguments::ELSEWHERE;

    fn large() -> Vec<u8> {
        (0..3_000_000u32).map(|number| number as u8).collect()
    }

    #[test]
    fn what_is_placed_is_read_through_its_reference() {
        let bytes = large();
        let placed = place(&bytes).unwrap();
        assert_eq!(placed.len(), REFERENCE);
        assert!(!is_out_of_reach(&placed));
        let read = resolve(placed.clone()).unwrap();
        // Whoever has mapped it does not need the owner any more.
        drop(placed);
        assert_eq!(read, bytes);
    }

    #[test]
    fn what_is_held_outlives_its_owner() {
        let placed = place(&large()).unwrap();
        let plain = Bytes::from_static(b"plain");
        let copies = vec![Bytes::copy_from_slice(&placed), plain.clone()];
        let kept = hold(copies).unwrap();
        let copy = Bytes::copy_from_slice(&placed);
        drop(placed);
        assert!(is_out_of_reach(&copy) && resolve(copy).is_err());
        assert_eq!(resolve(kept[0].clone()).unwrap(), large());
        assert_eq!(kept[1], plain);
    }

    #[test]
    fn another_file_under_the_same_number_is_not_taken() {
        let placed = place(b"one").unwrap();
        let mut reference = SegmentRef::from_bytes(&placed).unwrap();
        for change in [
            |r: &mut SegmentRef| r.inode += 1,
            |r: &mut SegmentRef| r.len += 1,
            |r: &mut SegmentRef| r.offset = u64::MAX,
        ] {
            let right = reference.clone();
            change(&mut reference);
            assert!(is_out_of_reach(&reference.to_bytes()));
            reference = right;
        }
        // One that could still change.
        let open = memfd_create(c"open", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        let open = File::from(open.unwrap());
        open.write_all_at(b"one", 0).unwrap();
        let metadata = open.metadata().unwrap();
        let open = SegmentRef {
            fd: open.as_raw_fd() as u32,
            device: metadata.dev(),
            inode: metadata.ino(),
            ..reference
        };
        assert!(is_out_of_reach(&open.to_bytes()));
    }

    #[test]
    fn more_than_a_process_keeps_open_is_mapped() {
        let placed: Vec<_> = (0..MOST_HELD)
            .map(|number| place(&[number as u8; 3]).unwrap())
            .collect();
        let copies = placed
            .iter()
            .map(|placed| Bytes::copy_from_slice(placed))
            .collect();
        let held = hold(copies).unwrap();
        assert_eq!(held[7], [7; 3][..]);
        drop(placed);
        assert_eq!(resolve(held[200].clone()).unwrap(), [200; 3][..]);
    }

    #[test]
    fn arguments_come_with_the_captures_that_are_elsewhere() {
        // The captures, and at 64 the arguments of a task: its own byte, then where the captures are.
        let word = |number: u64| number.to_le_bytes();
        let mut file = b"captures".to_vec();
        file.resize(64, 0);
        let own = [&word(18)[..], &word(1), &[7, ELSEWHERE], &word(0), &word(8)].concat();
        file.extend_from_slice(&own);
        let placed = place(&file).unwrap();
        let reference = SegmentRef {
            offset: 64,
            len: own.len() as u64,
            ..SegmentRef::from_bytes(&placed).unwrap()
        };
        let whole = resolve_arguments(Bytes::copy_from_slice(&reference.to_bytes())).unwrap();
        let found = elsewhere(&whole).unwrap();
        let (from, len) = (found.from as usize, found.len as usize);
        assert_eq!(whole[from..from + len], b"captures"[..]);
        assert_eq!(whole[16], 7);
        let plain = resolve_arguments(placed).unwrap();
        assert_eq!(plain, file);
    }

    #[test]
    fn nothing_can_be_placed_too() {
        let placed = place(b"").unwrap();
        assert_eq!(resolve(placed).unwrap(), Bytes::new());
    }
}
