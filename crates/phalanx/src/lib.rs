//! The library for notebooks: `use phalanx::prelude::*;`.
//!
//! Values are handles on objects that the kernel (or, in a `%%px` cell, the engine) holds. Times
//! are [`Duration`](std::time::Duration)s, timestamps `chrono::DateTime<Utc>`. The examples are
//! cells: after `%cluster start -n 2`, each runs as it is.
//!
//! | item | purpose |
//! |---|---|
//! | [`display()`], [`html`], [`svg`], [`markdown`], … | rich values, any number per cell, updated in place through [`DisplayHandle`] |
//! | [`input()`], [`password`] | a line from the user |
//! | [`table()`] | tables; arrays and data frames are shown as tables automatically |
//! | [`parameter()`] | the notebook's parameters, as papermill passes them |
//! | [`progress()`] | progress bars for loops |
//! | [`widgets`] | sliders, buttons, progress bars, …, changed by users and by code |
//! | [`Client`], [`Cluster`] | the session's engines, and the hub's records |
//! | [`DirectView`], [`LoadBalancedView`] | functions on engines: `apply`, `map`, `push`, `pull`, `scatter`, `gather` |
//! | [`Function`], [`task!`], [`Reference`] | functions for engines, and their arguments |
//! | [`Shared`] | large plain data that the engines of one machine map |
//! | [`AsyncResult`] | the results of submitted code: values, metadata, timing, outputs |
//! | [`namespace`], [`publish_data`], [`depend`] | for functions that run on an engine |
//! | [`interrupted`] | a check for an interrupt by the user |
//! | [`engine_id`] | the id of the engine a `%%px` cell runs on |

mod async_result;
mod backtrace;
mod client;
mod codec;
mod display;
mod engine;
mod error;
mod function;
mod host;
mod input;
mod interrupt;
mod last_error;
mod loaded_cells;
mod opaque;
mod parameter;
mod profile;
mod progress;
mod requests;
mod shared;
mod table;
mod timing;
mod type_names;
mod value_text;
mod variables;
mod view;

#[doc(hidden)]
pub mod __cell;
#[doc(hidden)]
pub mod __log;
#[doc(hidden)]
pub mod __magic;
#[doc(hidden)]
pub mod __store;

pub mod namespace;
pub mod widgets;

/// The names that most notebooks use.
pub mod prelude;

/// chrono, for the timestamps of tasks: `phalanx::chrono::DateTime<phalanx::chrono::Utc>`.
pub use chrono;
/// serde, for types sent to engines: `#[derive(Serialize, Deserialize)]` works without a `:dep`.
pub use serde;

pub use async_result::{
    AsyncHubResult, AsyncMapResult, AsyncResult, AsyncResultHandle, Chunks, DoneAndPending, Items,
    Many, One, Outputs, ResultFuture, ReturnWhen, Shape, StreamedOutput, TaskMetadata,
    TaskOutcomes,
};
pub use client::{Client, Cluster, ClusterBuilder};
pub use codec::{SerializableArg, Transferable};
pub use display::{
    DisplayHandle, MimeBundle, clear_output, display, display_as, html, jpeg, json, latex,
    markdown, plotly, png, svg, update_display, vega_lite,
};
pub use engine::{depend, publish_data, require};
pub use error::Error;
pub use function::{
    Argument, Arguments, ByRef, Function, IntoFunction, Lend, Reference, WithCaptures,
};
pub use input::{input, password};
pub use interrupt::interrupted;
pub use parameter::parameter;
pub use phalanx_protocol::apply::{Dependency, EngineQueue, QueueStatus, ResultStatus};
pub use phalanx_protocol::host::{ExecuteReply, GroupBy, TaskStatus};
pub use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
pub use progress::{Progress, progress};
pub use shared::{Plain, Shared};
pub use table::{Table, table};
pub use view::{
    DirectView, Imap, IntoDependency, IntoSpread, IntoTargets, LoadBalancedView, Map, MapItem,
    ParallelFunction, RemoteFunction, Scatter, Spread, StepBy, SteppedRange,
};

/// Returns the id of the engine this code is running on, or `None` in the notebook's own process.
///
/// ```no_run
/// use phalanx::prelude::*;
/// assert_eq!(phalanx::engine_id(), None); // here
/// assert_eq!(Client::connect()?.view(0).apply_sync(|| phalanx::engine_id())?, Some(0));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub fn engine_id() -> Option<u32> {
    std::env::var(phalanx_protocol::host::ENGINE_ID_VAR)
        .ok()?
        .parse()
        .ok()
}
