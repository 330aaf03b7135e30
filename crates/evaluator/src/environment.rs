//! The environment variables by which the handle configures an evaluator process.

/// The environment variable that holds the path of the kernel's socket for an evaluator process.
pub(crate) const SOCKET_VAR: &str = "PHALANX_EVALUATOR_SOCKET";

/// The environment variable that holds the folder evcxr builds in.
pub(crate) const BUILD_FOLDER_VAR: &str = "EVCXR_TMPDIR";

/// The environment variable that holds the folder in which our program poses as the tools evcxr looks for.
#[cfg_attr(
    not(feature = "evcxr"),
    expect(dead_code, reason = "only evcxr has tools")
)]
pub(crate) const TOOLS_VAR: &str = "PHALANX_TOOLS";

/// The cargo that rust-analyzer, within evcxr, calls; cargo passes it on to what it starts.
pub(crate) const CARGO_VAR: &str = "CARGO";
