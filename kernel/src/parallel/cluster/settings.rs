//! From what a user asked for to the settings of a cluster.

use super::cores;
use super::registry::Registry;
use crate::context::Programs;
use phalanx_controller::ControllerConfig;
use phalanx_launcher::{LaunchError, Launcher, LauncherKind, Profile, Program, StartRequest};
use phalanx_protocol::failure::Failure;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable that names another file of profiles.
pub const PROFILES_ENVIRONMENT: &str = "PHALANX_CLUSTERS";

/// All addresses: engines of other machines reach it by the machine's name.
const ANYWHERE: &str = "tcp://0.0.0.0";

/// The settings of a cluster.
#[derive(Debug)]
pub struct ClusterSettings {
    /// Its name.
    pub cluster_id: String,
    /// The number of engines.
    pub engines: usize,
    /// The kind of their launcher.
    pub kind: LauncherKind,
    pub(super) launcher: Box<dyn Launcher>,
    /// The engines' program.
    pub(super) program: Program,
    /// The time engines may take to register.
    pub(super) start_limit: Duration,
    /// The controller's folder, where it is made for this cluster.
    _folder: Option<ClusterFolder>,
    /// The controller.
    pub controller: ControllerConfig,
}

/// A folder for one cluster, which goes with it.
#[derive(Debug)]
struct ClusterFolder(PathBuf);

impl ClusterFolder {
    /// Makes one in the profile's folder, else in the user's for data.
    fn new(parent: Option<&Path>, cluster_id: &str) -> Result<Self, Failure> {
        let failed = |why: String| Failure::Environment {
            message: format!("no folder for the cluster's files: {why}"),
            hint: Some("name one that all machines see, as `folder` of a profile".to_owned()),
        };
        let registry = match parent {
            Some(parent) => Registry::in_folder(parent),
            None => Registry::of_user()
                .ok_or_else(|| failed("neither $XDG_DATA_HOME nor $HOME is set".to_owned()))?,
        };
        let made = registry.folder(cluster_id);
        made.map(Self).map_err(|error| failed(error.to_string()))
    }
}

impl Drop for ClusterFolder {
    fn drop(&mut self) {
        // What is gone already needs no removing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl ClusterSettings {
    /// The settings of a cluster that was asked for, under a name of its own if it is given none.
    ///
    /// # Errors
    /// When the profile cannot be read, or something that the launcher needs is missing.
    pub fn new(
        request: StartRequest,
        cluster_id: Option<String>,
        programs: &Programs,
    ) -> Result<Self, Failure> {
        let profile = merged(request)?;
        let launcher = profile.launcher().map_err(|error| usage(&error))?;
        let (path, args) = programs.engine();
        let interface = match &profile.ip {
            Some(ip) => phalanx_controller::cli::interface(ip),
            None if profile.launcher.reaches_loopback() || profile.tunnel.is_some() => {
                ControllerConfig::default().interface
            }
            None => ANYWHERE.to_owned(),
        };
        let cluster_id = cluster_id.unwrap_or_else(fresh_id);
        // Temporary files are a machine's own; the user's folders are not, as a rule.
        let is_shared = profile.folder.is_some() || !profile.launcher.reaches_loopback();
        let folder = is_shared.then(|| ClusterFolder::new(profile.folder.as_deref(), &cluster_id));
        let folder = folder.transpose()?;
        Ok(Self {
            cluster_id,
            engines: profile.engines().unwrap_or_else(cores),
            kind: profile.launcher,
            launcher,
            program: Program {
                path,
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            },
            start_limit: profile.start_limit(),

            controller: ControllerConfig {
                interface,
                folder: folder.as_ref().map(|folder| folder.0.clone()),
                location: profile.location,
                engine_ssh: profile.tunnel.unwrap_or_default(),
                ..ControllerConfig::default()
            },
            _folder: folder,
        })
    }
}

impl ClusterSettings {
    /// Returns true if the controller listens on all addresses.
    pub(super) fn is_open(&self) -> bool {
        self.controller.interface == ANYWHERE
    }
}

fn merged(request: StartRequest) -> Result<Profile, Failure> {
    let path = profiles_path().unwrap_or_default();
    request.merged(&path).map_err(|error| Failure::Usage {
        message: error.to_string(),
        hint: Some("docs/clusters.md shows what a profile may contain".to_owned()),
    })
}

fn usage(error: &LaunchError) -> Failure {
    Failure::Usage {
        message: error.to_string(),
        hint: error.hint(),
    }
}

/// The file of profiles: `phalanx/clusters.toml` in the user's folder for configuration.
pub fn profiles_path() -> Option<PathBuf> {
    let named = std::env::var_os(PROFILES_ENVIRONMENT).map(PathBuf::from);
    named.or_else(|| Some(dirs::config_dir()?.join("phalanx/clusters.toml")))
}

/// A name for a cluster that was given none.
pub fn fresh_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..8].to_owned()
}
