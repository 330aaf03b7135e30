//! MPI: `mpiexec` starts the engines on its hosts, so that their code can use MPI.

use crate::child::Child;
use crate::job::{Job, Program};
use crate::launcher::{LaunchError, Launched, Launcher};
use crate::process::Process;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::ffi::OsString;
use std::process::Stdio;
use tokio::process::Command;

/// The program.
const MPIEXEC: &str = "mpiexec";

/// A launcher that starts processes with `mpiexec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpiLauncher {
    /// Arguments of `mpiexec`, such as `--hostfile`.
    pub args: Vec<String>,
    /// The engine's program on the compute nodes, if it differs from this machine's.
    pub engine: Option<String>,
}

impl MpiLauncher {
    /// Returns the arguments of `mpiexec`.
    fn line(&self, job: &Job) -> Vec<OsString> {
        let mut job = job.clone();
        if let Some(engine) = &self.engine {
            job.program = Program {
                path: engine.into(),
                args: Vec::new(),
            };
        }
        let mut line: Vec<OsString> = vec!["-n".into(), job.ids.len().to_string().into()];
        line.extend(self.args.iter().map(OsString::from));
        line.extend(job.command());
        line
    }
}

impl Launcher for MpiLauncher {
    fn launch<'a>(
        &'a self,
        job: &'a Job,
    ) -> BoxFuture<'a, Result<Vec<Box<dyn Launched>>, LaunchError>> {
        let mut command = Command::new(MPIEXEC);
        command.args(self.line(job)).stdin(Stdio::null());
        let launched = Process::start(&mut command)
            .map(|process| Child::behind(process, MPIEXEC, job.ids.clone()))
            .map(|child| vec![Box::new(child) as Box<dyn Launched>]);
        std::future::ready(launched).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tests::engines;

    #[test]
    fn one_command_line_starts_all_engines() {
        let launcher = MpiLauncher {
            args: vec!["--hostfile".to_owned(), "hosts".to_owned()],
            engine: Some("engine".to_owned()),
        };
        let line = launcher.line(&engines(0..4));
        let words = [
            "-n",
            "4",
            "--hostfile",
            "hosts",
            "engine",
            "--file",
            "/shared/my files/engine.json",
            "--ids",
            "0-3",
        ];
        assert_eq!(line, words.map(OsString::from));
    }
}
