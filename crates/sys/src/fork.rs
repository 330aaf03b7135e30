//! Forks of this process.

use crate::threads;
use rustix::process::Pid;
use std::ffi::{c_int, c_ulong, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The process in which a fork returns.
#[derive(Debug)]
pub enum Forked<T> {
    /// The child.
    Child,
    /// The parent, with its handle on the child.
    Parent(T),
}

/// A process created by [`fork_sibling`].
#[derive(Debug)]
pub struct Sibling {
    /// Its process id, which may be reused after its end.
    pub pid: Pid,
    /// A descriptor of the process.
    pub pidfd: OwnedFd,
}

/// Forks this process, which must have a single thread.
///
/// # Errors
/// Returns an error if there are other threads, or if the system's limits are exceeded.
pub fn fork() -> io::Result<Forked<Pid>> {
    if threads::count()? > 1 {
        return Err(io::Error::other("there are other threads"));
    }
    // SAFETY: no other thread can hold a lock or have left data inconsistent, so the child may
    // continue like the parent.
    let pid = unsafe { libc::fork() };
    match Pid::from_raw(pid) {
        _ if pid < 0 => Err(io::Error::last_os_error()),
        None => Ok(Forked::Child),
        Some(pid) => Ok(Forked::Parent(pid)),
    }
}

/// Forks a sibling: a child of this process's parent that shares this process's file descriptors
/// instead of copying them.
///
/// With copies, a pipe or a connection closed by this process would stay open in the sibling, and
/// its peer would wait for the end forever. Since it is a child of the parent, code in this process
/// cannot wait for it.
///
/// A descriptor closed by the child is closed for this process too, so until this process has
/// ended, the child must neither drop owners of files nor leave files open.
///
/// The child has no other threads, as if they were blocked forever, so the caller must ensure that
/// they are idle.
///
/// # Errors
/// Returns an error if the system's limits are exceeded or a flag is not supported.
pub fn fork_sibling() -> io::Result<Forked<Sibling>> {
    // glibc stores the id of each thread at an address where the kernel has to set it for the
    // child, as in glibc's own fork; `abort` depends on it.
    let mut id_address: *mut c_int = std::ptr::null_mut();
    // SAFETY: the call stores a pointer to `id_address`.
    let found = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut id_address) };
    if found != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut robust_list: *mut c_void = std::ptr::null_mut();
    let mut robust_length: usize = 0;
    // SAFETY: the call stores the address and the length of this thread's own list.
    unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            0,
            &raw mut robust_list,
            &raw mut robust_length,
        )
    };
    let flags = libc::CLONE_PARENT
        | libc::CLONE_FILES
        | libc::CLONE_PIDFD
        | libc::CLONE_CHILD_SETTID
        | libc::CLONE_CHILD_CLEARTID
        | libc::SIGCHLD;
    let mut pidfd: c_int = -1;
    let none: c_ulong = 0;
    #[cfg(target_arch = "x86_64")]
    let (fourth, fifth) = (id_address as c_ulong, none);
    #[cfg(not(target_arch = "x86_64"))]
    let (fourth, fifth) = (none, id_address as c_ulong);
    // SAFETY: memory is not shared and no stack is given, so the child continues with a copy of
    // this one, as after a fork. The pointers are valid: one is a local variable, the other is the
    // C library's address of this thread's id.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags as c_ulong,
            none,
            &raw mut pidfd,
            fourth,
            fifth,
        )
    };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: the list is the C library's, which registers it again after its own fork.
            unsafe { libc::syscall(libc::SYS_set_robust_list, robust_list, robust_length) };
            Ok(Forked::Child)
        }
        _ => {
            // SAFETY: the call has returned a new descriptor, which nothing else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
            Ok(Forked::Parent(Sibling { pid, pidfd }))
        }
    }
}

/// Ends this process without running exit handlers or flushing buffers, which in a forked child
/// belong to the original.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: the call accepts any number and does not return.
    unsafe { libc::_exit(code) }
}
