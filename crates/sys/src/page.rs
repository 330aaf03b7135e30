//! A page of memory that several processes share: a few numbers, each written by one of them.

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicU32;

/// The number of words on a page.
pub const WORDS: usize = 1024;

/// A shared page; copies of this process made by a fork share it too.
#[derive(Debug)]
pub struct SharedPage {
    words: *const [AtomicU32; WORDS],
}

// SAFETY: the page is mapped until the value is dropped, and holds nothing but atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// Makes a file that holds a page of zeros.
    ///
    /// # Errors
    /// When the file cannot be made, or is there already.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).open(path)?;
        // Written, so that a full file system is an error here and not a SIGBUS at the first use.
        file.write_all(&[0; size_of::<[AtomicU32; WORDS]>()])?;
        Self::map(&file)
    }

    /// The page another process has made.
    ///
    /// # Errors
    /// When the file is not there or is none of ours.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < size_of::<[AtomicU32; WORDS]>() as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Self::map(&file)
    }

    fn map(file: &File) -> io::Result<Self> {
        let length = size_of::<[AtomicU32; WORDS]>();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a place where nothing is.
        let place = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                access,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        Ok(Self {
            words: place.cast(),
        })
    }

    /// The numbers.
    pub fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: the page is mapped as long as `self` lives, aligned, and any bytes are numbers.
        unsafe { &*self.words }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, and `words` lends out nothing that outlives `self`.
        // Unmapping what is mapped does not fail.
        let _ = unsafe {
            munmap(
                self.words.cast_mut().cast(),
                size_of::<[AtomicU32; WORDS]>(),
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_one_writes_the_other_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        let mine = SharedPage::create(&path).unwrap();
        let theirs = SharedPage::open(&path).unwrap();
        assert_eq!(theirs.words()[3].load(Ordering::SeqCst), 0);
        mine.words()[3].store(7, Ordering::SeqCst);
        assert_eq!(theirs.words()[3].load(Ordering::SeqCst), 7);
        assert!(SharedPage::create(&path).is_err());
        std::fs::write(folder.path().join("short"), "x").unwrap();
        assert!(SharedPage::open(&folder.path().join("short")).is_err());
    }
}
