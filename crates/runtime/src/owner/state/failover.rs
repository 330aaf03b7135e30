//! Failover: a snapshot takes over from a process that a cell has crashed; without one, the runtime
//! ends.

use super::OwnerState;
use super::event::OwnerCommand;
use super::notice;
use super::port::ProcessPort;
use super::standby::StandbySnapshot;
use crate::output::CapturedOutput;
use crate::owner::RuntimeEvent;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::runtime::NoSnapshot;
use phalanx_protocol::runtime::Outcome;
use std::io;
use std::time::{Duration, Instant};

/// The time for a snapshot to arrive that was being taken when its process exited.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(5);

/// The time for the processes started by the cell to exit.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// The time for a snapshot to resume; its memory may have been swapped out.
const WAKE_LIMIT: Duration = Duration::from_secs(5);

/// The time for which the pipes of a dead process are read: a child process may keep them open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The phase of a runtime's life.
#[derive(Debug)]
pub(super) enum Phase {
    /// A process runs cells.
    Running,
    /// The process has exited, and a snapshot is to take over.
    FailingOver(Failover),
    /// No process is to be left.
    Ending(Death),
    /// No process is left, and a pipe is read until its end or this time.
    Draining(Death, StreamName, Instant),
    /// All has been reported.
    Ended,
}

/// A failover.
#[derive(Debug)]
pub(super) struct Failover {
    /// The end of the process that has exited.
    status: RuntimeExit,
    step: FailoverStep,
    /// The time at which it has failed.
    deadline: Instant,
}

/// A step of a failover.
#[derive(Debug)]
enum FailoverStep {
    /// It is not known whether there is a snapshot.
    Arrival,
    /// The processes started by the cell are ended.
    Settling(StandbySnapshot),
    /// The snapshot is woken, and sent the libraries.
    Waking(StandbySnapshot),
}

/// The end of a runtime.
#[derive(Debug)]
pub(super) struct Death {
    /// The end of the process that has exited.
    status: RuntimeExit,
    /// The calls that have not started.
    unstarted: Vec<RunId>,
}

impl Phase {
    /// The time of the phase's next step, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::FailingOver(failover) => Some(failover.deadline),
            Self::Draining(_, _, deadline) => Some(*deadline),
            Self::Running | Self::Ending(_) | Self::Ended => None,
        }
    }

    /// Returns true while messages of the process that runs cells, or has run them, are received.
    pub(super) fn receives(&self) -> bool {
        match self {
            Self::Running => true,
            Self::FailingOver(failover) => matches!(failover.step, FailoverStep::Arrival),
            Self::Ending(_) | Self::Draining(..) | Self::Ended => false,
        }
    }

    /// Returns true while messages of the supervisor are received. The exit of a snapshot that has
    /// just been woken is handled once it is the running process.
    pub(super) fn receives_supervisor(&self) -> bool {
        match self {
            Self::Running => true,
            Self::FailingOver(failover) => !matches!(failover.step, FailoverStep::Waking(_)),
            Self::Ending(_) | Self::Draining(..) | Self::Ended => false,
        }
    }
}

impl OwnerState {
    /// Handles the arrival of a snapshot.
    pub(super) fn standby_arrived(&mut self, standby: StandbySnapshot) {
        let released = self.snapshot.arrived(standby);
        self.release(released);
        self.continue_arrival();
    }

    /// Handles that no snapshot could be taken; the user is notified once.
    pub(super) fn unprotected(&mut self, after: Option<RunId>, why: NoSnapshot) {
        if !self.is_notified
            && self.capture.running().is_some()
            && let Some(text) = notice::unprotected(&why)
        {
            self.is_notified = true;
            self.capture.notice(text);
        }
        let released = self.snapshot.missing(after, why);
        self.release(released);
        self.continue_arrival();
    }

    fn release(&mut self, standby: Option<StandbySnapshot>) {
        let command = |StandbySnapshot { pid, .. }| OwnerCommand::Release { pid };
        self.commands.extend(standby.map(command));
    }

    /// Handles the exit of the process that runs cells.
    pub(super) fn exited(&mut self, status: RuntimeExit, port: &mut dyn ProcessPort) {
        self.drain_control(port);
        self.end_unmarked(port);
        if self.stop.is_final() {
            self.die(status);
            return;
        }
        self.phase = Phase::FailingOver(Failover {
            status,
            step: FailoverStep::Arrival,
            deadline: self.now + ARRIVAL_LIMIT,
        });
        self.continue_arrival();
    }

    /// Has the snapshot take over, if one was awaited and it is known now that there is one.
    fn continue_arrival(&mut self) {
        if !self.snapshot.is_undecided() {
            self.end_arrival();
        }
    }

    /// Has the snapshot take over, if one was awaited and there is one.
    pub(super) fn end_arrival(&mut self) {
        let Phase::FailingOver(failover) = &mut self.phase else {
            return;
        };
        if !matches!(failover.step, FailoverStep::Arrival) {
            return;
        }
        let Some(standby) = self.snapshot.take_ready() else {
            self.give_up();
            return;
        };
        self.commands.push_back(OwnerCommand::Settle {
            snapshot: standby.pid,
            spared: standby.children.clone(),
        });
        failover.step = FailoverStep::Settling(standby);
        failover.deadline = self.now + SETTLE_LIMIT;
    }

    /// Handles that the processes started by the cell have exited.
    pub(super) fn settled(&mut self, port: &mut dyn ProcessPort) {
        let standby = match &self.phase {
            Phase::FailingOver(Failover {
                step: FailoverStep::Settling(standby),
                ..
            }) => standby.clone(),
            _ => return,
        };
        // No process of the cell is left that could write more.
        self.read_pipes(port);
        self.attribute_pending();
        port.set_idle();
        let pid = standby.pid;
        self.commands.push_back(OwnerCommand::Wake { pid });
        if let Phase::FailingOver(failover) = &mut self.phase {
            failover.step = FailoverStep::Waking(standby);
            failover.deadline = self.now + WAKE_LIMIT;
        }
    }

    /// Handles that the snapshot runs cells from now on, or does not.
    pub(super) fn woken(&mut self, woken: io::Result<u32>) {
        let is_awaited = matches!(
            &self.phase,
            Phase::FailingOver(Failover {
                step: FailoverStep::Waking(_),
                ..
            })
        );
        match woken {
            _ if !is_awaited => {}
            Ok(pid) => {
                self.pid = pid;
                self.control_open = true;
                self.commands.push_back(OwnerCommand::Adopt {
                    pid,
                    // The snapshot may be older than some of the libraries.
                    libraries: self.libraries.clone(),
                });
            }
            Err(error) => {
                tracing::error!(%error, "a snapshot does not take over");
                self.give_up();
            }
        }
    }

    /// Ends the failover: the state is that before the run that has been abandoned.
    pub(super) fn adopted(&mut self, adopted: io::Result<()>, port: &mut dyn ProcessPort) {
        if let Err(error) = adopted {
            tracing::error!(%error, "a snapshot does not take over");
            self.give_up();
            return;
        }
        let Phase::FailingOver(failover) = std::mem::replace(&mut self.phase, Phase::Running)
        else {
            return;
        };
        let status = failover.status;
        tracing::info!(%status, "a snapshot took over");
        if let FailoverStep::Waking(StandbySnapshot { threads, .. }) = failover.step
            && !threads.is_empty()
        {
            self.capture.notice(notice::without_threads(&threads));
        }
        let unstarted = self.take_unstarted_calls();
        self.capture.abandon(&status);
        self.captured.extend(self.capture.take());
        for captured in &mut self.captured {
            // The end was in the pipes and had not been reported: no snapshot has its effects.
            if let CapturedOutput::Ended { outcome, .. } = captured {
                let status = status.clone();
                *outcome = Outcome::Abandoned { status };
            }
        }
        self.collect(port);
        for run in unstarted {
            self.report(RuntimeEvent::Recalled { run });
        }
    }

    /// Handles that the supervisor, or the connection to it, is gone.
    pub(super) fn supervisor_lost(&mut self) {
        if let Phase::FailingOver(Failover {
            step: FailoverStep::Settling(_),
            ..
        }) = self.phase
        {
            self.give_up();
        }
    }

    /// Handles the deadline of a phase.
    pub(super) fn phase_over(&mut self, port: &mut dyn ProcessPort) {
        match &self.phase {
            Phase::FailingOver(Failover {
                step: FailoverStep::Arrival,
                ..
            }) => self.end_arrival(),
            Phase::FailingOver(_) => {
                tracing::error!("a snapshot does not take over in time");
                self.give_up();
            }
            Phase::Draining(..) => self.drained(port),
            Phase::Running | Phase::Ending(_) | Phase::Ended => {}
        }
    }

    /// Ends the runtime, since no snapshot takes over.
    fn give_up(&mut self) {
        if let Phase::FailingOver(failover) = &mut self.phase {
            let status = failover.status.clone();
            self.die(status);
        }
    }

    /// Ends the runtime, since its supervisor has exited.
    pub(super) fn supervisor_exited(&mut self, status: RuntimeExit) {
        match self.phase {
            Phase::Running => self.die(status),
            _ => self.give_up(),
        }
    }

    /// Ends the runtime: the processes started by cells must not outlive it.
    fn die(&mut self, status: RuntimeExit) {
        let unstarted = self.take_unstarted_calls();
        self.phase = Phase::Ending(Death { status, unstarted });
        self.commands.push_back(OwnerCommand::EndProcesses);
    }

    /// Handles that no process of the runtime is left: what they have written is read.
    pub(super) fn processes_ended(&mut self, port: &mut dyn ProcessPort) {
        if let Phase::Ending(death) = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.drain(death, StreamName::Stdout, port);
        }
    }

    fn drain(&mut self, death: Death, name: StreamName, port: &mut dyn ProcessPort) {
        self.phase = Phase::Draining(death, name, self.now + DRAIN_TIMEOUT);
        if !self.open[name as usize] {
            self.drained(port);
        }
    }

    /// Handles that a pipe of the exited processes has been read to its end, or for long enough;
    /// reports the end of the runtime after the last pipe.
    fn drained(&mut self, port: &mut dyn ProcessPort) {
        let Phase::Draining(death, name, _) = std::mem::replace(&mut self.phase, Phase::Ended)
        else {
            return;
        };
        if name == StreamName::Stdout {
            self.drain(death, StreamName::Stderr, port);
            return;
        }
        let Death { status, unstarted } = death;
        self.capture.died(&status);
        self.collect(port);
        for run in unstarted {
            self.report(RuntimeEvent::Recalled { run });
        }
        self.report(RuntimeEvent::Exited { status });
    }

    /// Handles that a pipe of the exited processes can be read.
    pub(super) fn drain_pipe(&mut self, name: StreamName, port: &mut dyn ProcessPort) {
        match self.read_pipe(name, port) {
            Some(0) => self.drained(port),
            Some(_) => self.attribute_pending(),
            None => {}
        }
    }
}
