//! Jobs: the processes to start.

use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::IdRanges;
use phalanx_transport::EngineConnectionFile;
use std::ffi::OsString;
use std::path::PathBuf;

/// The processes to start, all of one program.
#[derive(Clone, Debug)]
pub struct Job {
    /// The cluster's id, part of the job's name in batch systems.
    pub cluster_id: String,
    /// The program.
    pub program: Program,
    /// The role in the cluster.
    pub role: Role,
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

/// A role in a cluster.
#[derive(Clone, Debug)]
pub enum Role {
    /// Engines, one process each.
    Engines {
        /// The ids to request from the controller.
        ids: Vec<EngineId>,
        /// Their connection file.
        file: PathBuf,
        /// The contents of that file.
        connection: Box<EngineConnectionFile>,
    },
    /// The controller.
    Controller {
        /// The arguments.
        args: Vec<OsString>,
    },
}

impl Job {
    /// Returns the ids of the engines; none for a controller.
    pub fn ids(&self) -> &[EngineId] {
        match &self.role {
            Role::Engines { ids, .. } => ids,
            Role::Controller { .. } => &[],
        }
    }

    /// Returns the number of processes.
    pub fn count(&self) -> usize {
        self.ids().len().max(1)
    }

    /// Returns the displayed name: `engines` or `controller`.
    pub fn name(&self) -> &'static str {
        match self.role {
            Role::Engines { .. } => "engines",
            Role::Controller { .. } => "controller",
        }
    }

    /// Returns the command line common to all processes: an engine determines its id from its rank.
    pub fn command(&self) -> Vec<OsString> {
        let mut command = self.program.command();
        match &self.role {
            Role::Engines { ids, file, .. } => {
                command.extend(["--file".into(), file.into(), "--ids".into()]);
                command.push(IdRanges(ids.clone()).to_string().into());
            }
            Role::Controller { args } => command.extend(args.iter().cloned()),
        }
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
            role: Role::Engines {
                ids: ids.into_iter().map(EngineId).collect(),
                file: "/shared/my files/engine.json".into(),
                connection: Box::new(EngineConnectionFile::from_json(connection).unwrap()),
            },
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
