//! The supervisor of the runtime: detects how its processes exit, and ends all that cells have
//! started.
//!
//! Descendants that have lost their parent are reparented to it. It never runs code of cells, so it
//! can always detect that the owner has exited.

use super::control::Control;
use super::{ProcessError, runner};
use phalanx_protocol::runtime::{SupervisorReply, SupervisorRequest};
use phalanx_sys::children;
use phalanx_sys::fork::{Forked, fork};
use phalanx_sys::signals::{ReceivedSignal, Signals};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};
use std::io;
use std::path::Path;

/// Starts the runtime below this process and supervises it until the owner has exited.
pub(super) fn run(path: &Path) -> Result<(), ProcessError> {
    set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
    let signals = Signals::hold()?;
    // The owner identifies this connection by being the first.
    let mut owner = Control::connect(path)?;
    match fork()? {
        Forked::Child => {
            drop(owner);
            signals.release();
            return runner::run(path);
        }
        Forked::Parent(_) => {}
    }
    let watched = watch(&mut owner, &signals);
    children::end(|_| true, |_, _| {});
    if let Some(folder) = path.parent() {
        // Usually removed by the owner, unless that was killed.
        let _ = std::fs::remove_dir_all(folder);
    }
    watched
}

/// Serves the owner until its connection is closed, or a signal requests the end of this process.
fn watch(owner: &mut Control, signals: &Signals) -> Result<(), ProcessError> {
    loop {
        let mut waited = [
            PollFd::new(owner, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let spoken = !waited[0].revents().is_empty();
        if signals.take()?.contains(&ReceivedSignal::End) {
            return Ok(());
        }
        while let Some((pid, status)) = children::reap() {
            report_end(owner, pid, status)?;
        }
        if spoken {
            if !owner.read()? {
                return Ok(());
            }
            while let Some(request) = owner.take()? {
                serve(owner, request)?;
            }
        }
    }
}

fn serve(owner: &mut Control, request: SupervisorRequest) -> Result<(), ProcessError> {
    match request {
        SupervisorRequest::Kill { pid } => {
            let wanted = Pid::from_raw(pid as i32);
            // Only this function waits for exited children, so their ids cannot have been reused.
            if let Some(pid) = children::list()
                .into_iter()
                .find(|pid| Some(*pid) == wanted)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
            Ok(())
        }
        SupervisorRequest::Settle {
            snapshot,
            mut spared,
        } => {
            spared.push(snapshot);
            // Excludes processes that were started before the snapshot and orphaned since.
            let since = Pid::from_raw(snapshot as i32).and_then(children::start_time);
            let of_the_cell = |pid: Pid| {
                let is_spared = spared.contains(&pid.as_raw_pid().unsigned_abs());
                !is_spared && children::start_time(pid) >= since
            };
            let mut ended = Vec::new();
            children::end(of_the_cell, |pid, status| ended.push((pid, status)));
            for (pid, status) in ended {
                report_end(owner, pid, status)?;
            }
            owner.send(&SupervisorReply::Settled)
        }
    }
}

fn report_end(owner: &mut Control, pid: Pid, status: i32) -> Result<(), ProcessError> {
    let pid = pid.as_raw_pid().unsigned_abs();
    owner.send(&SupervisorReply::Ended { pid, status })
}
