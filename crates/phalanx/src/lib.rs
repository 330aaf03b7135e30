//! The library notebooks use: `use phalanx::prelude::*;`.
//!
//! Everything here is a handle on something the kernel (or, in a `%%px` cell, the engine) holds:
//! nothing lives in statics, of which every compiled cell has its own copy.
//!
//! | what | for |
//! |---|---|
//! | [`display`], [`html`], [`svg`], [`markdown`], … | rich values, any number per cell, updated in place through [`DisplayHandle`] |
//! | [`input()`], [`password`] | a line of the user's |
//! | [`table`] | tables; arrays and data frames are shown so by themselves |
//! | [`progress`] | a bar for loops |
//! | [`widgets`] | sliders, buttons, bars, …: read and changed from both sides |
//! | [`Client`], [`Cluster`] | the session's engines, and what the hub knows |
//! | [`DirectView`], [`LoadBalancedView`] | functions on engines: `apply`, `map`, `push`, `pull`, `scatter`, `gather` |
//! | [`Function`], [`task!`], [`Reference`] | what engines call, and with what |
//! | [`Shared`] | large plain data that engines of one machine look at where it is |
//! | [`AsyncResult`] | what is submitted comes back as: results, metadata, timing, outputs |
//! | [`namespace`], [`publish_data`], [`depend`] | what a function does on its engine |
//! | [`interrupted`] | whether the user wants the cell to stop |
//! | [`engine_id`] | which engine a `%%px` cell is running on |

mod async_result;
mod client;
mod display;
mod engine;
mod error;
mod function;
mod host;
mod input;
mod interrupt;
mod listeners;
mod opaque;
mod progress;
mod shared;
mod table;
mod view;

#[doc(hidden)]
pub mod __cell;
#[doc(hidden)]
pub mod __magic;
#[doc(hidden)]
pub mod __store;

pub mod namespace;
/// Controls that users move, click and read.
pub mod widgets;

/// Everything a notebook wants in scope.
pub mod prelude;

/// chrono, for the timestamps of tasks: `phalanx::chrono::DateTime<phalanx::chrono::Utc>`.
pub use chrono;
/// serde, for types that travel: `#[derive(Serialize, Deserialize)]` works without a `:dep`.
pub use serde;

pub use async_result::{
    AsyncHubResult, AsyncMapResult, AsyncResult, AsyncResultHandle, Chunks, DoneAndPending, Each,
    Items, Many, One, Outputs, ResultFuture, ReturnWhen, Shape, StreamedOutput, TaskMetadata,
};
pub use client::{Client, Cluster, ClusterBuilder, EngineQueue, QueueStatus, ResultStatus};
pub use display::{
    DisplayHandle, MimeBundle, clear_output, display, display_as, html, jpeg, json, latex,
    markdown, plotly, png, svg, update_display, vega_lite,
};
pub use engine::{depend, publish_data, require};
pub use error::Error;
pub use function::{
    Argument, Arguments, ByRef, Function, IntoFunction, Lend, Reference, Sendable, Travels, With,
};
pub use input::{input, password};
pub use interrupt::interrupted;
pub use phalanx_protocol::apply::Dependency;
pub use phalanx_protocol::host::{ExecuteReply, GroupBy, TaskStatus};
pub use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
pub use progress::{Progress, progress};
pub use shared::{Plain, Shared};
pub use table::{Table, ToTable, table};
pub use view::{
    DirectView, Imap, IntoSpread, IntoTargets, IntoTasks, Item, LoadBalancedView, Map,
    ParallelFunction, RemoteFunction, Scatter, Spread, StepBy, Stepped,
};

/// The number of the engine this code is running on, or `None` in the notebook's own process.
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
