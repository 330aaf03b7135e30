//! The execution of magics.
//!
//! | file | contents |
//! |---|---|
//! | `px.rs` | `%px` and `%%px` |
//! | `recall.rs` | `%pxresult` |
//! | `cluster.rs` | `%cluster`, `%engines` |
//! | `sync.rs` | `%cluster sync` |
//! | `tools.rs`, `timeit.rs`, `prof.rs`, `who.rs`, `format.rs` | tools for single cells |

mod cluster;
mod format;
mod prof;
mod px;
mod recall;
mod sync;
mod timeit;
mod tools;
mod who;

use super::Services;
use crate::cell::RustText;
use crate::context::CellContext;
use crate::magic::{Magic, MagicSuffix, ParsedMagic, PxOptions, help};
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;
use phalanx_protocol::id::AsyncResultId;
use phalanx_protocol::output::StreamName;

/// The position of a magic, which determines its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicContext {
    /// On its own: a returned AsyncResult is shown as the cell's value.
    Alone,
    /// Within Rust text: its value is that of the Rust expression.
    InRust,
}

/// A magic to execute.
#[derive(Debug)]
pub struct MagicRun<'a> {
    /// The parsed magic.
    pub parsed: ParsedMagic,
    /// The line, from its `%` on.
    pub line: &'a str,
    /// The body of a cell magic.
    pub body: Option<RustText>,
    /// The location of the line.
    pub location: FaultSource,
    /// The position of the line in the text of `location`, in bytes.
    pub start: usize,
    /// The position of the magic.
    pub magic_context: MagicContext,
}

/// Executes a magic; returns the id of the AsyncResult that a `%px` has submitted.
///
/// # Errors
/// Returns the failure of the magic.
pub async fn run_magic(
    services: &Services,
    context: &CellContext,
    run: MagicRun<'_>,
) -> Result<Option<AsyncResultId>, Fault> {
    let MagicRun {
        parsed: ParsedMagic { suffix, magic },
        line,
        body,
        location,
        start,
        magic_context,
    } = run;
    match magic {
        Magic::Help(name) => {
            context.sink().page(help::help(name));
        }
        Magic::Cluster(command) => {
            cluster::command(services.parallel(), context, command, location, start).await?
        }
        Magic::Engines => cluster::engines(services.parallel(), context.sink()).await,
        Magic::PxConfig(options) => services.magic_sets().configure(&suffix, options),
        Magic::PxActivate { suffix, options } => services.magic_sets().activate(suffix, options),
        Magic::AutoPx => {
            let on = services.magic_sets().toggle_auto(&suffix);
            let state = if on { "enabled" } else { "disabled" };
            let text = format!("%autopx {state}\n");
            context.sink().text(StreamName::Stdout, text).await;
        }
        Magic::PxResult { out, group_by } => {
            let last = services.magic_sets().last(&suffix);
            let cells = services.local_cells();
            return recall::recall(cells, context, last, out, group_by, magic_context).await;
        }
        Magic::Tool(tool) => {
            let run = tools::ToolRun {
                tool,
                line,
                body,
                location,
                start,
                magic_context,
            };
            tools::run_tool(services, context, run).await?;
        }
        Magic::Px { options, code } => {
            let text = body.unwrap_or_else(|| RustText {
                source: line[code.clone()].to_owned(),
                map: SourceMap::starting_at(&location.text, start + code.start),
            });
            let run = px::PxRun {
                suffix,
                options,
                text,
                location,
                start,
                magic_context,
            };
            return px::run_px(services, context, run).await.map(Some);
        }
    }
    Ok(None)
}

/// Runs Rust text of a cell while `%autopx` is on, like the body of a `%%px` of that set.
///
/// # Errors
/// Returns the failure of the cell.
pub async fn auto(
    services: &Services,
    context: &CellContext,
    suffix: MagicSuffix,
    text: RustText,
    location: FaultSource,
) -> Result<(), Fault> {
    let run = px::PxRun {
        suffix,
        options: PxOptions::default(),
        text,
        location,
        start: 0,
        magic_context: MagicContext::Alone,
    };
    px::run_px(services, context, run).await.map(drop)
}
