//! The open files of a process, and their restoration.

use rustix::fs::{Mode, OFlags};
use rustix::io::{DupFlags, FdFlags, dup3, fcntl_dupfd_cloexec, fcntl_getfd};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The open files of this process at a point in time, identified by device and inode.
#[derive(Clone, Debug)]
pub struct OpenFiles(BTreeMap<RawFd, (u64, u64)>);

impl OpenFiles {
    /// Returns the files that are open now.
    ///
    /// # Errors
    /// Returns an error if `/proc` is not mounted.
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
        // Reading the folder has opened it; that descriptor is closed by now.
        open.retain(|number, known| identity(*number).as_ref() == Some(known));
        Ok(Self(open))
    }

    /// Restores the open files: closes those opened since, and replaces those closed or replaced
    /// since by a placeholder on which every operation fails, so that a descriptor whose owner
    /// still exists is not assigned to another file.
    ///
    /// stdin, stdout and stderr are restored from the copies in `standard`.
    ///
    /// # Errors
    /// Returns an error if the placeholder cannot be opened.
    pub fn restore(&self, standard: &StandardStreams) -> io::Result<()> {
        for number in Self::now()?.0.into_keys() {
            if !self.0.contains_key(&number) {
                close(number);
            }
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Beyond all numbers in use.
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
    /// Copies those that are open.
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

/// Borrows a descriptor by its number, if it is open.
fn borrow<'a>(number: RawFd) -> Option<BorrowedFd<'a>> {
    if number < 0 {
        return None;
    }
    // SAFETY: used for single system calls, which fail if it is not open.
    let open = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(open).ok().map(|_: FdFlags| open)
}

fn close(number: RawFd) {
    // SAFETY: called for files opened after the point in time to which this process returns; no
    // value from before owns one.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// Replaces the file of a descriptor by a copy of another one.
fn replace(number: RawFd, with: &OwnedFd, flags: DupFlags) -> io::Result<()> {
    // SAFETY: ownership is given back below, so the descriptor is not closed here.
    let mut target = unsafe { OwnedFd::from_raw_fd(number) };
    let replaced = dup3(with, &mut target, flags);
    let _ = target.into_raw_fd();
    Ok(replaced?)
}
