//! Signals as something to be read, for a process that waits in one place.

use rustix::io::Errno;
use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// A signal that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedSignal {
    /// A child has ended (`SIGCHLD`).
    Child,
    /// This process is asked to end (`SIGTERM`, `SIGINT`, `SIGHUP`).
    End,
}

/// The signals of this process, held back from interrupting it.
#[derive(Debug)]
pub struct Signals {
    read: OwnedFd,
    before: libc::sigset_t,
}

impl Signals {
    /// Holds the signals back from now on; for a process with one thread.
    ///
    /// # Errors
    /// When the system has no descriptor for it.
    pub fn hold() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: the calls initialise the sets they are given; the numbers are those of signals.
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
        // SAFETY: the call has just opened it for us.
        let read = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { read, before })
    }

    /// Returns the signals that have arrived since the last call, without waiting.
    ///
    /// # Errors
    /// When the descriptor fails.
    pub fn take(&self) -> io::Result<Vec<ReceivedSignal>> {
        let mut arrived = Vec::new();
        let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
        loop {
            match rustix::io::read(&self.read, &mut buffer) {
                // The number of the signal is the first field.
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

    /// Lets the signals through again, as they were before; for a child that has other work.
    pub fn release(self) {
        // SAFETY: the set is the one the system gave us.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

impl AsFd for Signals {
    /// Readable when signals have arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
