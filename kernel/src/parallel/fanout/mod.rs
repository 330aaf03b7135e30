//! Cells on many engines: compiled once for all in the same state, submitted, supervised, shown.
//!
//! | file | contents |
//! |---|---|
//! | `states.rs` | the expected state of each engine, and the cells that lead to it |
//! | `submit.rs` | submission of a planned cell |
//! | `notices.rs` | the notices about a compiled cell |
//! | `adopt.rs` | adoption of engines' states created by other clients |
//! | `supervision.rs` | refused tasks: compiled for the engine's true state and resent; pure |
//! | `supervise.rs` | the actor around the supervision |
//! | `late.rs` | output of threads that outlive their cell |
//! | `show.rs` | display of outputs, progress bar and failures |
//! | `silent.rs` | engines that do not answer, and are left out |
//! | `error.rs` | engines that cannot run a cell |

mod adopt;
mod error;
mod late;
mod notices;
mod show;
mod silent;
mod states;
mod submit;
mod supervise;
mod supervision;

pub use error::FanoutError;
pub use late::LateOutput;
pub use show::{show, stream, wait_with_bar};
pub use silent::{SilentWarning, silent};
pub use states::States;
pub use submit::{EngineSource, Fanout, PX_NAME, Submitted};
