//! The runtime process of an engine: none, one that is starting, or one that runs.

use crate::machine::{EngineEvent, RefusedHostCall};
use crate::vitals::WatchedProcess;
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::host::{CellRequest, HostReply, KernelRequest};
use phalanx_protocol::id::RunId;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_runtime::{FunctionCall, HostCall, Runtime, RuntimeConfig, RuntimeEvent, StartError};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

type RuntimeStart = JoinHandle<Result<(Runtime, mpsc::Receiver<RuntimeEvent>), StartError>>;

/// The place of the engine's runtime. It passes requests on to one that runs, and ignores them
/// otherwise.
pub(crate) struct RuntimeSlot {
    config: RuntimeConfig,
    watched: WatchedProcess,
    state: RuntimeSlotState,
}

enum RuntimeSlotState {
    Starting(RuntimeStart),
    Up(Runtime, mpsc::Receiver<RuntimeEvent>),
    Empty,
}

impl RuntimeSlot {
    /// Starts the first runtime.
    pub fn new(config: RuntimeConfig, watched: WatchedProcess) -> Self {
        let mut slot = Self {
            config,
            watched,
            state: RuntimeSlotState::Empty,
        };
        slot.start();
        slot
    }

    /// Starts another runtime, unless a start is pending.
    pub fn start(&mut self) {
        if !matches!(self.state, RuntimeSlotState::Starting(_)) {
            // Ends when the process has started or failed; awaited by `next`, aborted on drop.
            self.state =
                RuntimeSlotState::Starting(tokio::spawn(Runtime::start(self.config.clone())));
        }
    }

    pub fn load(&self, library: PathBuf) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.load(library);
        }
    }

    pub fn run(&self, run: RunId, cell: CompiledCell) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.run(run, cell);
        }
    }

    pub fn interrupt(&self) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.interrupt();
        }
    }

    pub fn call(&self, run: RunId, call: FunctionCall) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.call(run, call);
        }
    }

    pub fn recall(&self) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.recall();
        }
    }

    pub fn kill(&self) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state {
            runtime.kill();
        }
    }

    pub fn signal(&self, number: i32) {
        if let RuntimeSlotState::Up(runtime, _) = &self.state
            && let Some(pid) = i32::try_from(runtime.pid()).ok().and_then(Pid::from_raw)
            && let Some(signal) = Signal::from_named_raw(number)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(%error, number, "the runtime takes no signal");
        }
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> EngineEvent {
        loop {
            match &mut self.state {
                RuntimeSlotState::Empty => std::future::pending().await,
                RuntimeSlotState::Starting(start) => {
                    let started = start.await;
                    self.state = RuntimeSlotState::Empty;
                    match started {
                        Ok(Ok((runtime, events))) => {
                            self.watched.set(runtime.process_id());
                            self.state = RuntimeSlotState::Up(runtime, events);
                            return EngineEvent::RuntimeStarted;
                        }
                        Ok(Err(error)) => {
                            return EngineEvent::RuntimeFailed {
                                message: error.to_string(),
                            };
                        }
                        Err(error) => {
                            return EngineEvent::RuntimeFailed {
                                message: error.to_string(),
                            };
                        }
                    }
                }
                RuntimeSlotState::Up(_, events) => match events.recv().await {
                    Some(RuntimeEvent::HostCall(call)) => {
                        if let Some(event) = refuse(call) {
                            return event;
                        }
                    }
                    Some(RuntimeEvent::Output { run, output }) => {
                        return EngineEvent::RuntimeOutput { run, output };
                    }
                    Some(RuntimeEvent::Value { run, value }) => {
                        return EngineEvent::RuntimeValue { run, value };
                    }
                    Some(RuntimeEvent::Recalled { run }) => {
                        return EngineEvent::RuntimeRecalled { run };
                    }
                    Some(RuntimeEvent::Ended { run, outcome }) => {
                        return EngineEvent::RuntimeEnded { run, outcome };
                    }
                    Some(RuntimeEvent::Exited { status }) => {
                        self.state = RuntimeSlotState::Empty;
                        return EngineEvent::RuntimeExited { status };
                    }
                    None => {
                        self.state = RuntimeSlotState::Empty;
                        return EngineEvent::RuntimeExited {
                            status: RuntimeExit::Unknown,
                        };
                    }
                },
            }
        }
    }
}

impl Drop for RuntimeSlot {
    fn drop(&mut self) {
        if let RuntimeSlotState::Starting(start) = &self.state {
            start.abort();
        }
    }
}

/// Refuses a host call: magics and AsyncResults belong to the kernel, which an engine cannot reach,
/// and there is no user to ask. A cell that reads stdin does not receive the error, so a message is
/// printed for the user.
fn refuse(call: HostCall) -> Option<EngineEvent> {
    let refused = RefusedHostCall::of(&call.request);
    let reads_stdin = matches!(call.request, KernelRequest::Cell(CellRequest::ReadLine));
    let event = reads_stdin.then(|| EngineEvent::RuntimeOutput {
        run: call.run,
        output: Output::Stream {
            name: StreamName::Stderr,
            text: refused.on_stdin(),
        },
    });
    call.reply.send(HostReply::Failed(refused.into()));
    event
}
