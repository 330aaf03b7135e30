//! The machine on which this process runs.

use std::sync::OnceLock;

/// Returns the name of this machine.
pub fn host_name() -> String {
    // Part of every message to an engine, so that a system call each time would be noticeable.
    static NAME: OnceLock<String> = OnceLock::new();
    let name = NAME.get_or_init(|| {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    });
    name.clone()
}
