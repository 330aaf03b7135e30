//! The kinds of launchers.

use crate::batch::BatchSystem;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The kind of a launcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LauncherKind {
    /// Child processes on this machine.
    #[default]
    Local,
    /// Other machines, by the `ssh` program.
    Ssh,
    /// MPI, by `mpiexec`.
    Mpi,
    /// A batch system.
    Batch(BatchSystem),
}

/// The error of an unknown launcher name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no launcher `{name}`; those there are: {all}", all = LauncherKind::names())]
pub struct UnknownLauncher {
    name: String,
}

impl LauncherKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Local,
        Self::Ssh,
        Self::Mpi,
        Self::Batch(BatchSystem::Slurm),
        Self::Batch(BatchSystem::Pbs),
        Self::Batch(BatchSystem::Sge),
        Self::Batch(BatchSystem::Lsf),
        Self::Batch(BatchSystem::Htcondor),
    ];

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ssh => "ssh",
            Self::Mpi => "mpi",
            Self::Batch(BatchSystem::Slurm) => "slurm",
            Self::Batch(BatchSystem::Pbs) => "pbs",
            Self::Batch(BatchSystem::Sge) => "sge",
            Self::Batch(BatchSystem::Lsf) => "lsf",
            Self::Batch(BatchSystem::Htcondor) => "htcondor",
        }
    }

    /// Returns true if its engines reach a controller on this machine's loopback interface; `ssh`
    /// forwards connections.
    pub fn reaches_loopback(self) -> bool {
        matches!(self, Self::Local | Self::Ssh)
    }

    /// Lists all names, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl FromStr for LauncherKind {
    type Err = UnknownLauncher;

    fn from_str(name: &str) -> Result<Self, UnknownLauncher> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownLauncher {
                name: name.to_owned(),
            })
    }
}

impl TryFrom<String> for LauncherKind {
    type Error = UnknownLauncher;

    fn try_from(name: String) -> Result<Self, UnknownLauncher> {
        name.parse()
    }
}

impl fmt::Display for LauncherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_found_by_name() {
        for kind in LauncherKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "slrum".parse::<LauncherKind>().unwrap_err().to_string();
        assert!(
            error.contains("`slrum`") && error.contains("local, ssh"),
            "{error}"
        );
    }
}
