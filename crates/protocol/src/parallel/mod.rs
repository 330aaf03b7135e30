//! Client, controller and engine: ipyparallel 9's messages, and our metadata on them.

mod cell;
mod content;

pub use cell::{CellMetadata, EngineHandshake, PHALANX, Refusal, RefusalReason};
pub use content::Content;
