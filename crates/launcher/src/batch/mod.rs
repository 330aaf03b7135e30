//! Batch systems: a script from a template that users can edit, submitted by the system's own
//! programs.

mod system;
mod template;

pub use system::BatchSystem;
pub use template::{PLACEHOLDERS, fill};

use crate::job::{Job, Program};
use crate::launcher::{EndedProcesses, LaunchError, Launched, Launcher, PrintedText};
use crate::process;
use futures::FutureExt;
use futures::future::BoxFuture;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::IdRanges;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use system::{CommandLine, JobState};
use template::TemplateValues;
use tokio::process::Command;
use tokio::time::Instant;

/// Interval at which a job is queried; long, since head nodes are shared.
const POLL: Duration = Duration::from_secs(5);

/// Interval at which a cancelled job is queried.
const END_POLL: Duration = Duration::from_millis(500);

/// Time limit for a cancelled job to leave the queue.
const END_LIMIT: Duration = Duration::from_secs(20);

/// The size, in bytes, of the end of a job's output that is read.
const TAIL: u64 = 16 << 10;

/// The number of lines of a job's output that are shown.
const LAST_LINES: usize = 20;

/// A launcher that submits jobs to a batch system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLauncher {
    /// The batch system.
    pub system: BatchSystem,
    /// A template used instead of the system's own.
    pub template: Option<PathBuf>,
    /// The queue or partition.
    pub queue: Option<String>,
    /// The time limit, in the system's format.
    pub time: Option<String>,
    /// Lines of shell executed before the engines, such as `module load`.
    pub setup: Vec<String>,
    /// Further arguments of the command that submits.
    pub args: Vec<String>,
    /// The engine's program on the compute nodes, if it differs from this machine's.
    pub engine: Option<String>,
}

impl Launcher for BatchLauncher {
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>> {
        self.submit(job).boxed()
    }
}

impl BatchLauncher {
    async fn submit(&self, job: &Job) -> Result<Vec<Box<dyn Launched>>, LaunchError> {
        let mut job = job.clone();
        if let Some(engine) = &self.engine {
            job.program = Program {
                path: engine.into(),
                args: Vec::new(),
            };
        }
        let name = format!("engines-{}", IdRanges(job.ids.clone()));
        let output = job.folder.join(format!("{name}.out"));
        let script = job.folder.join(name);
        // The output of earlier engines with the same ids.
        let _ = std::fs::remove_file(&output);
        let text = self.script(&job, &output)?;
        std::fs::write(&script, text).map_err(|error| file_error(&script, error))?;
        let line = self.system.submit(&script, &self.args);
        let input = File::open(&script).map_err(|error| file_error(&script, error))?;
        let answer = process::answer(command(&line).stdin(input), &line[0]).await?;
        let id = self.system.job_id(&answer);
        let id = id.ok_or_else(|| LaunchError::NoJobId {
            program: line[0].clone(),
            printed: answer,
        })?;
        tracing::info!(id, script = %script.display(), "a job is submitted");
        Ok(vec![Box::new(BatchJob {
            system: self.system,
            id,
            ids: job.ids,
            output,
            next_poll: Instant::now() + POLL,
            state: JobState::Unknown,
            reported: false,
        })])
    }

    fn script(&self, job: &Job, output: &Path) -> Result<String, LaunchError> {
        let template = match &self.template {
            Some(path) => std::fs::read_to_string(path).map_err(|error| file_error(path, error))?,
            None => self.system.template().to_owned(),
        };
        let mut values: TemplateValues = self.system.values(job, output);
        let options = [("queue", &self.queue), ("time", &self.time)];
        for (name, value) in options {
            values.extend(value.clone().map(|value| (name, value)));
        }
        if !self.setup.is_empty() {
            values.insert("setup", self.setup.join("\n"));
        }
        Ok(fill(&template, &values))
    }
}

fn file_error(path: &Path, error: io::Error) -> LaunchError {
    LaunchError::File {
        path: path.to_owned(),
        error,
    }
}

/// Returns a command without input; the first word is the program.
fn command(line: &CommandLine) -> Command {
    let mut words = line.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words).stdin(Stdio::null());
    command
}

/// A job in a queue; cancelled on drop.
#[derive(Debug)]
struct BatchJob {
    system: BatchSystem,
    id: String,
    ids: Vec<EngineId>,
    /// The file that contains its output.
    output: PathBuf,
    next_poll: Instant,
    state: JobState,
    /// True once its end has been reported.
    reported: bool,
}

impl BatchJob {
    /// Queries its state.
    async fn ask(&mut self) {
        let line = self.system.query(&self.id);
        let (succeeded, printed) = match process::answer(&mut command(&line), &line[0]).await {
            Ok(printed) => (true, printed),
            Err(LaunchError::Failed { printed, .. }) => (false, printed),
            Err(_) => (false, String::new()),
        };
        self.state = self.system.state(succeeded, &printed);
    }

    async fn wait(&mut self) -> EndedProcesses {
        while !self.reported {
            tokio::time::sleep_until(self.next_poll).await;
            self.ask().await;
            self.next_poll = Instant::now() + POLL;
            self.reported = self.state == JobState::Gone;
        }
        EndedProcesses {
            ids: self.ids.clone(),
            status: self.left_queue(),
            // Reaching the time limit is not a failure, and the queue does not report the cause.
            failed: false,
        }
    }

    fn left_queue(&self) -> String {
        format!("job {} has left the queue", self.id)
    }

    /// Cancels the job and waits until it has left the queue.
    async fn cancel(mut self) {
        let line = self.system.cancel(&self.id);
        if let Err(error) = process::answer(&mut command(&line), &line[0]).await {
            tracing::debug!(%error, "a job that has ended already cannot be cancelled");
        }
        let deadline = Instant::now() + END_LIMIT;
        self.ask().await;
        while self.state != JobState::Gone {
            if Instant::now() > deadline {
                tracing::warn!(
                    id = self.id,
                    "a job that was cancelled is still in its queue"
                );
                return;
            }
            tokio::time::sleep(END_POLL).await;
            self.ask().await;
        }
    }
}

impl Drop for BatchJob {
    fn drop(&mut self) {
        if self.state == JobState::Gone {
            return;
        }
        let line = self.system.cancel(&self.id);
        let cancel = command(&line).as_std_mut().spawn();
        if let Err(error) = cancel {
            tracing::warn!(%error, id = self.id, "a job cannot be cancelled");
        }
    }
}

impl Launched for BatchJob {
    fn ids(&self) -> &[EngineId] {
        &self.ids
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn next_end(&mut self) -> BoxFuture<'_, EndedProcesses> {
        async {
            if self.reported {
                return std::future::pending().await;
            }
            self.wait().await
        }
        .boxed()
    }

    fn end_of(&mut self, _: EngineId) -> Option<String> {
        (self.state == JobState::Gone).then(|| self.left_queue())
    }

    fn printed(&mut self) -> BoxFuture<'_, PrintedText> {
        async {
            self.ask().await;
            let mut text = match &self.state {
                JobState::Known(state) => state.clone(),
                JobState::Gone => "it has left the queue".to_owned(),
                JobState::Unknown => "its state is unknown".to_owned(),
            };
            for line in tail(&self.output) {
                text.push('\n');
                text.push_str(&line);
            }
            PrintedText {
                who: format!("job {}", self.id),
                text,
            }
        }
        .boxed()
    }

    fn ask_to_end(&mut self) {}

    fn end(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.cancel().boxed()
    }

    fn kill(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.cancel().boxed()
    }
}

/// Returns the last lines of a file; none if it cannot be read.
fn tail(path: &Path) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines[first..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::engines;

    #[test]
    fn a_users_template_replaces_the_systems_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.sh");
        std::fs::write(
            &path,
            "#!/bin/sh\n#SBATCH -q {queue}\n{setup}\nsrun -n{n} {command}\n",
        )
        .unwrap();
        let launcher = BatchLauncher {
            system: BatchSystem::Slurm,
            template: Some(path),
            queue: None,
            time: None,
            setup: vec!["module load a".to_owned(), "module load b".to_owned()],
            args: Vec::new(),
            engine: None,
        };
        let script = launcher.script(&engines(0..2), Path::new("/out")).unwrap();
        assert_eq!(
            script,
            "#!/bin/sh\nmodule load a\nmodule load b\nsrun -n2 /opt/phalanx-engine --file '/shared/my files/engine.json' --ids 0-1\n"
        );
        let missing = BatchLauncher {
            template: Some("/no/such.sh".into()),
            ..launcher
        };
        let error = missing
            .script(&engines(0..2), Path::new("/out"))
            .unwrap_err();
        assert!(error.to_string().contains("/no/such.sh"), "{error}");
    }

    #[test]
    fn the_end_of_an_output_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let lines: Vec<String> = (0..10_000).map(|n| format!("line {n}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(tail(&path), lines[lines.len() - LAST_LINES..]);
        assert!(tail(&folder.path().join("none")).is_empty());
    }
}
