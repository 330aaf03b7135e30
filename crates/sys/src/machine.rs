//! The machine on which this process runs.

/// Returns the host name, by which processes on other machines identify it.
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}
