//! Launchers: they start the engines of a cluster on this machine, on others by `ssh`, under MPI
//! or in a batch system.
//!
//! Command lines, scripts and templates are created by pure functions, surrounded by little I/O.
//!
//! | module | contents |
//! |---|---|
//! | [`launcher`] | [`Launcher`] and [`Launched`]: the traits implemented by launchers |
//! | [`job`] | [`Job`]: the engines to start, and their command line |
//! | [`kind`] | [`LauncherKind`]: the kinds of launchers |
//! | [`profile`] | [`Profile`]: a launcher's settings, from `[cluster.NAME]` in a file |
//! | [`request`] | [`StartRequest`]: the options given on one line, and the profile they name |
//! | [`local`] | child processes on this machine |
//! | [`ssh`] | other machines, by the `ssh` program |
//! | [`mpi`] | `mpiexec` |
//! | [`batch`] | batch systems, by one template each |
//! | [`manifest`] | a Kubernetes manifest of a cluster |
//! | [`process`] | a child process and its last lines of output |
//! | `child` | a child process as a part of a job |
//! | `quote` | quoting for a shell |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod batch;
mod child;
pub mod job;
pub mod kind;
pub mod launcher;
pub mod local;
pub mod manifest;
pub mod mpi;
pub mod process;
pub mod profile;
mod quote;
pub mod request;
pub mod ssh;

pub use job::{Job, Program};
pub use kind::LauncherKind;
pub use launcher::{EndedProcesses, LaunchError, Launched, Launcher, PrintedText};
pub use profile::{Profile, ProfileError};
pub use request::StartRequest;
