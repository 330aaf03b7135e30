//! A cell on many engines: compiled once for all in the same state, submitted, watched, shown.
//!
//! | file | what |
//! |---|---|
//! | `states.rs` | the state each engine is taken to be in |
//! | `submit.rs` | from a plan to tasks under way |
//! | `adopt.rs` | engines whose state another client has made |
//! | `supervise.rs` | refused tasks: compiled for the engine's true state and sent again |
//! | `late.rs` | outputs of threads that outlive their cell |
//! | `show.rs` | outputs, a bar, and the failure at the end |

mod adopt;
mod late;
mod show;
mod states;
mod submit;
mod supervise;

pub use late::LateOutput;
pub use show::{show, stream, wait_with_bar};
pub use states::States;
pub use submit::{EngineSource, Fanout, NAME, Submitted, no_rust_engines};
