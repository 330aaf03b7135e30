//! Profiles: a launcher's settings, from a file or from a command line.

use crate::batch::BatchLauncher;
use crate::kind::LauncherKind;
use crate::launcher::{LaunchError, Launcher};
use crate::local::LocalLauncher;
use crate::mpi::MpiLauncher;
use crate::ssh::{Host, SshLauncher};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Default time limit for engines to register; generous, for busy machines.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Default time limit if a job may have to wait in a queue.
const QUEUE_LIMIT: Duration = Duration::from_secs(600);

/// The settings of a cluster: `[cluster.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// The launcher of the engines.
    pub launcher: LauncherKind,
    /// The number of engines.
    pub n: Option<usize>,
    /// The address the controller listens on.
    pub ip: Option<String>,
    /// The host name by which engines on other machines reach the controller.
    pub location: Option<String>,
    /// The engine's program on the machines of the engines.
    pub engine: Option<String>,
    /// Time limit for engines to register, in seconds.
    pub timeout: Option<u64>,
    /// Further arguments for the launcher's program.
    pub args: Vec<String>,
    /// The machines for `ssh`.
    pub hosts: Vec<Host>,
    /// The folder for connection files and scripts; a batch system's machines must share it.
    pub folder: Option<PathBuf>,
    /// A batch system's queue or partition.
    pub queue: Option<String>,
    /// A batch system's time limit, in the system's format.
    pub time: Option<String>,
    /// Lines of shell executed before the engines of a batch job.
    pub setup: Vec<String>,
    /// The template of a batch system's script; relative to the folder of this file.
    pub template: Option<PathBuf>,
    /// The SSH server through which engines reach the controller, instead of an open port.
    pub tunnel: Option<String>,
}

/// The error of reading a profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The file is malformed.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The error and its position.
        message: String,
    },
    /// The profile does not exist.
    #[error("there is no `[cluster.{name}]` in {}{}{}", path.display(), those(known), number(name))]
    Missing {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
        /// The existing profiles.
        known: Vec<String>,
    },
}

/// A remark on a name that is meant as a number of engines.
fn number(name: &str) -> String {
    match name.parse::<usize>() {
        Ok(engines) => format!("; `-n {engines}` starts {engines} engines"),
        Err(_) => String::new(),
    }
}

fn those(known: &[String]) -> String {
    match known {
        [] => ": no profiles are defined there".to_owned(),
        known => format!("; those there are: {}", known.join(", ")),
    }
}

/// The contents of a file of profiles.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    #[serde(default)]
    cluster: BTreeMap<String, Profile>,
}

impl Profile {
    /// Reads a profile from a file; a missing file has no profiles.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is malformed, or lacks the profile.
    pub fn read(path: &Path, name: &str) -> Result<Self, ProfileError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(ProfileError::Read {
                    path: path.to_owned(),
                    error,
                });
            }
        };
        Self::parse(&text, path, name)
    }

    fn parse(text: &str, path: &Path, name: &str) -> Result<Self, ProfileError> {
        let profiles: Profiles = toml::from_str(text).map_err(|error| ProfileError::Malformed {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let mut profiles = profiles.cluster;
        let mut profile = profiles.remove(name).ok_or_else(|| ProfileError::Missing {
            name: name.to_owned(),
            path: path.to_owned(),
            known: profiles.into_keys().collect(),
        })?;
        if let (Some(template), Some(folder)) = (&mut profile.template, path.parent()) {
            *template = folder.join(&*template);
        }
        Ok(profile)
    }

    /// Returns the launcher with these settings.
    ///
    /// # Errors
    /// Returns an error if a required setting is missing.
    pub fn launcher(&self) -> Result<Box<dyn Launcher>, LaunchError> {
        Ok(match self.launcher {
            LauncherKind::Local => Box::new(LocalLauncher),
            LauncherKind::Ssh if self.hosts.is_empty() => {
                let message = "ssh needs hosts: `--hosts node1,node2:4`, or `hosts` in the profile";
                return Err(LaunchError::Unsupported(message.to_owned()));
            }
            LauncherKind::Ssh => Box::new(SshLauncher {
                hosts: self.hosts.clone(),
                args: self.args.clone(),
                engine: self.engine.clone(),
            }),
            LauncherKind::Mpi => Box::new(MpiLauncher {
                args: self.args.clone(),
                engine: self.engine.clone(),
            }),
            LauncherKind::Batch(system) => Box::new(BatchLauncher {
                system,
                template: self.template.clone(),
                queue: self.queue.clone(),
                time: self.time.clone(),
                setup: self.setup.clone(),
                args: self.args.clone(),
                engine: self.engine.clone(),
            }),
        })
    }

    /// Returns the number of engines; `None` for one per core of this machine.
    pub fn engines(&self) -> Option<usize> {
        let by_hosts = || self.hosts.iter().map(|host| host.engines).sum();
        self.n.or_else(|| (!self.hosts.is_empty()).then(by_hosts))
    }

    /// Returns the time limit for engines to register.
    pub fn start_limit(&self) -> Duration {
        let usual = match self.launcher {
            LauncherKind::Batch(_) => QUEUE_LIMIT,
            _ => START_LIMIT,
        };
        self.timeout.map_or(usual, Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, name: &str) -> Result<Profile, String> {
        Profile::parse(text, Path::new("clusters.toml"), name).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_is_read_by_its_name() {
        let text = "[cluster.lab]\nlauncher = \"ssh\"\nhosts = [\"node1:4\", \"me@node2\"]\nargs = [\"-p\", \"2222\"]\n";
        let profile = parse(text, "lab").unwrap();
        assert_eq!(profile.launcher, LauncherKind::Ssh);
        assert_eq!(profile.engines(), Some(5));
        assert_eq!(profile.args, ["-p", "2222"]);
        assert_eq!(Profile::default().engines(), None);
    }

    #[test]
    fn a_template_stands_beside_the_file() {
        let text =
            "[cluster.hpc]\nlauncher = \"slurm\"\ntemplate = \"hpc.sh\"\nqueue = \"short\"\n";
        let profile = Profile::parse(text, Path::new("/etc/clusters.toml"), "hpc").unwrap();
        assert_eq!(profile.template, Some("/etc/hpc.sh".into()));
        assert_eq!(profile.start_limit(), QUEUE_LIMIT);
        assert!(!profile.launcher.reaches_loopback());
    }

    #[test]
    fn faults_name_the_file_and_what_there_is() {
        for (text, message) in [
            (
                "",
                "no `[cluster.lab]` in clusters.toml: no profiles are defined",
            ),
            ("[cluster.hpc]\n", "those there are: hpc"),
            (
                "[cluster.lab]\nlauncher = \"slrum\"\n",
                "no launcher `slrum`",
            ),
            ("[cluster.lab]\nengines = 4\n", "unknown field `engines`"),
            ("[cluster.lab]\nhosts = [\"-x\"]\n", "`-x` is not a host"),
        ] {
            let error = parse(text, "lab").unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn ssh_without_hosts_is_an_error() {
        let profile = Profile {
            launcher: LauncherKind::Ssh,
            ..Profile::default()
        };
        assert!(
            profile
                .launcher()
                .unwrap_err()
                .to_string()
                .contains("--hosts")
        );
    }
}
