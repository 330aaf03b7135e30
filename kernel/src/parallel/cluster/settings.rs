//! The settings of a cluster, from a user's request.

use super::registry::Registry;
use super::{ClusterError, cores};
use crate::context::Programs;
use phalanx_controller::ControllerConfig;
use phalanx_launcher::{Launcher, LauncherKind, Program, StartRequest};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment variable with the path of an alternative file of profiles.
pub const PROFILES_ENVIRONMENT: &str = "PHALANX_CLUSTERS";

/// All interfaces: engines on other machines reach the controller by the host name.
const ANYWHERE: &str = "tcp://0.0.0.0";

/// The settings of a cluster.
#[derive(Debug)]
pub struct ClusterSettings {
    /// The cluster's id.
    pub cluster_id: String,
    /// The number of engines.
    pub engines: usize,
    /// The kind of launcher.
    pub kind: LauncherKind,
    pub(super) launcher: Box<dyn Launcher>,
    /// The engines' program.
    pub(super) program: Program,
    /// Time limit for engines to register.
    pub(super) start_limit: Duration,
    /// The controller's folder, if it was created for this cluster.
    _folder: Option<ClusterFolder>,
    /// The configuration of the controller.
    pub controller: ControllerConfig,
}

/// A folder created for one cluster; removed on drop.
#[derive(Debug)]
struct ClusterFolder(PathBuf);

impl ClusterFolder {
    /// Creates a folder in the profile's folder, or in the user's data folder.
    fn new(parent: Option<&Path>, cluster_id: &str) -> Result<Self, ClusterError> {
        let registry = match parent {
            Some(parent) => Registry::in_folder(parent),
            None => Registry::of_user().ok_or(ClusterError::NoDataFolder)?,
        };
        let made = registry.create_folder(cluster_id);
        made.map(Self).map_err(ClusterError::Folder)
    }
}

impl Drop for ClusterFolder {
    fn drop(&mut self) {
        // It may have been removed before.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl ClusterSettings {
    /// Returns the settings for a request; the cluster gets a new id if none is given.
    ///
    /// # Errors
    /// Returns an error if the profile cannot be read or a setting required by the launcher is
    /// missing.
    pub fn new(
        request: StartRequest,
        cluster_id: Option<String>,
        programs: &Programs,
    ) -> Result<Self, ClusterError> {
        let profiles = profiles_path().unwrap_or_default();
        let profile = request.merged(&profiles).map_err(ClusterError::Profile)?;
        let launcher = profile.launcher().map_err(ClusterError::Launcher)?;
        let (path, args) = programs.engine();
        let interface = match &profile.ip {
            Some(ip) => phalanx_controller::cli::interface(ip),
            None if profile.launcher.reaches_loopback() || profile.tunnel.is_some() => {
                ControllerConfig::default().interface
            }
            None => ANYWHERE.to_owned(),
        };
        let cluster_id = cluster_id.unwrap_or_else(fresh_id);
        // Temporary folders are local to a machine, whereas users' folders are usually shared.
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
    /// Returns true if the controller listens on all interfaces.
    pub(super) fn is_open(&self) -> bool {
        self.controller.interface == ANYWHERE
    }
}

/// Returns the file of profiles: `phalanx/clusters.toml` in the user's configuration folder.
pub fn profiles_path() -> Option<PathBuf> {
    let named = std::env::var_os(PROFILES_ENVIRONMENT).map(PathBuf::from);
    named.or_else(|| Some(dirs::config_dir()?.join("phalanx/clusters.toml")))
}

/// Returns a new cluster id.
pub fn fresh_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id[..8].to_owned()
}
