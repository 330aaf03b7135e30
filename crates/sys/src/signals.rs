//! Signals read from a descriptor, for a process with a single event loop.

use rustix::io::Errno;
use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedSignal {
    /// A child has ended (`SIGCHLD`).
    Child,
    /// A request to end this process (`SIGTERM`, `SIGINT`, `SIGHUP`).
    End,
}

/// The blocked signals of this process, read from a descriptor.
#[derive(Debug)]
pub struct Signals {
    read: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks the signals, in a process with a single thread.
    ///
    /// # Errors
    /// Returns an error if the descriptor cannot be created.
    pub fn hold() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the calls initialize the sets passed to them; the numbers are those of signals.
        let (descriptor, before) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            let descriptor = libc::signalfd(-1, set.as_ptr(), flags);
            (descriptor, before.assume_init())
        };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has returned a new descriptor, which nothing else owns.
        let read = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { read, before })
    }

    /// Returns the signals received since the last call, without blocking.
    ///
    /// # Errors
    /// Returns an error if reading the descriptor fails.
    pub fn take(&self) -> io::Result<Vec<ReceivedSignal>> {
        let mut arrived = Vec::new();
        let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
        loop {
            match rustix::io::read(&self.read, &mut buffer) {
                // The first field is the number of the signal.
                Ok(_) => {
                    let [a, b, c, d, ..] = buffer;
                    let number = u32::from_ne_bytes([a, b, c, d]);
                    arrived.push(if number as c_int == libc::SIGCHLD {
                        ReceivedSignal::Child
                    } else {
                        ReceivedSignal::End
                    });
                }
                Err(Errno::AGAIN) => return Ok(arrived),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Restores the previous signal mask, for a child with other work.
    pub fn release(self) {
        // SAFETY: the set was initialized by the system.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

impl AsFd for Signals {
    /// Borrows the descriptor, which is readable when signals have arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
