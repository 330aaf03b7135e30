//! The execution of `%pxresult`.

use super::MagicContext;
use crate::context::CellContext;
use crate::report::Fault;
use crate::run::error::CellError;
use crate::run::local_cells::LocalCells;
use phalanx_client::render::grouped;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::id::AsyncResultId;

pub(super) async fn recall(
    cells: LocalCells<'_>,
    context: &CellContext,
    last: Option<AsyncResultId>,
    out: Option<String>,
    group_by: Option<GroupBy>,
    magic_context: MagicContext,
) -> Result<Option<AsyncResultId>, Fault> {
    let stored = last.and_then(|last| cells.results.get(last));
    let stored = stored.ok_or(CellError::NothingToRecall)?;
    if let Some(name) = out {
        if magic_context == MagicContext::InRust {
            return Err(CellError::OutWithinRust.into());
        }
        cells.bind(context, &name, stored.id).await?;
        return Ok(Some(stored.id));
    }
    tokio::select! {
        _ = stored.result.wait_for_output(None) => {}
        () = context.interrupted().cancelled() => {
            return Err(Failure::Interrupted { lost: Vec::new() }.into());
        }
    }
    let snapshot = stored.result.snapshot();
    let outputs = grouped(
        &snapshot,
        group_by.unwrap_or_default(),
        false,
        stored.labels,
    );
    context.sink().outputs(outputs).await;
    match stored.result.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(Some(stored.id)),
    }
}
