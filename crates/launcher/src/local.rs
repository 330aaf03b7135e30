//! Child processes on this machine.

use crate::child::Child;
use crate::job::Job;
use crate::launcher::{LaunchError, Launched, Launcher};
use crate::process::Process;
use futures::FutureExt;
use futures::future::BoxFuture;
use phalanx_protocol::id::EngineId;
use std::ffi::OsString;
use std::process::Stdio;
use tokio::process::Command;

/// A launcher that starts each process as a child of this one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalLauncher;

impl Launcher for LocalLauncher {
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>> {
        let start = |id: &EngineId| {
            let mut words = engine_command(job, *id).into_iter();
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words).stdin(Stdio::null());
            let process = Process::start(&mut command)?;
            Ok(Box::new(Child::own(process, *id)) as Box<dyn Launched>)
        };
        std::future::ready(job.ids.iter().map(start).collect()).boxed()
    }
}

/// Returns the command line of an engine, which ends together with this process.
fn engine_command(job: &Job, id: EngineId) -> Vec<OsString> {
    let mut command = job.program.command();
    command.extend(["--file".into(), (&job.file).into()]);
    command.extend(["--id".into(), id.to_string().into()]);
    command.extend(["--parent-pid".into(), std::process::id().to_string().into()]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::engines;

    #[test]
    fn an_engine_has_one_id_and_ends_with_its_parent() {
        let words = engine_command(&engines([4, 5]), EngineId(5));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let parent = std::process::id().to_string();
        assert_eq!(
            words[1..5],
            ["--file", "/shared/my files/engine.json", "--id", "5"]
        );
        assert_eq!(words[5..], ["--parent-pid", parent.as_str()]);
    }
}
