//! Magics, carried out.

use super::fanout::{self, Shown, Submitted};
use super::{CellContext, Services};
use crate::cell::{RustText, SourceMap};
use crate::magic::{Blocking, ClusterCommand, Low, PxOptions, PxPlan, help};
use crate::report::{Fault, Place};
use phalanx_client::Client;
use phalanx_client::render::grouped;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::GroupBy;
use phalanx_protocol::id::AsyncResultId;
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use std::time::Duration;

/// Where a magic was typed, which decides what its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its own: an AsyncResult that is returned is shown as the cell's value.
    Alone,
    /// Within Rust text: its value is the Rust expression's.
    InRust,
}

/// A magic that is to be carried out.
#[derive(Debug)]
pub struct Order<'a> {
    /// What was typed, parsed.
    pub low: Low,
    /// The line, from its `%` on.
    pub line: &'a str,
    /// The body of a cell magic.
    pub body: Option<RustText>,
    /// Where the line stands.
    pub place: Place,
    /// The line's first byte in the place's text.
    pub start: usize,
    /// Where it was typed.
    pub standing: Standing,
}

/// Carries out a magic; what a `%px` has submitted is its value.
///
/// # Errors
/// However it failed.
pub async fn carry_out(
    services: &Services,
    context: &CellContext,
    order: Order<'_>,
) -> Result<Option<AsyncResultId>, Fault> {
    match order.low {
        Low::Help(name) => {
            context.outlet().page(MimeBundle::plain(help::help(name)));
            Ok(None)
        }
        Low::Cluster(command) => {
            cluster(services, context, command).await?;
            Ok(None)
        }
        Low::PxConfig(options) => {
            services.set_defaults(|defaults| defaults.set(options));
            Ok(None)
        }
        Low::PxResult { out, group_by } => {
            let standing = order.standing;
            recall(services, context, out, group_by, standing).await
        }
        Low::Px {
            ref options,
            ref code,
        } => {
            let options = options.clone();
            let text = match &order.body {
                Some(body) => body.clone(),
                None => RustText {
                    source: order.line[code.clone()].to_owned(),
                    map: SourceMap::starting_at(&order.place.text, order.start + code.start),
                },
            };
            px(services, context, order, options, text).await.map(Some)
        }
    }
}

async fn cluster(
    services: &Services,
    context: &CellContext,
    command: ClusterCommand,
) -> Result<(), Failure> {
    match command {
        ClusterCommand::Start { engines } => {
            start(services, context, engines, "Started").await?;
        }
        ClusterCommand::Stop => {
            let engines = services.cluster().stop().await?;
            let text = format!("Stopped {}.\n", engines_in_words(engines));
            context.outlet().text(StreamName::Stdout, text).await;
        }
        ClusterCommand::Status => {
            let status = services.cluster().status().await;
            context.outlet().display(status).await;
        }
    }
    Ok(())
}

async fn start(
    services: &Services,
    context: &CellContext,
    engines: Option<usize>,
    verb: &str,
) -> Result<(), Failure> {
    // Compiling for engines comes next, and its evaluator takes a while to start.
    services.fanout().compiler.warm();
    let started = services
        .cluster()
        .start(engines, context.interrupted().clone())
        .await?;
    let text = format!(
        "{verb} {} in {:.2} s.\n",
        engines_in_words(started.engines),
        started.took.as_secs_f64()
    );
    context.outlet().text(StreamName::Stdout, text).await;
    Ok(())
}

fn engines_in_words(engines: usize) -> String {
    match engines {
        1 => "1 engine".to_owned(),
        engines => format!("{engines} engines"),
    }
}

/// The client of the running cluster; without one, a local one is started, and said so.
async fn client(services: &Services, context: &CellContext) -> Result<Client, Failure> {
    if let Some(client) = services.cluster().client().await {
        return Ok(client);
    }
    let verb = "No cluster was running, so one was started on this machine:";
    start(services, context, None, verb).await?;
    services
        .cluster()
        .client()
        .await
        .ok_or_else(|| Failure::Internal {
            message: "the cluster that was just started is gone".to_owned(),
        })
}

async fn px(
    services: &Services,
    context: &CellContext,
    order: Order<'_>,
    options: PxOptions,
    text: RustText,
) -> Result<AsyncResultId, Fault> {
    let Order {
        place,
        start,
        standing,
        ..
    } = order;
    if options.out.is_some() && standing == Standing::InRust {
        return Err(in_rust(place));
    }
    let body = super::body::prepare(services, context, text, &place).await?;
    if body.source.trim().is_empty() {
        return Err(Fault::at(no_code(), place));
    }
    let client = client(services, context).await?;
    let live: Vec<_> = client.engines().iter().map(|engine| engine.id).collect();
    let plan = PxPlan::new(options, &services.defaults(), &live).map_err(|error| match error {
        crate::magic::PlanError::Targets(error) => Fault::magic(error, place.clone(), start),
        error => Fault::at(error, place.clone()),
    })?;
    if plan.verbose {
        say_where(context, &plan).await;
    }
    let code_place = Place {
        map: body.map.clone(),
        ..place
    };
    let submitted = services
        .fanout()
        .submit(client, &plan, &body.source, context)
        .await
        .map_err(|failure| Fault::at(failure, code_place.clone()))?;
    let id = submitted.held.id;
    // As it is returned, not as it is once its variable is made.
    let handle = handle(&submitted);
    finish(services, context, &plan, &submitted, body, &code_place).await?;
    if plan.blocking == Blocking::Return && standing == Standing::Alone {
        context.outlet().output(handle).await;
    }
    Ok(id)
}

/// Everything that happens once a cell is under way: the variable, the local run, the outputs.
async fn finish(
    services: &Services,
    context: &CellContext,
    plan: &PxPlan,
    submitted: &Submitted,
    body: RustText,
    place: &Place,
) -> Result<(), Fault> {
    let here = async {
        if let Some(name) = &plan.out {
            bind(services, context, name, submitted.held.id).await?;
        }
        if plan.local {
            super::cell::evaluate(services, context, body).await?;
        }
        Ok::<(), Fault>(())
    };
    if plan.blocking == Blocking::Return {
        return here.await;
    }
    let there = fanout::show(context, submitted, plan);
    if plan.local {
        // The engines' outputs follow those of the local run.
        let here = here.await;
        there
            .await
            .map_err(|failure| Fault::at(failure, place.clone()))?;
        return here;
    }
    let (here, there) = tokio::join!(here, there);
    there.map_err(|failure| Fault::at(failure, place.clone()))?;
    here
}

/// Makes an AsyncResult a variable of the local namespace.
async fn bind(
    services: &Services,
    context: &CellContext,
    name: &str,
    id: AsyncResultId,
) -> Result<(), Failure> {
    let source = format!("let {name} = phalanx::AsyncResult::from_id({id});");
    services.local().evaluate(context, source).await.map(drop)
}

/// An AsyncResult as the value of a cell.
fn handle(submitted: &Submitted) -> Output {
    let result = &submitted.held.result;
    let state = match (result.ready(), result.failure()) {
        (false, _) => "pending",
        (true, None) => "finished",
        (true, Some(_)) => "failed",
    };
    let text = format!("<AsyncResult({}): {state}>", result.name());
    Output::Result(MimeBundle::plain(text))
}

async fn say_where(context: &CellContext, plan: &PxPlan) {
    let how = match plan.blocking {
        Blocking::Wait => "Parallel",
        Blocking::Return => "Async parallel",
    };
    let text = format!("{how} execution on engine(s): {}\n", plan.named);
    context.outlet().text(StreamName::Stdout, text).await;
}

/// `%pxresult`.
async fn recall(
    services: &Services,
    context: &CellContext,
    out: Option<String>,
    group_by: Option<GroupBy>,
    standing: Standing,
) -> Result<Option<AsyncResultId>, Fault> {
    let held = services.results().last().ok_or_else(|| Failure::Usage {
        message: "%pxresult recalls last %px result, which has not yet been used.".to_owned(),
        hint: Some("run something with `%px` first".to_owned()),
    })?;
    if let Some(name) = out {
        if standing == Standing::InRust {
            return Err(in_rust_failure().into());
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
    let shown = Shown {
        group_by: group_by.unwrap_or_default(),
        result_only: false,
    };
    let outputs = grouped(
        &held.result.snapshot(),
        shown.group_by,
        shown.result_only,
        held.labels,
    );
    context.outlet().outputs(outputs).await;
    match held.result.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(Some(held.id)),
    }
}

/// A number of seconds as a time limit; what is none waits for ever.
pub fn limit(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn no_code() -> Failure {
    Failure::Usage {
        message: "there is no Rust code to run".to_owned(),
        hint: Some("the code goes below the line of `%%px`".to_owned()),
    }
}

fn in_rust(place: Place) -> Fault {
    Fault::at(in_rust_failure(), place)
}

fn in_rust_failure() -> Failure {
    Failure::Usage {
        message: "`--out` cannot make a variable within Rust code".to_owned(),
        hint: Some("write `let ar = %px --noblock …;`".to_owned()),
    }
}
