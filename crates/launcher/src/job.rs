//! Jobs: the engines to start.

use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::IdRanges;
use phalanx_transport::EngineConnectionFile;
use std::ffi::OsString;
use std::path::PathBuf;

/// The engines to start, one process each, all of one program.
#[derive(Clone, Debug)]
pub struct Job {
    /// The cluster's id, part of the job's name in batch systems.
    pub cluster_id: String,
    /// The program.
    pub program: Program,
    /// The ids to request from the controller.
    pub ids: Vec<EngineId>,
    /// Their connection file.
    pub file: PathBuf,
    /// The contents of that file.
    pub connection: Box<EngineConnectionFile>,
    /// A folder for the job's files; batch systems require one that is shared by all machines.
    pub folder: PathBuf,
}

/// A program and its first arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The path.
    pub path: PathBuf,
    /// Arguments that precede all others, such as a subcommand.
    pub args: Vec<String>,
}

impl Job {
    /// Returns the command line common to all processes: an engine determines its id from its rank.
    pub fn command(&self) -> Vec<OsString> {
        let mut command = self.program.command();
        command.extend(["--file".into(), (&self.file).into(), "--ids".into()]);
        command.push(IdRanges(self.ids.clone()).to_string().into());
        command
    }
}

impl Program {
    /// Returns the first words of a command line: the program and its first arguments.
    pub fn command(&self) -> Vec<OsString> {
        let args = self.args.iter().map(OsString::from);
        [self.path.clone().into_os_string()]
            .into_iter()
            .chain(args)
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a job of engines with these ids.
    pub(crate) fn engines(ids: impl IntoIterator<Item = u32>) -> Job {
        let connection = r#"{"interface": "tcp://127.0.0.1", "registration": 1, "control": 2, "mux": 3,
            "task": 4, "iopub": 5, "hb_ping": 6, "hb_pong": 7, "broadcast": [8], "key": "secret"}"#;
        Job {
            cluster_id: "c1".to_owned(),
            program: Program {
                path: "/opt/phalanx-engine".into(),
                args: Vec::new(),
            },
            ids: ids.into_iter().map(EngineId).collect(),
            file: "/shared/my files/engine.json".into(),
            connection: Box::new(EngineConnectionFile::from_json(connection).unwrap()),
            folder: "/shared/my files".into(),
        }
    }

    #[test]
    fn a_command_line_serves_all_engines() {
        let command = engines([0, 1, 2, 7]).command();
        let expected = [
            "/opt/phalanx-engine",
            "--file",
            "/shared/my files/engine.json",
            "--ids",
            "0-2,7",
        ];
        assert_eq!(command, expected.map(OsString::from));
    }
}
