//! AsyncResults of tasks in the hub's records: ipyparallel's `AsyncHubResult`.

use crate::async_result::AsyncResult;
use crate::client::Client;
use crate::hub::{HubError, POLL_INTERVAL};
use crate::record::HubResult;
use crate::result::{RecordedOutcome, ResultTracker, TaskUpdate};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::MsgId;
use phalanx_protocol::output::{Output, StreamName};
use phalanx_protocol::payload::Payload;
use std::sync::Arc;

impl Client {
    /// Creates an AsyncResult of tasks of any client. The hub is polled every [`POLL_INTERVAL`]
    /// until all tasks have ended or the returned handle is dropped.
    pub fn async_hub_result(&self, tasks: Vec<MsgId>) -> AsyncResult {
        let result = self.unsubmitted("hub", tasks.len());
        for (task, msg_id) in tasks.iter().enumerate() {
            let msg_id = msg_id.clone();
            result.tracker().apply(task, TaskUpdate::Known { msg_id });
        }
        let (client, watched) = (self.clone(), Arc::clone(result.tracker()));
        // Ends when all tasks have ended, the hub refuses, or nobody else holds the result.
        tokio::spawn(async move { watch(&client, &watched, tasks).await });
        result
    }
}

async fn watch(client: &Client, result: &Arc<ResultTracker>, tasks: Vec<MsgId>) {
    let mut pending: Vec<(usize, MsgId)> = tasks.into_iter().enumerate().collect();
    while !pending.is_empty() && !result.is_abandoned() {
        let ids: Vec<MsgId> = pending.iter().map(|(_, id)| id.clone()).collect();
        let found = match client.hub_results(&ids).await {
            Ok(found) => found,
            Err(error) => return give_up(result, &pending, &error),
        };
        let mut left = Vec::new();
        for ((task, id), found) in pending.into_iter().zip(found) {
            match found {
                Some(found) => apply(client, result, task, found),
                None => left.push((task, id)),
            }
        }
        pending = left;
        if !pending.is_empty() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

fn give_up(result: &ResultTracker, pending: &[(usize, MsgId)], error: &HubError) {
    for (task, msg_id) in pending {
        let failure = RemoteFailure {
            msg_id: Some(msg_id.clone()),
            method: "apply".to_owned(),
            ..error.clone().into()
        };
        result.fail(*task, failure);
    }
}

fn apply(client: &Client, result: &ResultTracker, task: usize, found: HubResult) {
    let engines = client.engines();
    let ran = engines
        .iter()
        .find(|engine| found.engine.as_ref() == Some(&engine.uuid));
    if let Some(engine) = ran {
        let (id, uuid) = (engine.id, engine.uuid.clone());
        result.apply(task, TaskUpdate::Placed { id, uuid });
    }
    if let Some(at) = found.submitted {
        let msg_id = found.msg_id.clone();
        let engine_uuid = found.engine.clone();
        let sent = TaskUpdate::Sent {
            msg_id,
            engine_uuid,
            at,
        };
        result.apply(task, sent);
    }
    for (name, text) in [
        (StreamName::Stdout, found.output.stdout),
        (StreamName::Stderr, found.output.stderr),
    ] {
        if !text.is_empty() {
            result.apply(task, TaskUpdate::Output(Output::Stream { name, text }));
        }
    }
    let end = RecordedOutcome {
        status: found.status,
        failure: found
            .failure
            .map(|failure| match client.has_sent(&found.msg_id) {
                true => failure,
                false => of_other_session(failure),
            }),
        execution_count: None,
        value: found.buffers.into_iter().next().map(Payload::read),
        started: found.started,
        completed: found.completed,
        received: found.received.unwrap_or_else(chrono::Utc::now),
        state: None,
    };
    debug_assert!(end.failure.is_some() || end.status == TaskStatus::Ok);
    result.apply(task, TaskUpdate::Ended(Box::new(end)));
    result.apply(task, TaskUpdate::OutputDone);
}

/// Names the session in the locations of a failure, such as `In[3]:2:1`: this one has other cells.
fn of_other_session(mut failure: RemoteFailure) -> RemoteFailure {
    for line in &mut failure.traceback {
        let at = line.trim_start().strip_prefix("at In[");
        let parts = at.and_then(|at| at.split_once("]:"));
        if let Some((cell, position)) = parts {
            let (row, _) = position.split_once(':').unwrap_or((position, ""));
            *line = format!("  at In[{cell}] of another session, line {row}");
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_another_session_is_not_taken_for_one_of_this() {
        let failure = RemoteFailure {
            ename: "Panic".to_owned(),
            evalue: "böse".to_owned(),
            traceback: ["Panic: böse", "  at In[3]:2:1", "  at work.rs:2:1"]
                .map(str::to_owned)
                .into(),
            engine: None,
            msg_id: None,
            method: "execute".to_owned(),
        };
        let expected = [
            "Panic: böse",
            "  at In[3] of another session, line 2",
            "  at work.rs:2:1",
        ];
        assert_eq!(of_other_session(failure).traceback, expected);
    }
}
