//! The execution of `%px` and `%%px`.

use super::{MagicContext, cluster};
use crate::cell::{RustText, located};
use crate::channel::OutputSink;
use crate::context::progress::Progress;
use crate::context::{CellContext, misplaced_magic, unresolved};
use crate::magic::{
    Blocking, MagicError, MagicName, MagicProblem, MagicSuffix, PlanError, PxOptions, PxPlan,
    Targets,
};
use crate::parallel::Parallel;
use crate::parallel::fanout::{self, EngineSource, Fanout, FanoutError, Submitted};
use crate::parallel::functions;
use crate::report::{Fault, FaultSource};
use crate::run::error::CellError;
use crate::run::local_cells::LocalCells;
use crate::run::locked::Locked;
use crate::run::logging::Logging;
use crate::run::{Local, Services, body};
use phalanx_client::{Client, Engine};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{AsyncResultId, EngineId, EngineUuid};
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use phalanx_transport::until;
use std::time::Instant;

/// A cell for engines.
pub(super) struct PxRun {
    pub(super) suffix: MagicSuffix,
    pub(super) options: PxOptions,
    pub(super) text: RustText,
    /// The location of the magic's line.
    pub(super) location: FaultSource,
    /// The position of the line in the text of `location`, in bytes.
    pub(super) start: usize,
    pub(super) magic_context: MagicContext,
}

/// Runs a cell on engines as planned from its options; returns the id of its AsyncResult.
pub(super) async fn run_px(
    services: &Services,
    context: &CellContext,
    run: PxRun,
) -> Result<AsyncResultId, Fault> {
    if let Some(error) = invalid(&run) {
        return Err(Fault::at(error, run.location));
    }
    let PxRun {
        suffix,
        options,
        text,
        location,
        start,
        magic_context,
    } = run;
    // Even a cell of `:dep` lines alone is compiled, so that engines load the dependencies.
    let body = body::prepare(services.dependencies(), context, text, &location).await?;
    let body = located(body, context.count());
    let client = cluster::client(services.parallel(), context).await?;
    let (rust, others): (Vec<_>, Vec<_>) = client
        .engines()
        .into_iter()
        .partition(|engine| engine.handshake().is_some());
    let live: Vec<_> = rust.iter().map(|engine| engine.id).collect();
    let defaults = services.magic_sets().defaults(&suffix);
    let plan = PxPlan::new(options, &defaults, &live)
        .map_err(|error| plan_fault(error, &others, &location, start))?;
    let fanout = services.parallel().fanout();
    if matches!(plan.named, Targets::All | Targets::Slice { .. }) {
        fanout.warn_of_silent(&client, &plan.targets, context).await;
    }
    if plan.verbose {
        print_targets(context.sink(), &plan).await;
    }
    let engines = rust.into_iter();
    let engines: Vec<(EngineId, EngineUuid)> = engines
        .filter(|engine| plan.targets.contains(&engine.id))
        .map(|engine| (engine.id, engine.uuid))
        .collect();
    set_loggers(fanout, services.logging(), context, &client, &engines).await;
    let code_location = FaultSource {
        map: body.map.clone(),
        ..location
    };
    let mut progress = Progress::new(
        fanout::PX_NAME,
        plan.targets.len(),
        plan.progress_after,
        Instant::now(),
    );
    let work = EngineSource {
        name: fanout::PX_NAME,
        source: &body.source,
        lines_before: body.map.line(0),
        binds: None,
        text: Some(&code_location.name),
    };
    let parallel = services.parallel();
    let submitted = submit(parallel, context, client, &plan, work, &mut progress).await;
    let submitted = match submitted {
        Ok(submitted) => submitted,
        Err(failure) => {
            let failure = with_local_names(services.local(), failure).await;
            let failure = misplaced_magic::explain(failure, &body.source);
            let before = code_location.text.get(..start).unwrap_or_default();
            let failure = misplaced_magic::explain_line_end(failure, &body.source, before);
            return Err(Fault::at(failure, code_location));
        }
    };
    let id = submitted.stored.id;
    services.magic_sets().submitted(&suffix, id);
    // Formatted now, since it says `pending` or `finished`: the engines may finish while the
    // variable is stored and the cell runs locally.
    let value = async_result_value(&submitted);
    finish(
        services.local_cells(),
        context,
        &plan,
        &submitted,
        body,
        &code_location,
        progress,
    )
    .await?;
    if plan.blocking == Blocking::Return && magic_context == MagicContext::Alone {
        context.sink().output(value).await;
    }
    Ok(id)
}

/// Returns the error of a cell that could not run on any engine.
fn invalid(run: &PxRun) -> Option<CellError> {
    if run.options.out.is_some() && run.magic_context == MagicContext::InRust {
        return Some(CellError::OutWithinRust);
    }
    let is_empty = run.text.source.trim().is_empty();
    is_empty.then_some(CellError::NoCode(MagicName::Px))
}

/// Returns the fault of a cell that cannot be planned; `others` are the engines that do not run
/// Rust, `start` is the position of the magic's line in the text of `location`, in bytes.
fn plan_fault(error: PlanError, others: &[Engine], location: &FaultSource, start: usize) -> Fault {
    match error {
        PlanError::Targets(error) => {
            among_rust_engines(error, others).into_fault(location.clone(), start)
        }
        PlanError::NoEngines => Fault::at(FanoutError::no_engine(others), location.clone()),
    }
}

/// Adds an explanation to the errors about names that only the local namespace has.
async fn with_local_names(local: &Local, failure: Failure) -> Failure {
    let mut scope = local.scope().await;
    // A `%px` within Rust may use what the same text defines.
    scope.sources.extend(scope.running.take());
    unresolved::explain(failure, &scope.variables, &scope.sources)
}

/// Sends engines a cell that sets the notebook's loggers, if they lack them. A
/// failure is only logged; the next cell tries again.
async fn set_loggers(
    fanout: &Fanout,
    logging: &Locked<Logging>,
    context: &CellContext,
    client: &Client,
    engines: &[(EngineId, EngineUuid)],
) {
    let missing = logging.lock().pending_steps(engines);
    let Some(missing) = missing else {
        return;
    };
    let engines: Vec<EngineId> = missing.engines.iter().map(|(id, _)| *id).collect();
    let work = EngineSource {
        name: fanout::PX_NAME,
        source: &missing.code,
        lines_before: 0,
        binds: None,
        text: None,
    };
    // Compiled and sent here. Its end is not awaited: an engine runs it before the cell, which is
    // sent after it.
    let set = fanout.submit_source(client, work, &engines, context);
    match set.await {
        Ok(_) => logging.lock().sent(missing),
        Err(failure) => tracing::warn!(?failure, "no default logger could be set on engines"),
    }
}

/// Adds the engines that do not run Rust, or do not answer, to an error about targets.
fn among_rust_engines(mut error: MagicError, others: &[Engine]) -> MagicError {
    if let MagicProblem::Targets {
        foreign, silent, ..
    } = &mut error.problem
    {
        *foreign = others.len();
        *silent = fanout::silent(others);
    }
    error
}

/// Compiles and submits a cell, with a progress bar if this takes long.
async fn submit(
    parallel: &Parallel,
    context: &CellContext,
    client: Client,
    plan: &PxPlan,
    work: EngineSource<'_>,
    progress: &mut Progress,
) -> Result<Submitted, Failure> {
    let attempt = async || {
        let text = work.source;
        functions::bind_pushed(parallel, context, &client, &plan.targets, text).await?;
        let fanout = parallel.fanout();
        let submitted = fanout.submit_planned(client.clone(), plan, work, context);
        submitted.await
    };
    let submitted = async {
        let submitted = attempt().await;
        // The missing names may have been defined by another notebook meanwhile.
        if !matches!(submitted, Err(Failure::Compile { .. })) {
            return submitted;
        }
        let fanout = parallel.fanout();
        match fanout.query_again(&client, &plan.targets, context).await {
            Ok(true) => attempt().await,
            Ok(false) | Err(_) => submitted,
        }
    };
    tokio::pin!(submitted);
    let submitted = loop {
        let deadline = progress.deadline();
        tokio::select! {
            submitted = &mut submitted => break submitted,
            () = until(deadline) => {
                if let Some(bar) = progress.compiling(Instant::now()) {
                    context.sink().output(bar).await;
                }
            }
        }
    };
    let now = Instant::now();
    let bar = match (&submitted, plan.blocking) {
        (Ok(_), Blocking::Wait) => None,
        (Ok(_), Blocking::Return) => progress.stop("compiled and sent", now),
        (Err(_), _) => progress.stop("not compiled", now),
    };
    if let Some(bar) = bar {
        context.sink().output(bar).await;
    }
    submitted
}

/// Completes a submitted cell: stores the variable and runs it locally, as the plan says, and shows
/// the engines' outputs until their end, unless it returns at once.
async fn finish(
    cells: LocalCells<'_>,
    context: &CellContext,
    plan: &PxPlan,
    submitted: &Submitted,
    body: RustText,
    location: &FaultSource,
    progress: Progress,
) -> Result<(), Fault> {
    let local = async {
        if let Some(name) = &plan.out {
            cells.bind(context, name, submitted.stored.id).await?;
        }
        if plan.local {
            cells.evaluate(context, body).await?;
        }
        Ok::<(), Fault>(())
    };
    if plan.blocking == Blocking::Return {
        return local.await;
    }
    let remote = fanout::show(context, submitted, plan, progress, location);
    if plan.local {
        // The engines' outputs are shown after those of the local run.
        let local = local.await;
        remote.await?;
        return local;
    }
    let (local, remote) = tokio::join!(local, remote);
    remote?;
    local
}

/// Returns the AsyncResult as the value of a cell.
fn async_result_value(submitted: &Submitted) -> Output {
    Output::Result(MimeBundle::plain(format!("{:?}", submitted.stored.result)))
}

async fn print_targets(sink: &OutputSink, plan: &PxPlan) {
    let how = match plan.blocking {
        Blocking::Wait => "Parallel",
        Blocking::Return => "Async parallel",
    };
    let engines = plan.engine_list();
    let text = format!("{how} execution on engine(s): {engines}\n");
    sink.text(StreamName::Stdout, text).await;
}
