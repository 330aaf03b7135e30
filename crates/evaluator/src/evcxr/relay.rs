//! The child process that evcxr starts as its runtime.
//!
//! evcxr writes `LOAD_AND_RUN <library> <function>` to its stdin and waits for lines on its stdout.
//! The relay forwards the line to the evaluator, its parent process, which has the cell run in the
//! kernel's runtime or assumes an outcome; the relay prints what evcxr expects for that outcome. So
//! evcxr compiles, but runs nothing, and never receives the output of a cell.

use super::generated_crate::{self, GeneratedCrate};
use super::rustc_call;
use super::source::{self, PreparedSource};
use super::unkept::UnkeptVariables;
use crate::interrupt::Interrupt;
use crate::kernel_link::KernelLink;
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::runtime::Outcome;
use rustix::process::Signal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// The environment variable with the path of the evaluator's socket for its relay.
const SOCKET_VAR: &str = "PHALANX_RELAY_SOCKET";

/// The line that evcxr reads at the end of a cell.
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

/// A message of the relay to the evaluator.
#[derive(Serialize, Deserialize)]
enum FromRelay {
    /// It has started as this process, which is not to be ended with the compilers.
    Started { pid: u32 },
    /// A line that evcxr has written to it.
    Line(String),
}

/// The evaluator's reply to a line.
#[derive(Serialize, Deserialize)]
enum ToRelay {
    /// Print these lines.
    Lines(Vec<String>),
    /// Print text that is not UTF-8: evcxr discards the cell, and returns to its previous state.
    Abandon,
    /// Exit, which evcxr interprets as the loss of all variables.
    Exit,
}

/// The main function of the relay process; does not return.
pub(super) fn relay_main() -> ! {
    let code = match forward_lines() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("relay: {error}");
            1
        }
    };
    std::process::exit(code)
}

/// Forwards the lines of evcxr to the evaluator, and prints its replies, until evcxr or the evaluator
/// is gone.
fn forward_lines() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let path = std::env::var_os(SOCKET_VAR).ok_or_else(|| io::Error::other("no evaluator"))?;
    let mut stream = UnixStream::connect(path)?;
    let mut decoder = Decoder::default();
    let pid = std::process::id();
    send(&mut stream, &FromRelay::Started { pid })?;
    let mut stdout = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        send(&mut stream, &FromRelay::Line(line?))?;
        match receive(&mut stream, &mut decoder)? {
            Some(ToRelay::Lines(lines)) => {
                for line in lines {
                    writeln!(stdout, "{line}")?;
                }
                stdout.flush()?;
            }
            Some(ToRelay::Abandon) => {
                stdout.write_all(b"\xff\n")?;
                stdout.flush()?;
            }
            Some(ToRelay::Exit) | None => break,
        }
    }
    Ok(())
}

fn send<T: Serialize>(stream: &mut UnixStream, message: &T) -> io::Result<()> {
    stream.write_all(&frame::encode(message).map_err(io::Error::other)?)
}

/// Waits for a message; `None` at the end of the connection.
fn receive<T: DeserializeOwned>(
    stream: &mut UnixStream,
    decoder: &mut Decoder,
) -> io::Result<Option<T>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(message) = decoder.decode().map_err(io::Error::other)? {
            return Ok(Some(message));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            count => decoder.push(&buffer[..count]),
        }
    }
}

/// The way in which the runs that evcxr requests are carried out.
#[derive(Clone, Debug)]
pub(super) enum RunPolicy {
    /// The kernel runs the cell and reports its outcome.
    Run,
    /// The kernel has already run the cell, with this outcome. Further runs are performed.
    Ended(Outcome),
    /// The cell is not run; this is the assumed outcome of the first run that evcxr requests.
    /// Further runs (after lost variables it compiles again) are assumed to complete.
    Assume(Outcome),
}

/// The evaluator's end of its relay.
pub(super) struct Relay {
    shared: Arc<RelayShared>,
    folder: TempDir,
}

struct RelayShared {
    link: Arc<KernelLink>,
    interrupt: Interrupt,
    /// Locked for single accesses, never while a cell runs.
    state: Mutex<RelayState>,
}

struct RelayState {
    policy: RunPolicy,
    /// The cell that evcxr is about to compile.
    cell: PreparedSource,
    /// The crate that evcxr generated for the last run.
    generated: GeneratedCrate,
    /// The cell of the last run.
    last: Option<CompiledCell>,
    /// The variables that the last cell does not store.
    unkept: UnkeptVariables,
    /// The outcome of the last run.
    outcome: Option<Outcome>,
}

impl Relay {
    /// Opens the socket and serves it on a thread of its own, for the lifetime of the process.
    pub(super) fn start(link: &Arc<KernelLink>, interrupt: &Interrupt) -> io::Result<Self> {
        let folder = TempDir::with_prefix("phalanx-relay-")?;
        let listener = UnixListener::bind(folder.path().join("relay"))?;
        let shared = Arc::new(RelayShared {
            link: Arc::clone(link),
            interrupt: interrupt.clone(),
            state: Mutex::new(RelayState {
                policy: RunPolicy::Assume(Outcome::Completed),
                cell: PreparedSource::unchanged(""),
                generated: GeneratedCrate::default(),
                last: None,
                unkept: UnkeptVariables::default(),
                outcome: None,
            }),
        });
        let serving = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || {
                // evcxr has one child at a time, and starts a new one when the last has exited.
                for stream in listener.incoming().flatten() {
                    if let Err(error) = serving.serve(stream) {
                        eprintln!("evaluator: the relay broke off: {error}");
                    }
                }
            })?;
        Ok(Self { shared, folder })
    }

    /// Returns the command with which evcxr starts its child.
    pub(super) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(SOCKET_VAR, self.folder.path().join("relay"));
        Ok(command)
    }

    /// Prepares for the cell that evcxr is about to compile: sets the policy for its runs, and forgets
    /// the runs before.
    pub(super) fn expect(&self, policy: RunPolicy, cell: &PreparedSource) {
        let mut state = self.shared.state();
        state.policy = policy;
        state.cell = cell.clone();
        state.last = None;
        state.unkept = UnkeptVariables::default();
        state.outcome = None;
        if let Some(folder) = generated_crate::build_folder() {
            rustc_call::begin_cell(&folder, cell);
        }
    }

    /// Returns the cell that evcxr last requested to run; `None` if it has not since
    /// [`expect`](Self::expect).
    pub(super) fn last(&self) -> Option<CompiledCell> {
        self.shared.state().last.clone()
    }

    /// Returns the variables that the [`last`](Self::last) cell has not stored, although evcxr
    /// assumes so.
    pub(super) fn unkept(&self) -> Vec<String> {
        self.shared.state().unkept.names().cloned().collect()
    }

    /// Makes the kernel run a cell without evcxr's knowledge.
    ///
    /// # Errors
    /// Returns an error if the connection to the kernel is closed.
    pub(super) fn run(&self, cell: CompiledCell) -> io::Result<Outcome> {
        self.shared.link.run(cell)
    }

    /// Returns the crate that evcxr generated for the [`last`](Self::last) cell.
    pub(super) fn generated(&self) -> GeneratedCrate {
        self.shared.state().generated.clone()
    }

    /// Returns the outcome of the last run, performed or assumed.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.shared.state().outcome.clone()
    }
}

impl RelayShared {
    fn state(&self) -> std::sync::MutexGuard<'_, RelayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one relay process until it exits.
    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut decoder = Decoder::default();
        while let Some(message) = receive(&mut stream, &mut decoder)? {
            match message {
                FromRelay::Started { pid } => self.interrupt.spare(pid),
                FromRelay::Line(line) => {
                    let reply = self.run_requested(&line)?;
                    let is_last = matches!(reply, ToRelay::Exit);
                    send(&mut stream, &reply)?;
                    if is_last {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Carries out a run that evcxr has requested; returns the reply to it.
    fn run_requested(&self, line: &str) -> io::Result<ToRelay> {
        let Some((library, entry)) = load_and_run(line) else {
            return Err(io::Error::other(format!("unexpected line {line:?}")));
        };
        let library = PathBuf::from(library);
        let generated = GeneratedCrate::read(&library);
        let folder = generated_crate::build_folder().unwrap_or_default();
        let unkept = UnkeptVariables::read(&folder);
        let (policy, cell) = {
            let mut state = self.state();
            let lines = source::line_map(&generated.source, &state.cell.text);
            // Used to find the location of a panic, which otherwise remains unknown.
            let text = source::with_lines_of(&generated.source, &state.cell.written, &lines);
            let _ = std::fs::write(library.with_extension("rs"), text);
            let cell = CompiledCell {
                artifact: library,
                entry: entry.to_owned(),
                has_result: state.cell.has_result(),
                lines,
                dropped: state.cell.dropped.clone(),
                unkept: unkept.variables(),
            };
            state.generated = generated;
            state.unkept = unkept;
            let next = match &state.policy {
                RunPolicy::Assume(_) => RunPolicy::Assume(Outcome::Completed),
                RunPolicy::Run | RunPolicy::Ended(_) => RunPolicy::Run,
            };
            (std::mem::replace(&mut state.policy, next), cell)
        };
        let outcome = match policy {
            RunPolicy::Run => self.link.run(cell.clone())?,
            RunPolicy::Ended(outcome) | RunPolicy::Assume(outcome) => outcome,
        };
        let mut state = self.state();
        state.last = Some(cell);
        let reply = to_relay(&outcome);
        state.outcome = Some(outcome);
        Ok(reply)
    }
}

/// Returns the library and the entry point of evcxr's request to run a cell. The library's path may
/// contain spaces.
fn load_and_run(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("LOAD_AND_RUN ")?.rsplit_once(' ')
}

/// Converts an outcome into the lines that evcxr expects.
fn to_relay(outcome: &Outcome) -> ToRelay {
    let mut lines = match outcome {
        Outcome::Completed => Vec::new(),
        Outcome::Panicked(_) => vec!["EVCXR_PANIC_NOTIFICATION".to_owned()],
        Outcome::Errored { .. } | Outcome::Returned => vec!["EVCXR_ERROR_OCCURRED".to_owned()],
        Outcome::VariablesLost(names) => names
            .iter()
            .map(|name| format!("EVCXR_VARIABLE_CHANGED_TYPE:{name}"))
            .collect(),
        Outcome::Abandoned { .. } => return ToRelay::Abandon,
        Outcome::Died { .. } => return ToRelay::Exit,
    };
    lines.push(COMPLETE.to_owned());
    ToRelay::Lines(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_library_may_contain_spaces() {
        let line = "LOAD_AND_RUN /srv/a b/größe/libx.so run_user_code_1";
        let expected = ("/srv/a b/größe/libx.so", "run_user_code_1");
        assert_eq!(load_and_run(line), Some(expected));
        assert_eq!(load_and_run("LOAD_AND_RUN"), None);
    }
}
