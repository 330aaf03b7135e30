//! The two traits of a launcher.

use crate::job::Job;
use futures::future::BoxFuture;
use phalanx_protocol::id::EngineId;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

/// Starts processes somewhere.
pub trait Launcher: Debug + Send + Sync {
    /// Starts the processes of a job. Returns once they are on their way; engines report to their controller.
    ///
    /// The parts can be ended one by one; what is started as a whole is one part.
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>>;
}

/// A part of a job that was started, with one or more processes.
pub trait Launched: Debug + Send {
    /// The engines in it, also those that have ended; none for a controller.
    fn ids(&self) -> &[EngineId];

    /// The process on this machine that is the engine; `None` where it runs behind a launcher's program.
    fn pid(&self) -> Option<u32>;

    /// Waits for the next end of processes. Cancel safe; pending for ever once all have been reported.
    fn next_end(&mut self) -> BoxFuture<'_, EndedProcesses>;

    /// The end of an engine in words; `None` while it runs, as far as is known.
    fn end_of(&mut self, id: EngineId) -> Option<String>;

    /// The lines it printed last: its own, and those of the program that launched it.
    fn printed(&mut self) -> BoxFuture<'_, PrintedText>;

    /// Asks all of it to end, without waiting.
    fn ask_to_end(&mut self);

    /// Waits a while for all of it to end as it was asked to, then ends it. Nothing is left behind.
    fn end(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// Ends all of it at once.
    fn kill(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Processes that have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedProcesses {
    /// The engines that ran in them; none if it was a controller.
    pub ids: Vec<EngineId>,
    /// The system's words: `exit status: 3`.
    pub status: String,
    /// True if something went wrong; engines that a client has ended have not failed.
    pub failed: bool,
}

/// Text that something printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrintedText {
    /// Its name: `engine 3`, `ssh node1`.
    pub who: String,
    /// The last lines; empty if there were none.
    pub text: String,
}

/// A job that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A program does not start.
    #[error("`{program}` could not be started: {error}")]
    Start {
        /// The program.
        program: String,
        /// The system's error.
        error: io::Error,
    },
    /// A launcher's program failed.
    #[error("`{program}` failed ({status}){}", after(printed))]
    Failed {
        /// The program, with the place it was to reach.
        program: String,
        /// Its exit status.
        status: String,
        /// All it printed.
        printed: String,
    },
    /// A launcher's program succeeded and said something else than it should.
    #[error("`{program}` printed no job id{}", after(printed))]
    NoJobId {
        /// The program.
        program: String,
        /// All it printed.
        printed: String,
    },
    /// Another machine cannot run the program that would be copied there.
    #[error(
        "{host} is a {there} machine and cannot run this machine's ({here}) `{}`",
        program.display()
    )]
    OtherMachine {
        /// The machine.
        host: String,
        /// Its system and architecture.
        there: String,
        /// Those of this machine.
        here: String,
        /// The program.
        program: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The launcher does not do that.
    #[error("{0}")]
    Unsupported(String),
}

/// Text on lines of its own, if there is any.
fn after(printed: &str) -> String {
    match printed.trim_end() {
        "" => String::new(),
        printed => format!(":\n{printed}"),
    }
}

impl LaunchError {
    /// The remedy, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Some("install it, or name it with its path".to_owned())
            }
            Self::OtherMachine { host, .. } => Some(format!(
                "install phalanx-engine on {host}, on its PATH or where `engine` of the profile says"
            )),
            _ => None,
        }
    }
}
