//! The decisions of a runtime's owner, without a clock and without waiting: event in, commands out.
//!
//! Their only I/O is through a [`ProcessPort`], since some depend on what the process has sent and
//! written by now: reads that return at once, and the words shared with the process.

mod calls;
mod event;
mod failover;
mod host_calls;
mod notice;
mod port;
mod standby;
mod stdin;
mod stop;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use event::{OwnerCommand, OwnerEvent};
pub(crate) use port::ProcessPort;
pub(crate) use standby::StandbySnapshot;

use super::exit_status;
use super::{RuntimeCommand, RuntimeEvent};
use crate::output::{Capture, CapturedOutput};
use calls::{Calls, ReturnedCall};
use failover::Phase;
use phalanx_protocol::host::CellRequest;
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::runtime::{Outcome, RuntimeReply, RuntimeRequest, SupervisorReply};
use standby::ActiveSnapshot;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;
use stdin::StdinState;
use stop::{Due, Interrupted, RunStop};
use text::PendingText;

/// The state of a runtime's owner.
pub(crate) struct OwnerState {
    /// The process that runs cells.
    pid: u32,
    phase: Phase,
    capture: Capture,
    calls: Calls,
    text: PendingText,
    snapshot: ActiveSnapshot,
    stop: RunStop,
    stdin: StdinState,
    /// Libraries that every process must load.
    libraries: Vec<PathBuf>,
    /// True once the user has been notified of cells that run without a snapshot.
    is_notified: bool,
    control_open: bool,
    /// The pipes that have not ended.
    open: [bool; 2],
    /// Captured events to be passed on.
    captured: VecDeque<CapturedOutput>,
    /// The time of the current event.
    now: Instant,
    commands: VecDeque<OwnerCommand>,
}

impl OwnerState {
    /// Creates the owner of a process that is ready.
    pub(crate) fn new(pid: u32, now: Instant) -> Self {
        Self {
            pid,
            phase: Phase::Running,
            capture: Capture::default(),
            calls: Calls::default(),
            text: PendingText::default(),
            snapshot: ActiveSnapshot::default(),
            stop: RunStop::default(),
            stdin: StdinState::default(),
            libraries: Vec::new(),
            is_notified: false,
            control_open: true,
            open: [true; 2],
            captured: VecDeque::new(),
            now,
            commands: VecDeque::new(),
        }
    }

    /// Takes the next command to perform.
    pub(crate) fn next_command(&mut self) -> Option<OwnerCommand> {
        self.commands.pop_front()
    }

    /// Returns true while commands of the handle and calls of the library are handled; a failover
    /// delays them.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Returns true while the runtime has processes, as far as known.
    pub(crate) fn has_processes(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::FailingOver(_))
    }

    /// Returns true if no process is left that would have to wait for a slow reader of its output.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(..))
    }

    /// Returns true once the end has been reported; no more commands follow.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Returns true while messages of the process that runs cells are received.
    pub(crate) fn receives(&self) -> bool {
        self.control_open && self.phase.receives()
    }

    /// Returns true while messages of the supervisor are received.
    pub(crate) fn receives_supervisor(&self) -> bool {
        self.phase.receives_supervisor()
    }

    /// Returns true if the next message is a value, as the last one has announced.
    pub(crate) fn expects_value(&self) -> bool {
        self.calls.announced().is_some()
    }

    /// Returns true while a pipe is read as soon as it has content.
    pub(crate) fn reads(&self, name: StreamName) -> bool {
        let reads = match &self.phase {
            Phase::Running => true,
            Phase::Draining(_, drained, _) => *drained == name,
            Phase::FailingOver(_) | Phase::Ending(_) | Phase::Ended => false,
        };
        reads && self.open[name as usize]
    }

    /// The time at which [`OwnerEvent::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.is_running() {
            return self.phase.deadline();
        }
        let deadlines = [
            self.capture.deadline(),
            self.stop.deadline(),
            self.stdin.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Handles an event; the resulting commands are taken by [`next_command`](Self::next_command).
    pub(crate) fn handle(&mut self, event: OwnerEvent, now: Instant, port: &mut dyn ProcessPort) {
        self.now = now;
        match event {
            OwnerEvent::Command(command) => self.command(command, port),
            OwnerEvent::PipeReadable(name) => self.pipe_readable(name, port),
            OwnerEvent::Reply(reply) => {
                self.reply(reply, port);
                self.drain_after_message(port);
            }
            OwnerEvent::Value(value) => {
                self.returned(value, port);
                self.drain_after_message(port);
            }
            OwnerEvent::ControlLost { is_malformed } => {
                self.control_open = false;
                // If it was closed, the process is exiting; its exit is handled as an event.
                if is_malformed {
                    self.kill();
                }
            }
            OwnerEvent::Supervisor(SupervisorReply::Ended { pid, status }) => {
                // Other children run no cells; the supervisor's own exit is an event of its own.
                if self.is_running() && pid == self.pid {
                    self.exited(exit_status::of_raw(status), port);
                }
            }
            OwnerEvent::Supervisor(SupervisorReply::Settled) => self.settled(port),
            OwnerEvent::SupervisorLost => self.supervisor_lost(),
            OwnerEvent::SupervisorExited { status } => self.supervisor_exited(status),
            OwnerEvent::StandbyArrived(standby) => self.standby_arrived(standby),
            OwnerEvent::StandbysLost => self.end_arrival(),
            OwnerEvent::Woken(woken) => self.woken(woken),
            OwnerEvent::Adopted(adopted) => self.adopted(adopted, port),
            OwnerEvent::HostCall(call) => self.host_call(call, port),
            OwnerEvent::CallRefused { run, message } => self.call_refused(run, &message, port),
            OwnerEvent::StdinReady => self.stdin.ready(now),
            OwnerEvent::StdinChecked { is_wanted, took } => {
                if self.stdin.checked(took, now) && is_wanted {
                    // A prompt may be in transit.
                    self.flush_output(port);
                    self.ask(CellRequest::ReadLine, port);
                }
            }
            OwnerEvent::StdinAnswered(answer) => self.stdin_answered(answer),
            OwnerEvent::Tick => self.tick(port),
            OwnerEvent::ProcessesEnded => self.processes_ended(port),
        }
        if self.is_running() {
            self.collect(port);
        }
    }

    fn command(&mut self, command: RuntimeCommand, port: &mut dyn ProcessPort) {
        match command {
            RuntimeCommand::Call(run, call) => self.call(run, call, port),
            RuntimeCommand::Recall => self.recall(port),
            RuntimeCommand::Set(setting) => self.send(RuntimeRequest::Set(setting)),
            RuntimeCommand::Load(library) => {
                self.libraries.push(library.clone());
                self.send(RuntimeRequest::Load { library });
            }
            RuntimeCommand::Run(run, cell) => {
                self.capture.start(run, cell.has_result, cell.lines);
                self.stdin.end();
                self.commands.push_back(OwnerCommand::ResetStdin);
                self.begin(port);
                self.send(RuntimeRequest::Run {
                    run,
                    artifact: cell.artifact,
                    entry: cell.entry,
                });
            }
            RuntimeCommand::RunCallbacks(run) => {
                self.capture.start(run, false, Vec::new());
                self.begin(port);
                self.send(RuntimeRequest::RunCallbacks { run });
            }
            RuntimeCommand::Interrupt => self.interrupt(port),
            RuntimeCommand::Snapshots(on) => self.send(RuntimeRequest::Snapshots { on }),
            RuntimeCommand::Kill => self.kill(),
        }
    }

    fn pipe_readable(&mut self, name: StreamName, port: &mut dyn ProcessPort) {
        if self.is_draining() {
            self.drain_pipe(name, port);
            return;
        }
        match self.read_pipe(name, port) {
            None => {}
            Some(0) => {
                self.open[name as usize] = false;
                self.capture.closed(name);
            }
            // The notice that a cell runs without a snapshot precedes its output, and these bytes
            // may be those of a call after the first.
            Some(_) if !self.is_notified || self.calls.running().is_some() => {
                self.drain_control(port);
            }
            Some(_) => self.attribute_pending(),
        }
    }

    fn reply(&mut self, reply: RuntimeReply, port: &mut dyn ProcessPort) {
        match reply {
            RuntimeReply::Ended { run } => {
                if self.capture.running() == Some(run) {
                    self.stop.replied(run, self.now);
                }
            }
            // A process that has called a function reports the end after all output of the
            // function; markers for each of many short calls would take longer than most of the
            // calls.
            RuntimeReply::Called {
                run,
                changed,
                written,
            } => self.calls.announce(ReturnedCall {
                run,
                changed,
                written,
            }),
            RuntimeReply::Recalled { run } => self.recalled(run, port),
            RuntimeReply::LoadFailed { run, message } => {
                tracing::error!(message, "a library could not be loaded");
                if let Some(run) = run {
                    self.capture.fail(run, &message);
                }
            }
            RuntimeReply::Unprotected { after, why } => self.unprotected(after, why),
            RuntimeReply::Ready { .. } | RuntimeReply::Loaded | RuntimeReply::Asleep { .. } => {}
        }
    }

    /// Passes on the captured events.
    fn collect(&mut self, port: &mut dyn ProcessPort) {
        self.captured.extend(self.capture.take());
        // A request for a line has further output read and passed on before it.
        while let Some(captured) = self.captured.pop_front() {
            match captured {
                CapturedOutput::Output { run, output } => {
                    self.report(RuntimeEvent::Output { run, output });
                }
                CapturedOutput::InputRequest { prompt, password } => {
                    self.ask(CellRequest::Input { prompt, password }, port);
                }
                CapturedOutput::Ended { run, outcome } => {
                    if self.stdin.end() {
                        self.commands.push_back(OwnerCommand::EndStdin);
                    }
                    self.stop.reset();
                    self.ended(run, outcome, port);
                }
            }
        }
    }

    fn ended(&mut self, run: RunId, outcome: Outcome, port: &mut dyn ProcessPort) {
        // Cells change the namespace.
        let changed = self.calls.end_run(run).unwrap_or(true);
        if changed && !matches!(outcome, Outcome::Abandoned { .. }) {
            self.snapshot.record_run(run);
        }
        self.report(RuntimeEvent::Ended { run, outcome });
        self.start_next(port);
    }

    /// Starts a run without a stop request.
    fn begin(&mut self, port: &mut dyn ProcessPort) {
        self.stop.reset();
        port.clear_stop();
    }

    /// Ends a run that has ended according to the runtime's reply, although its process has exited
    /// since.
    fn end_unmarked(&mut self, port: &mut dyn ProcessPort) {
        if let Some(run) = self.stop.take_unmarked() {
            self.read_pipes(port);
            self.attribute_pending();
            self.capture.end(run);
            self.collect(port);
        }
    }

    /// Stops the running cell, or requests it to stop.
    fn interrupt(&mut self, port: &mut dyn ProcessPort) {
        if self.capture.running().is_none() {
            return;
        }
        let circumstances = Interrupted {
            polls: port.request_stop(),
            is_protected: self.snapshot.is_ready(),
        };
        if self.stop.interrupt(circumstances, self.now) {
            self.stop_process(port);
        }
    }

    /// Kills the process if it is running code. A completed run must not be stopped, since its
    /// effects are not in the snapshot yet.
    fn stop_process(&mut self, port: &mut dyn ProcessPort) {
        if port.condemn() {
            self.kill_process();
        } else if self.capture.running().is_some() {
            // It has not started, or its end is in transit.
            self.stop.not_running(self.now);
        }
    }

    /// Kills the process that runs cells, without a successor.
    fn kill(&mut self) {
        self.stop.shut_down();
        self.kill_process();
    }

    fn kill_process(&mut self) {
        let pid = self.pid;
        self.commands.push_back(OwnerCommand::Kill { pid });
    }

    fn tick(&mut self, port: &mut dyn ProcessPort) {
        if !self.is_running() {
            self.phase_over(port);
            return;
        }
        self.capture.tick(self.now);
        let Due { end, kill } = self.stop.due(self.now);
        if let Some(run) = end {
            self.capture.end(run);
        }
        if kill {
            self.stop_process(port);
        }
        if self.stdin.is_check_due(self.now) {
            let pid = self.pid;
            self.commands.push_back(OwnerCommand::CheckStdin { pid });
        }
    }

    fn send(&mut self, request: RuntimeRequest) {
        self.commands.push_back(OwnerCommand::Send(request));
    }

    fn report(&mut self, event: RuntimeEvent) {
        self.commands.push_back(OwnerCommand::Report(event));
    }
}
