//! The traits implemented by launchers.

use crate::job::Job;
use futures::future::BoxFuture;
use phalanx_protocol::id::EngineId;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

/// A launcher, which starts engines on this or other machines.
pub trait Launcher: Debug + Send + Sync {
    /// Starts the engines of a job. Returns once they are started; they register with their
    /// controller later.
    ///
    /// Each returned part can be ended separately; processes that are started as a whole are one
    /// part.
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>>;
}

/// A part of a launched job, with one or more processes.
pub trait Launched: Debug + Send {
    /// Returns the ids of the engines, including those that have ended.
    fn ids(&self) -> &[EngineId];

    /// Returns the process id of the engine if it runs on this machine; `None` if it runs behind a
    /// launcher's program.
    fn pid(&self) -> Option<u32>;

    /// Waits for the next end of processes; pending forever once all ends are reported. Cancel
    /// safe.
    fn next_end(&mut self) -> BoxFuture<'_, EndedProcesses>;

    /// Describes the end of an engine; `None` while it runs, as far as is known.
    fn end_of(&mut self, id: EngineId) -> Option<String>;

    /// Returns the last lines of output of the processes and of the launcher's program.
    fn printed(&mut self) -> BoxFuture<'_, PrintedText>;

    /// Requests the end of all processes, without waiting.
    fn ask_to_end(&mut self);

    /// Requests the end of all processes, and kills them after a time limit. Leaves no files.
    fn end(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// Kills all processes.
    fn kill(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Processes that have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedProcesses {
    /// The ids of the engines.
    pub ids: Vec<EngineId>,
    /// The exit status, such as `exit status: 3`.
    pub status: String,
    /// True for a failure; engines ended by a client have not failed.
    pub failed: bool,
}

/// The output of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrintedText {
    /// The name of the process: `engine 3`, `ssh node1`.
    pub who: String,
    /// The last lines; empty if there is no output.
    pub text: String,
}

/// The error of starting a job.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A program cannot be started.
    #[error("`{program}` could not be started: {error}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        error: io::Error,
    },
    /// A launcher's program has failed.
    #[error("`{program}` failed ({status}){}", after(printed))]
    Failed {
        /// The program and its destination.
        program: String,
        /// The exit status.
        status: String,
        /// The output.
        printed: String,
    },
    /// The output of a launcher's program does not contain a job id.
    #[error("`{program}` printed no job id{}", after(printed))]
    NoJobId {
        /// The program.
        program: String,
        /// The output.
        printed: String,
    },
    /// The engine's program cannot be copied to a machine of another architecture.
    #[error(
        "{host} is a {there} machine and cannot run this machine's ({here}) `{}`",
        program.display()
    )]
    OtherMachine {
        /// The other machine.
        host: String,
        /// The other machine's system and architecture.
        there: String,
        /// This machine's system and architecture.
        here: String,
        /// The program.
        program: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The operation is not supported by the launcher.
    #[error("{0}")]
    Unsupported(String),
}

/// Formats text on lines of its own; empty if there is none.
fn after(printed: &str) -> String {
    match printed.trim_end() {
        "" => String::new(),
        printed => format!(":\n{printed}"),
    }
}

impl LaunchError {
    /// Returns the remedy, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Some("install it, or name it with its path".to_owned())
            }
            Self::OtherMachine { host, .. } => Some(format!(
                "install phalanx-engine on {host}, on its PATH or at the path given as `engine` in the profile"
            )),
            _ => None,
        }
    }
}
