//! The execution of `%pxresult`.

use super::{MagicContext, bind, no_variable_in_rust};
use crate::context::CellContext;
use crate::magic::MagicSuffix;
use crate::report::Fault;
use crate::run::Services;
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
    let held = held.ok_or_else(|| Failure::Usage {
        message: "%pxresult recalls last %px result, which has not yet been used.".to_owned(),
        hint: Some("run something with `%px` first".to_owned()),
    })?;
    if let Some(name) = out {
        if magic_context == MagicContext::InRust {
            return Err(no_variable_in_rust().into());
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
