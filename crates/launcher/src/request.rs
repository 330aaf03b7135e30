//! A request to start a cluster, given on one line.

use crate::kind::LauncherKind;
use crate::profile::{Profile, ProfileError};
use crate::ssh::Host;
use std::path::Path;

/// The options of a new cluster. Those not given are taken from the profile, if one is named, or
/// have defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartRequest {
    /// The name of a profile.
    pub profile: Option<String>,
    /// The number of engines.
    pub engines: Option<usize>,
    /// The launcher of the engines.
    pub launcher: Option<LauncherKind>,
    /// The machines for `ssh`; empty if not given.
    pub hosts: Vec<Host>,
    /// Further arguments for the launcher's program.
    pub args: Vec<String>,
    /// The address the controller listens on.
    pub ip: Option<String>,
    /// A batch system's queue or partition.
    pub queue: Option<String>,
}

impl StartRequest {
    /// Returns the profile, with the given options replacing its settings.
    ///
    /// # Errors
    /// Returns an error if the profile cannot be read.
    pub fn merged(self, profiles: &Path) -> Result<Profile, ProfileError> {
        let mut profile = match &self.profile {
            Some(name) => Profile::read(profiles, name)?,
            None => Profile::default(),
        };
        // Hosts without a launcher imply `ssh`.
        let by_hosts = (!self.hosts.is_empty()).then_some(LauncherKind::Ssh);
        if let Some(launcher) = self.launcher.or(by_hosts) {
            profile.launcher = launcher;
        }
        if !self.hosts.is_empty() {
            profile.hosts = self.hosts;
        }
        if self.engines.is_some() {
            profile.n = self.engines;
        }
        profile.ip = self.ip.or(profile.ip);
        profile.queue = self.queue.or(profile.queue);
        profile.args.extend(self.args);
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_stands_in_the_profiles_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clusters.toml");
        std::fs::write(
            &path,
            "[cluster.lab]\nhosts = [\"a:4\"]\nlauncher = \"ssh\"\nargs = [\"-v\"]\n",
        )
        .unwrap();
        let request = StartRequest {
            profile: Some("lab".to_owned()),
            engines: Some(2),
            args: vec!["-p22".to_owned()],
            ..StartRequest::default()
        };
        let profile = request.merged(&path).unwrap();
        assert_eq!(
            (profile.launcher, profile.engines()),
            (LauncherKind::Ssh, Some(2))
        );
        assert_eq!(profile.args, ["-v", "-p22"]);
        let request = StartRequest {
            hosts: vec!["b".parse().unwrap()],
            ..StartRequest::default()
        };
        let profile = request.merged(Path::new("/none")).unwrap();
        assert_eq!(
            (profile.launcher, profile.hosts[0].name.as_str()),
            (LauncherKind::Ssh, "b")
        );
    }
}
