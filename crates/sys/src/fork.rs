//! Children that are copies of this process.

use crate::threads;
use rustix::process::Pid;
use std::ffi::{c_int, c_ulong, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The process in which a fork has returned.
#[derive(Debug)]
pub enum Forked<T> {
    /// The copy.
    Child,
    /// The one that forked, with what it has of its child.
    Parent(T),
}

/// A process made by [`fork_sibling`].
#[derive(Debug)]
pub struct Sibling {
    /// Its id, which its parent may give away once it has ended.
    pub pid: Pid,
    /// The process itself.
    pub pidfd: OwnedFd,
}

/// Forks a process that has one thread.
///
/// # Errors
/// When there are other threads, or the system has no room for another process.
pub fn fork() -> io::Result<Forked<Pid>> {
    if threads::count()? > 1 {
        return Err(io::Error::other("there are other threads"));
    }
    // SAFETY: without other threads nothing is left half done in the child, so it may go on as the
    // parent may.
    let pid = unsafe { libc::fork() };
    match Pid::from_raw(pid) {
        _ if pid < 0 => Err(io::Error::last_os_error()),
        None => Ok(Forked::Child),
        Some(pid) => Ok(Forked::Parent(pid)),
    }
}

/// Forks a sibling: a child of this process's own parent, which shares this process's open files
/// instead of having copies of them.
///
/// Were the files copied, a pipe or a connection that this process closes would stay open in its
/// copy, and whoever waits for its end would wait for ever. Being a child of the parent, the copy is
/// none of the children that code in this process may wait for.
///
/// What the child closes is closed for its parent too, so until the parent is gone it must neither
/// drop what owns a file nor leave one open.
///
/// Other threads do not exist in the child: to its code they
/// are as if they stood still for ever, so whoever calls this makes sure that they are idle.
///
/// # Errors
/// When the system has no room for another process, or cannot do this.
pub fn fork_sibling() -> io::Result<Forked<Sibling>> {
    // glibc keeps the id of each thread in a place of its own, which the system has to fill in for
    // the child as it does when glibc forks; `abort` depends on it.
    let mut id_place: *mut c_int = std::ptr::null_mut();
    // SAFETY: the call stores one pointer where it is told to.
    let found = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut id_place) };
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
    let (fourth, fifth) = (id_place as c_ulong, none);
    #[cfg(not(target_arch = "x86_64"))]
    let (fourth, fifth) = (none, id_place as c_ulong);
    // SAFETY: memory is not shared and no stack is given, so the child goes on with a copy of this
    // one, as after a fork. The pointers are valid: one is ours, the other is where the C library
    // has this thread's id.
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
            // SAFETY: the list is the C library's, which registers it again after a fork of its own.
            unsafe { libc::syscall(libc::SYS_set_robust_list, robust_list, robust_length) };
            Ok(Forked::Child)
        }
        _ => {
            // SAFETY: the call has just opened it for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
            Ok(Forked::Parent(Sibling { pid, pidfd }))
        }
    }
}

/// Ends this process without running anything more of it: what a copy of a process must do, since
/// buffers and exit handlers are the original's.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: it takes any number and does not return.
    unsafe { libc::_exit(code) }
}
