//! A page of memory shared by several processes: an array of numbers, each written by one process.

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicU32;

/// The number of words on a page.
pub const WORDS: usize = 1024;

/// A shared page; forks of this process share it as well.
#[derive(Debug)]
pub struct SharedPage {
    words: *const [AtomicU32; WORDS],
}

// SAFETY: the page is mapped until the value is dropped, and contains only atomics.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// Creates a file that contains a page of zeros, and maps it.
    ///
    /// # Errors
    /// Returns an error if the file exists or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create_new(true).open(path)?;
        // Written, so that a full file system causes an error here instead of SIGBUS at the first
        // use.
        file.write_all(&[0; size_of::<[AtomicU32; WORDS]>()])?;
        Self::map(&file)
    }

    /// Maps the page that another process has created.
    ///
    /// # Errors
    /// Returns an error if the file does not exist or is smaller than a page.
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
        // SAFETY: the kernel chooses an unused address.
        let address = unsafe {
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
            words: address.cast(),
        })
    }

    /// Returns the numbers.
    pub fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: the page is mapped as long as `self` exists, aligned, and any bytes are valid
        // numbers.
        unsafe { &*self.words }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to `self`, and references returned by `words` do not outlive
        // it. Unmapping a valid range cannot fail.
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
    fn writes_are_visible_to_other_processes() {
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
