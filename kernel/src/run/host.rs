//! The kernel's replies to the `phalanx` library while a cell runs.

use super::Services;
use super::error::CellError;
use super::magics::{self, MagicContext, MagicRun};
use crate::channel::{InputOutcome, OutputSink};
use crate::context::CellContext;
use crate::context::time_limit;
use crate::magic;
use crate::parallel::Parallel;
use crate::parallel::fanout::{self, wait_with_bar};
use crate::parallel::functions;
use crate::parallel::results::ChosenTasks;
use crate::report::Fault;
use phalanx_client::TaskSelection;
use phalanx_client::render::grouped;
use phalanx_protocol::apply::Apply;
use phalanx_protocol::evaluator::Toolchain;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{AsyncResultQuery, CellRequest, HostReply};
use phalanx_protocol::id::AsyncResultId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::payload::Payload;
use phalanx_protocol::segment::SEGMENT_THRESHOLD;
use phalanx_runtime::HostReplyFrames;
use phalanx_sys::segment;
use std::ops::Range;
use std::time::Duration;

/// Serves a request of the library; `raw` are its raw frames. The AsyncResults in the reply are kept
/// from then on, since variables of the cell may refer to them.
pub async fn serve(
    services: &Services,
    context: &CellContext,
    request: CellRequest,
    raw: Vec<Payload>,
) -> HostReplyFrames {
    let (reply, raw) = reply_to(services, context, request, raw).await;
    let results = services.parallel().results();
    match &reply {
        HostReply::AsyncResult(id) => results.retain([*id]),
        HostReply::Tasks(ranges) => results.retain(ranges.iter().map(|range| range.id)),
        _ => {}
    }
    (reply, raw)
}

fn without_frames(reply: HostReply) -> HostReplyFrames {
    (reply, Vec::new())
}

fn failed(error: CellError) -> HostReply {
    HostReply::Failed(error.into())
}

fn interrupted() -> HostReplyFrames {
    without_frames(HostReply::Failed(Failure::Interrupted { lost: Vec::new() }))
}

/// Calls a function on engines; the reply has the AsyncResult, or the outcomes if the library
/// waits.
async fn call(
    parallel: &Parallel,
    toolchain: Option<Toolchain>,
    context: &CellContext,
    apply: Apply,
    raw: Vec<Payload>,
) -> HostReplyFrames {
    let wait = apply.wait;
    let applied = functions::apply(parallel, context, apply, raw, toolchain).await;
    let stored = match applied {
        Ok(stored) => stored,
        Err(failure) => return without_frames(HostReply::Failed(failure)),
    };
    if !wait {
        return without_frames(HostReply::AsyncResult(stored.id));
    }
    let id = stored.id;
    let tasks: TaskSelection = stored.result.into();
    let reply = tokio::select! {
        reply = outcomes(&tasks, 0..usize::MAX, true) => reply,
        () = context.interrupted().cancelled() => interrupted(),
    };
    // The cell receives the values, but no handle on the result.
    parallel.results().release(&[id]);
    reply
}

/// Returns the outcomes of tasks, and their values; with `wait`, once all of them are done.
async fn outcomes(result: &TaskSelection, tasks: Range<usize>, wait: bool) -> HostReplyFrames {
    if wait {
        result.wait(None).await;
    }
    // An outcome of a cell includes what it has shown, which may arrive after its end.
    result.wait_complete(tasks.clone()).await;
    share_large(values(result, tasks)).await
}

/// Returns the outcomes of tasks, and their values.
fn values(result: &TaskSelection, tasks: Range<usize>) -> HostReplyFrames {
    let outcomes = result.outcomes(tasks);
    let mut raw = Vec::with_capacity(outcomes.len());
    let outcomes = outcomes.into_iter().map(|outcome| {
        let (outcome, value) = match outcome {
            Some(Ok((engine, value))) => (Some(Ok(engine)), value),
            Some(Err(failure)) => (Some(Err(failure)), Payload::default()),
            None => (None, Payload::default()),
        };
        raw.push(value);
        outcome
    });
    let outcomes = outcomes.collect();
    (HostReply::Values(outcomes), raw)
}

/// Moves large values to shared memory.
async fn share_large((reply, raw): HostReplyFrames) -> HostReplyFrames {
    let is_large = |value: &Payload| matches!(value, Payload::Inline(bytes) if bytes.len() >= SEGMENT_THRESHOLD);
    if !raw.iter().any(is_large) {
        return (reply, raw);
    }
    let all = raw.clone();
    let share = move |value: Payload| match is_large(&value).then(|| segment::create(value.frame()))
    {
        Some(Ok(shared)) => shared.into(),
        // Without memory for a copy, the value is sent inline.
        Some(Err(_)) | None => value,
    };
    let shared =
        tokio::task::spawn_blocking(move || all.into_iter().map(share).collect::<Vec<_>>());
    (reply, shared.await.unwrap_or(raw))
}

/// Returns the reply to a request.
async fn reply_to(
    services: &Services,
    context: &CellContext,
    request: CellRequest,
    raw: Vec<Payload>,
) -> HostReplyFrames {
    without_frames(match request {
        CellRequest::Apply(apply) => {
            let toolchain = services.local().toolchain();
            return call(services.parallel(), toolchain, context, *apply, raw).await;
        }
        CellRequest::AsyncResult { of, query } => match services.parallel().results().choose(&of) {
            Ok(chosen) => {
                return tokio::select! {
                    reply = serve_query(context.sink(), &chosen, query) => reply,
                    () = context.interrupted().cancelled() => interrupted(),
                };
            }
            Err(id) => {
                let cause = services.parallel().results().cause(id);
                failed(CellError::UnknownResult(id, cause))
            }
        },
        CellRequest::Client(request) => tokio::select! {
            reply = functions::serve(services.parallel(), context, *request) => {
                reply.unwrap_or_else(HostReply::Failed)
            }
            () = context.interrupted().cancelled() => {
                HostReply::Failed(Failure::Interrupted { lost: Vec::new() })
            }
        },
        CellRequest::Magic { line } => match run_magic(services, context, &line).await {
            Ok(Some(id)) => HostReply::AsyncResult(id),
            Ok(None) => HostReply::Done,
            Err(fault) => {
                let failure = fault.failure.clone();
                context.set_magic_fault(fault);
                HostReply::Failed(failure)
            }
        },
        CellRequest::Input { prompt, password } => match ask(context, prompt, password).await {
            Err(error) => failed(error),
            Ok(line) => HostReply::Input(line),
        },
        CellRequest::ReadLine => match ask(context, String::new(), false).await {
            Ok(line) => HostReply::Input(line),
            Err(error) => {
                let text = format!("stdin is empty: {error}\n");
                context.sink().text(StreamName::Stderr, text).await;
                failed(error)
            }
        },
        CellRequest::Released { results } => {
            services.parallel().results().release(&results);
            HostReply::Done
        }
    })
}

/// Prompts the user for a line; `None` at the end of input. Never returns once the cell is
/// interrupted.
async fn ask(
    context: &CellContext,
    prompt: String,
    password: bool,
) -> Result<Option<String>, CellError> {
    let reply = tokio::select! {
        reply = context.prompter().ask(prompt, password) => reply,
        // The code that requested input is being stopped; a reply would let it continue.
        () = context.interrupted().cancelled() => std::future::pending().await,
    };
    match reply {
        InputOutcome::Line(line) => Ok(Some(line)),
        InputOutcome::End => Ok(None),
        InputOutcome::Refused => Err(CellError::NoInput),
    }
}

/// Runs a line magic within Rust text; returns the id of the AsyncResult that it has submitted.
async fn run_magic(
    services: &Services,
    context: &CellContext,
    line: &str,
) -> Result<Option<AsyncResultId>, Fault> {
    let (location, start) = context.magic_location(line);
    let suffixes = services.magic_sets().suffixes();
    let parsed =
        magic::parse(line, &suffixes).map_err(|error| error.into_fault(location.clone(), start))?;
    let run = MagicRun {
        parsed,
        line,
        body: None,
        location,
        start,
        magic_context: MagicContext::InRust,
    };
    magics::run_magic(services, context, run).await
}

/// Returns the reply to a query about tasks of the session.
async fn serve_query(
    sink: &OutputSink,
    chosen: &ChosenTasks,
    query: AsyncResultQuery,
) -> HostReplyFrames {
    let result = &chosen.tasks;
    without_frames(match query {
        AsyncResultQuery::Values { from, to, wait } => {
            return outcomes(result, from..to, wait).await;
        }
        AsyncResultQuery::Progress => HostReply::Progress(chosen.progress()),
        AsyncResultQuery::Ranges => HostReply::Tasks(chosen.ranges()),
        AsyncResultQuery::Next { seen, timeout } => {
            HostReply::Ended(result.ended_since(&seen, time_limit(timeout)).await)
        }
        AsyncResultQuery::StreamOutput => {
            fanout::stream(sink, chosen).await;
            HostReply::Done
        }
        AsyncResultQuery::Snapshot => HostReply::Snapshot(Box::new(result.snapshot())),
        AsyncResultQuery::Wait { timeout } => {
            HostReply::Ready(result.wait(time_limit(timeout)).await)
        }
        AsyncResultQuery::WaitForOutput { timeout } => {
            HostReply::Ready(result.wait_for_output(time_limit(timeout)).await)
        }
        AsyncResultQuery::WaitInteractive { interval, timeout } => {
            let interval = Duration::try_from_secs_f64(interval).unwrap_or_default();
            HostReply::Ready(wait_with_bar(sink, chosen, interval, time_limit(timeout)).await)
        }
        AsyncResultQuery::Abort => match result.abort().await {
            Ok(()) => HostReply::Done,
            Err(error) => failed(error.into()),
        },
        AsyncResultQuery::DisplayOutputs { .. } if !result.ready() => failed(CellError::NotReady),
        AsyncResultQuery::DisplayOutputs {
            group_by,
            result_only,
        } => {
            // The last output may arrive after the last result.
            result.wait_for_output(None).await;
            let outputs = grouped(&result.snapshot(), group_by, result_only, chosen.labels);
            sink.outputs(outputs).await;
            HostReply::Done
        }
    })
}
