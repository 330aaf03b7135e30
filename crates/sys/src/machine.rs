//! The machine this process runs on.

/// Its name, as processes of ours on other machines know it.
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}
