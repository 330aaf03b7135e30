//! The records of the tasks of one submission.

mod compact;
mod event;
mod log;
mod record;
mod text;
mod tracked_task;
mod tracker;

pub use event::{TaskEvent, TaskEventKind};
pub(crate) use log::OutputLog;
pub use record::TaskOutcome;
pub(crate) use record::{RecordedOutcome, ResultRecord, TaskCounts, TaskTimes, TaskUpdate};
pub(crate) use text::apply_carriage_returns;
pub(crate) use tracker::ResultTracker;
