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
//! | [`AsyncResult`] | what a `%px` cell comes back as |
//! | [`interrupted`] | whether the user wants the cell to stop |
//! | [`engine_id`] | which engine a `%%px` cell is running on |

mod async_result;
mod display;
mod error;
mod host;
mod input;
mod interrupt;
mod listeners;
mod progress;
mod table;

#[doc(hidden)]
pub mod __cell;
#[doc(hidden)]
pub mod __magic;

/// What users move, click and read.
pub mod widgets;

/// Everything a notebook wants in scope.
pub mod prelude;

pub use async_result::{AsyncResult, TaskMetadata};
pub use display::{
    DisplayHandle, MimeBundle, clear_output, display, display_as, html, jpeg, json, latex,
    markdown, plotly, png, svg, update_display, vega_lite,
};
pub use error::Error;
pub use input::{input, password};
pub use interrupt::interrupted;
pub use phalanx_protocol::host::{ExecuteReply, GroupBy, TaskStatus};
pub use phalanx_protocol::id::EngineId;
pub use progress::{Progress, progress};
pub use table::{Table, ToTable, table};

/// The number of the engine this code is running on, or `None` in the notebook's own process.
pub fn engine_id() -> Option<u32> {
    std::env::var(phalanx_protocol::host::ENGINE_ID_VAR)
        .ok()?
        .parse()
        .ok()
}
