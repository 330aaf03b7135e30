//! Outputs of several engines in the form a notebook shows, with ipyparallel's labels and grouping.
//!
//! Pure: snapshots and events in, outputs out. The formats were recorded from ipyparallel 9.2
//! (`client/asyncresult.py`).

mod error;
mod grouped;
mod label;
mod row;
mod streamed;

pub use error::{RenderedError, composite_text, remote_text, summary_text};
pub use grouped::grouped;
pub use label::Labels;
pub use streamed::{BATCH_INTERVAL, Streamer};
