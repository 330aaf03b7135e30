//! The runtime's stdin: a FIFO whose owner detects blocked readers and then requests a line.
//!
//! The system does not notify a writer of blocked readers. So while a cell runs, the owner checks
//! several times a second whether a thread of the runtime, or of a process it has started, is
//! blocked in a `read` of the FIFO while that is empty (`/proc/PID/task/TID/syscall`). This detects
//! reads by `std`, by C code and by child processes alike. `state/stdin.rs` decides when.

use super::host::HostReplyFrames;
use phalanx_protocol::host::HostReply;
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_setfl, mknodat};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::net::unix::pipe::{self, Sender};
use tokio::sync::oneshot;

/// An event of a runtime's stdin.
pub(super) enum StdinEvent {
    /// The requested line has arrived; `None` if there is none.
    Answered(Option<HostReply>),
    /// Bytes have been written, as many as the FIFO has room for.
    Written,
}

/// The owner's end of a runtime's stdin.
pub(super) struct Stdin {
    fifo: Option<Fifo>,
    question: Option<oneshot::Receiver<HostReplyFrames>>,
    /// The bytes to be written.
    pending: Vec<u8>,
}

struct Fifo {
    path: PathBuf,
    /// The device and inode of the FIFO.
    identity: (u64, u64),
    /// A read end of our own, so that there always is one; non-blocking.
    own: File,
    /// `None` once the input has ended, so that readers see its end.
    writer: Option<Sender>,
}

impl Stdin {
    /// Creates a stdin that is at its end.
    pub(super) fn none() -> Self {
        Self {
            fifo: None,
            question: None,
            pending: Vec::new(),
        }
    }

    /// Creates a FIFO in a private folder; returns the read end for the runtime as well.
    pub(super) fn create(folder: &Path) -> io::Result<(Self, OwnedFd)> {
        let path = folder.join("stdin");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let read = || {
            let flags = OFlags::NONBLOCK.bits() as i32;
            OpenOptions::new()
                .read(true)
                .custom_flags(flags)
                .open(&path)
        };
        let own = read()?;
        let theirs = read()?;
        // Opened non-blocking, so as not to wait for a writer, but to be read in blocking mode.
        fcntl_setfl(&theirs, OFlags::empty())?;
        let metadata = own.metadata()?;
        let fifo = Fifo {
            identity: (metadata.dev(), metadata.ino()),
            writer: Some(pipe::OpenOptions::new().open_sender(&path)?),
            path,
            own,
        };
        let stdin = Self {
            fifo: Some(fifo),
            ..Self::none()
        };
        Ok((stdin, theirs.into()))
    }

    /// Discards the input of earlier cells, which is not meant for the next one; returns true if
    /// there is input.
    pub(super) fn reset(&mut self) -> bool {
        self.end();
        let Some(fifo) = &mut self.fifo else {
            return false;
        };
        let mut rest = [0; 4096];
        while matches!(fifo.own.read(&mut rest), Ok(count) if count > 0) {}
        if fifo.writer.is_none() {
            match pipe::OpenOptions::new().open_sender(&fifo.path) {
                Ok(writer) => fifo.writer = Some(writer),
                Err(error) => tracing::warn!(%error, "cells have no stdin any more"),
            }
        }
        fifo.writer.is_some()
    }

    /// Forgets the pending request, and the bytes that have not been written.
    pub(super) fn end(&mut self) {
        self.question = None;
        self.pending.clear();
    }

    /// Waits for the reply to a request.
    pub(super) fn ask(&mut self, answer: oneshot::Receiver<HostReplyFrames>) {
        self.question = Some(answer);
    }

    /// Writes a line for the reader, in the background.
    pub(super) fn write(&mut self, line: &str) {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }

    /// Ends the input of this cell.
    pub(super) fn close(&mut self) {
        if let Some(fifo) = &mut self.fifo {
            fifo.writer = None;
        }
    }

    /// Waits for the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> StdinEvent {
        let writer = self.fifo.as_ref().and_then(|fifo| fifo.writer.as_ref());
        let pending = &mut self.pending;
        let write = async {
            match writer {
                Some(writer) if !pending.is_empty() => match writer.writable().await {
                    Ok(()) => writer.try_write(pending),
                    Err(error) => Err(error),
                },
                _ => std::future::pending().await,
            }
        };
        let answer = async {
            match &mut self.question {
                Some(answer) => answer.await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = answer => {
                self.question = None;
                StdinEvent::Answered(answer.map(|(answer, _)| answer))
            }
            written = write => {
                match written {
                    Ok(count) => drop(self.pending.drain(..count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // There always is a reader: our own.
                    Err(_) => self.pending.clear(),
                }
                StdinEvent::Written
            }
        }
    }

    /// Returns true if a process, or a descendant of it, is blocked in a read.
    pub(super) fn is_wanted(&self, root: u32) -> bool {
        self.fifo.as_ref().is_some_and(|fifo| {
            self.pending.is_empty()
                && descendants(root).any(|process| waits_for(process, fifo.identity))
                // If the FIFO is not empty, the reader is about to be woken up.
                && rustix::io::ioctl_fionread(&fifo.own) == Ok(0)
        })
    }
}

/// A process and its descendants, as far as visible.
fn descendants(root: u32) -> impl Iterator<Item = u32> {
    let mut found = vec![root];
    std::iter::from_fn(move || {
        let process = found.pop()?;
        for thread in threads(process) {
            let children = std::fs::read_to_string(thread.join("children"));
            let children = children.unwrap_or_default();
            found.extend(children.split_whitespace().flat_map(str::parse::<u32>));
        }
        Some(process)
    })
}

fn threads(process: u32) -> impl Iterator<Item = PathBuf> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// Returns true if a thread of the process is blocked in a read of the file.
fn waits_for(process: u32, file: (u64, u64)) -> bool {
    threads(process).any(|thread| {
        let call = std::fs::read_to_string(thread.join("syscall"));
        let descriptor = call.ok().as_deref().and_then(read_descriptor);
        descriptor.is_some_and(|descriptor| {
            std::fs::metadata(format!("/proc/{process}/fd/{descriptor}"))
                .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == file)
        })
    })
}

/// The descriptor from which a thread is reading, parsed from its `/proc` entry: the number and the
/// arguments of its system call, of which the first is the descriptor; `running` outside of system
/// calls.
fn read_descriptor(call: &str) -> Option<u64> {
    let mut fields = call.split_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    if !READS.contains(&number) {
        return None;
    }
    let descriptor = fields.next()?.strip_prefix("0x")?;
    u64::from_str_radix(descriptor, 16).ok()
}

/// The numbers of `read`, `readv` and `splice`.
#[cfg(target_arch = "x86_64")]
const READS: [i64; 3] = [0, 19, 275];
/// The numbers of `read`, `readv` and `splice` on newer architectures, which share them.
#[cfg(not(target_arch = "x86_64"))]
const READS: [i64; 3] = [63, 65, 76];

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn reads_and_other_system_calls_are_distinguished() {
        let read = READS[0];
        let line = format!("{read} 0x3 0x7ffe 0x2000 0x0 0x0 0x0 0x7ffd 0x7f00\n");
        assert_eq!(read_descriptor(&line), Some(3));
        assert_eq!(read_descriptor("running\n"), None);
        assert_eq!(read_descriptor("202 0x0 0x80\n"), None);
        assert_eq!(read_descriptor("-1 0x0 0x80\n"), None);
        assert_eq!(read_descriptor(""), None);
    }

    /// Writes all lines.
    async fn written(stdin: &mut Stdin) {
        while !stdin.pending.is_empty() {
            stdin.next().await;
        }
    }

    /// Waits until the reader is blocked.
    async fn wanted(stdin: &mut Stdin, root: u32) {
        written(stdin).await;
        let checks = async {
            while !stdin.is_wanted(root) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), checks)
            .await
            .expect("somebody to read");
    }

    #[tokio::test]
    async fn a_grandchild_that_reads_is_noticed_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let (mut stdin, theirs) = Stdin::create(folder.path()).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "cat; echo end"])
            .stdin(theirs)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(stdin.reset());
        wanted(&mut stdin, child.id()).await;
        stdin.write("one");
        wanted(&mut stdin, child.id()).await;
        stdin.write("zwei é");
        wanted(&mut stdin, child.id()).await;
        stdin.close();
        let mut said = String::new();
        let mut out = child.stdout.take().unwrap();
        out.read_to_string(&mut said).unwrap();
        assert_eq!(said, "one\nzwei é\nend\n");
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn unread_input_and_its_end_do_not_reach_the_next_cell() {
        let folder = tempfile::tempdir().unwrap();
        let (mut stdin, theirs) = Stdin::create(folder.path()).unwrap();
        let mut theirs = File::from(theirs);
        assert!(stdin.reset());
        stdin.write("rest");
        written(&mut stdin).await;
        stdin.close();
        assert!(stdin.reset());
        stdin.write("new");
        written(&mut stdin).await;
        let mut line = [0; 64];
        let count = theirs.read(&mut line).unwrap();
        assert_eq!(&line[..count], b"new\n");
        stdin.close();
        assert_eq!(theirs.read(&mut line).unwrap(), 0);
    }
}
