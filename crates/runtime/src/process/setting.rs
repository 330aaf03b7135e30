//! The working directory and the environment of the process, as set by the owner.

use phalanx_protocol::runtime::Setting;

/// Applies a setting; a failure is reported on stderr.
pub(super) fn apply(setting: Setting) {
    match setting {
        Setting::Folder(folder) => {
            if let Err(error) = std::env::set_current_dir(&folder) {
                eprintln!("{} cannot be the working folder: {error}", folder.display());
            }
        }
        Setting::Variable { name, value } => {
            // SAFETY: no cell is running, and this process has no other thread of ours. A thread
            // that a cell has left behind uses the same libc, whose `setenv` is synchronised with
            // its other calls; a thread that reads the environment at the same time through
            // `getenv` is at risk as in any program that sets variables.
            #[allow(unsafe_code, reason = "the system's environment is not guarded")]
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
}
