//! The state of tasks whose replies may have been lost with a connection.

use crate::query::{self, HubError, HubRecord};
use crate::request::Requests;
use crate::state::message::Recovered;
use crate::wire;
use phalanx_protocol::apply::QueueStatus;
use phalanx_protocol::id::MsgId;
use phalanx_protocol::parallel::{DbRequest, Tasks};
use std::collections::HashSet;

/// Queries the controller, which may be a different one by now.
///
/// # Errors
/// `HubError` if it does not reply.
pub(crate) async fn recover(requests: &Requests, tasks: Vec<MsgId>) -> Result<Recovered, HubError> {
    // In this order: a task that is no longer pending has ended, and is found by the second query.
    let queues = query::queue_status(requests, &[], true).await?;
    let under_way = under_way(&queues);
    let (_, left): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|id| under_way.contains(id));
    if left.is_empty() {
        return Ok(Recovered::default());
    }
    let known = match query::db_query(requests, DbRequest::ended(&left)).await {
        Ok(records) => records.iter().filter_map(HubRecord::msg_id).collect(),
        // The controller keeps no records.
        Err(HubError::Refused { .. }) => HashSet::new(),
        Err(error) => return Err(error),
    };
    let (ended, unknown): (Vec<_>, Vec<_>) = left.into_iter().partition(|id| known.contains(id));
    let results = match ended.is_empty() {
        true => Vec::new(),
        false => query::hub_results(requests, &ended).await?,
    };
    Ok(Recovered {
        ended: results.into_iter().flatten().map(wire::recorded).collect(),
        unknown,
    })
}

/// The tasks that are assigned to engines or not yet assigned.
fn under_way(queues: &QueueStatus<Tasks>) -> HashSet<&MsgId> {
    let engines = queues.engines.values();
    let engines = engines.flat_map(|engine| [&engine.queue, &engine.tasks]);
    engines
        .chain([&queues.unassigned])
        .filter_map(|tasks| match tasks {
            Tasks::Ids(ids) => Some(ids),
            Tasks::Count(_) => None,
        })
        .flatten()
        .collect()
}
