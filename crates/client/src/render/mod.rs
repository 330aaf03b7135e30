//! Outputs of several engines as what a notebook shows: ipyparallel's labels and grouping.
//!
//! Pure: snapshots and events in, outputs out. Formats as recorded from ipyparallel 9.2
//! (`client/asyncresult.py`), with the differences of design section 8.

mod error;
mod grouped;
mod label;
mod row;
mod streamed;

pub use error::{ErrorText, composite_text, remote_text, summary_text};
pub use grouped::grouped;
pub use label::Labels;
pub use streamed::{BATCH_INTERVAL, Streamer};
