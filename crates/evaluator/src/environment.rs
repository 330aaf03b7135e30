//! The environment variables with which the handle configures an evaluator process.

/// The environment variable with the path of the kernel's socket for an evaluator process.
pub(crate) const SOCKET_VAR: &str = "PHALANX_EVALUATOR_SOCKET";

/// The environment variable with evcxr's build folder.
pub(crate) const BUILD_FOLDER_VAR: &str = "EVCXR_TMPDIR";

/// The environment variable with the folder in which our program is installed as the tools that
/// evcxr calls.
#[cfg_attr(
    not(feature = "evcxr"),
    expect(dead_code, reason = "only evcxr has tools")
)]
pub(crate) const TOOLS_VAR: &str = "PHALANX_TOOLS";

/// The environment variable with the cargo that rust-analyzer, within evcxr, calls; inherited by
/// cargo's child processes.
pub(crate) const CARGO_VAR: &str = "CARGO";
