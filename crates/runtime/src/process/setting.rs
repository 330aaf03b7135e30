//! The folder and the environment of the process, as the owner wants them.

use phalanx_protocol::runtime::Setting;

/// Takes over a setting; a failure is reported on stderr.
pub(super) fn take_over(setting: Setting) {
    match setting {
        Setting::Folder(folder) => {
            if let Err(error) = std::env::set_current_dir(&folder) {
                eprintln!("{} cannot be the working folder: {error}", folder.display());
            }
        }
        Setting::Variable { name, value } => {
            // SAFETY: no cell is running, and this process has no other thread of ours. A thread
            // that a cell has left behind goes through the same libc, whose `setenv` locks against
            // other calls of it; one that reads the environment at this very moment through
            // `getenv` is in the same danger in any program that sets variables.
            #[allow(unsafe_code, reason = "the system's environment is not guarded")]
            unsafe {
                std::env::set_var(name, value);
            }
        }
    }
}
