//! Launchers: they start the processes of a cluster on this machine, on others through `ssh`, under MPI or
//! in a batch system.
//!
//! Command lines, scripts and templates are made by pure functions; the I/O around them is small.
//!
//! | module | what |
//! |---|---|
//! | [`launcher`] | [`Launcher`] and [`Launched`]: what every launcher can do |
//! | [`job`] | [`Job`]: the processes that are wanted, and their command lines |
//! | [`kind`] | [`LauncherKind`]: the launchers there are |
//! | [`profile`] | [`Profile`]: a launcher's settings, from `[cluster.NAME]` in a file |
//! | [`request`] | [`StartRequest`]: what was given on one line, and the profile it names |
//! | [`local`] | processes beside this one |
//! | [`ssh`] | other machines, reached by the `ssh` program |
//! | [`mpi`] | `mpiexec` |
//! | [`batch`] | batch systems, through one template |
//! | [`manifest`] | a cluster for Kubernetes, as a text |
//! | [`process`] | a child process and the last lines it printed |
//! | `child` | such a process as a part of a job |
//! | `quote` | words for a shell |

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

pub use job::{Job, Program, Role};
pub use kind::LauncherKind;
pub use launcher::{EndedProcesses, LaunchError, Launched, Launcher, PrintedText};
pub use profile::{Profile, ProfileError};
pub use request::StartRequest;
