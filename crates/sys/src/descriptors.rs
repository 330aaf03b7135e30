//! The open files of a process, and restoring them.

use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, FdFlags, dup3, fcntl_dupfd_cloexec, fcntl_getfd};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The open files of this process at one moment: which is which, by device and inode.
#[derive(Clone, Debug)]
pub struct OpenFiles(BTreeMap<RawFd, (u64, u64)>);

impl OpenFiles {
    /// The files that are open now.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn now() -> io::Result<Self> {
        let mut open = BTreeMap::new();
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let name = entry?.file_name();
            if let Some(number) = name.to_str().and_then(|name| name.parse().ok())
                && let Some(identity) = identity(number)
            {
                open.insert(number, identity);
            }
        }
        // The folder itself was open under the highest number that is no longer in use.
        open.retain(|number, known| identity(*number).as_ref() == Some(known));
        Ok(Self(open))
    }

    /// Makes the open files those of this moment: closes what has come since, and puts in the place
    /// of what is gone, or has been replaced, something that answers every use with an error, so
    /// that the number is not given to another file under the eyes of who believes to own it.
    ///
    /// `standard` has copies of the first three, which are put back as they were.
    ///
    /// # Errors
    /// When no placeholder can be opened.
    pub fn restore(&self, standard: &StandardStreams) -> io::Result<()> {
        for number in Self::now()?.0.into_keys() {
            if !self.0.contains_key(&number) {
                close(number);
            }
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Under a number that belongs to nobody.
        let beyond = self.0.last_key_value().map_or(0, |(number, _)| number + 1);
        let placeholder = rustix::fs::open("/", flags, Mode::empty())?;
        let placeholder = fcntl_dupfd_cloexec(placeholder, beyond)?;
        for (number, known) in &self.0 {
            if identity(*number).as_ref() == Some(known) {
                continue;
            }
            let copy = usize::try_from(*number)
                .ok()
                .and_then(|n| standard.0.get(n));
            match copy.and_then(Option::as_ref) {
                Some(copy) => replace(*number, copy, DupFlags::empty())?,
                None => replace(*number, &placeholder, DupFlags::CLOEXEC)?,
            }
        }
        Ok(())
    }
}

/// Copies of stdin, stdout and stderr.
#[derive(Debug)]
pub struct StandardStreams([Option<OwnedFd>; 3]);

impl StandardStreams {
    /// Copies of those that are open.
    pub fn copy() -> Self {
        Self([0, 1, 2].map(|number| {
            let open = borrow(number)?;
            fcntl_dupfd_cloexec(open, 3).ok()
        }))
    }
}

fn identity(number: RawFd) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(borrow(number)?).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// A descriptor by its number, if it is open.
fn borrow<'a>(number: RawFd) -> Option<BorrowedFd<'a>> {
    if number < 0 {
        return None;
    }
    // SAFETY: used for one system call at a time, which answers with an error if it is not open.
    let open = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(open).ok().map(|_: FdFlags| open)
}

fn close(number: RawFd) {
    // SAFETY: called for files that came after the moment to which this process returns; no value
    // of that moment owns one.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// Puts a copy of a file under a number.
fn replace(number: RawFd, with: &OwnedFd, flags: DupFlags) -> io::Result<()> {
    // SAFETY: whoever owns the number goes on owning it: it is not closed here.
    let mut place = unsafe { OwnedFd::from_raw_fd(number) };
    let replaced = dup3(with, &mut place, flags);
    let _ = place.into_raw_fd();
    Ok(replaced?)
}
