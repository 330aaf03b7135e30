//! The execution of `%pxresult`.

use super::{MagicContext, bind};
use crate::context::CellContext;
use crate::magic::MagicSuffix;
use crate::report::Fault;
use crate::run::Services;
use crate::run::error::CellError;
use phalanx_client::render::grouped;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::id::AsyncResultId;

pub(super) async fn recall(
    services: &Services,
    context: &CellContext,
    suffix: &MagicSuffix,
    out: Option<String>,
    group_by: Option<GroupBy>,
    magic_context: MagicContext,
) -> Result<Option<AsyncResultId>, Fault> {
    let last = services.sets().last(suffix);
    let held = last.and_then(|last| services.parallel().results().get(last));
    let held = held.ok_or(CellError::NothingToRecall)?;
    if let Some(name) = out {
        if magic_context == MagicContext::InRust {
            return Err(CellError::OutWithinRust.into());
        }
        bind(services, context, &name, held.id).await?;
        return Ok(Some(held.id));
    }
    tokio::select! {
        _ = held.result.wait_for_output(None) => {}
        () = context.interrupted().cancelled() => {
            return Err(Failure::Interrupted { lost: Vec::new() }.into());
        }
    }
    let snapshot = held.result.snapshot();
    let outputs = grouped(&snapshot, group_by.unwrap_or_default(), false, held.labels);
    context.sink().outputs(outputs).await;
    match held.result.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(Some(held.id)),
    }
}
