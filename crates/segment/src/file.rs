//! Files in memory, without names, which other processes open through `/proc`.

use crate::system;
use phalanx_protocol::segment::SegmentRef;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Creates an empty file, to be written and then [sealed](seal).
///
/// # Errors
/// Returns an error if the system has no such files, or no descriptor is left.
pub fn create() -> io::Result<File> {
    system::create_file()
}

/// Seals a file: neither its length nor its bytes change any more.
///
/// # Errors
/// Returns an error if the file is mapped for writing, or cannot be sealed.
pub fn seal(file: &File) -> io::Result<()> {
    system::add_seals(file)
}

/// Returns a reference, for other processes of this machine, to `len` bytes of a file of this process.
///
/// # Errors
/// Returns an error if the system does not know the file.
pub fn reference(file: &File, offset: u64, len: u64) -> io::Result<SegmentRef> {
    let metadata = file.metadata()?;
    Ok(SegmentRef {
        pid: std::process::id(),
        fd: u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?,
        device: metadata.dev(),
        inode: metadata.ino(),
        offset,
        len,
    })
}

/// Opens the file of a reference.
///
/// # Errors
/// [`NotFound`](io::ErrorKind::NotFound) when the file is gone, another one has its number, or it is
/// not sealed.
pub fn open(reference: &SegmentRef) -> io::Result<File> {
    let file = File::open(reference.path())?;
    check(&file, reference)?;
    Ok(file)
}

/// Checks that a file is the one a reference is to, has its bytes, and is sealed.
pub(crate) fn check(file: &File, reference: &SegmentRef) -> io::Result<()> {
    let metadata = file.metadata()?;
    let end = reference.offset.checked_add(reference.len);
    let is_same = (metadata.dev(), metadata.ino()) == (reference.device, reference.inode)
        && end.is_some_and(|end| end <= metadata.len());
    match is_same && system::is_sealed(file) {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}
