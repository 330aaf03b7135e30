//! The execution of a cell: its directives in order.

use super::magics::{self, MagicContext, MagicRun};
use super::{Services, commands, help, shell};
use crate::cell::{Directive, DirectiveKind, RustText, help_topic, split};
use crate::context::CellContext;
use crate::magic;
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;
use futures::future::BoxFuture;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::{MimeBundle, StreamName};
use std::time::Instant;

/// Runs a cell to its end; all its outputs are published when this returns.
///
/// # Errors
/// Returns the failure of the first failing directive; the directives after it do not run.
pub async fn run_cell(
    services: &Services,
    context: &CellContext,
    source: &str,
) -> Result<(), Fault> {
    let variables = services.local().variables();
    if let Some(topic) = help_topic(source, &variables) {
        help::show(&services.introspection(), context.sink(), &topic).await;
        return Ok(());
    }
    if services.timing() {
        context.timer().begin(Instant::now());
    }
    services.sources().add(context.count(), source);
    let mut result = run_directives(services, context, source).await;
    if let Err(fault) = &mut result {
        services.sources().locate(context.count(), fault);
        if matches!(
            fault.failure,
            Failure::RuntimeDied { .. } | Failure::Interrupted { .. }
        ) {
            // A snapshot may have restored variables that the cell had dropped.
            services.parallel().results().retain_all();
        }
    }
    if let Some(text) = context.timer().end(Instant::now()) {
        context.sink().text(StreamName::Stdout, text).await;
    }
    result
}

/// Runs the text of a file like a cell.
///
/// # Errors
/// Returns the errors of [`run_cell`].
pub(super) fn run_file<'a>(
    services: &'a Services,
    context: &CellContext,
    name: &str,
    source: &'a str,
) -> BoxFuture<'a, Result<(), Fault>> {
    let context = context.of_file(name, source);
    // Boxed, since a file may run other files.
    Box::pin(async move { run_directives(services, &context, source).await })
}

async fn run_directives(
    services: &Services,
    context: &CellContext,
    source: &str,
) -> Result<(), Fault> {
    let variables = services.local().variables();
    let mut directives = split(source, &variables).into_iter().peekable();
    while let Some(directive) = directives.next() {
        if context.interrupted().is_cancelled() {
            return Err(Failure::Interrupted { lost: Vec::new() }.into());
        }
        if !is_dependency(&directive) {
            run_directive(services, context, source, directive).await?;
            continue;
        }
        let mut together = vec![directive];
        while let Some(next) = directives.next_if(is_dependency) {
            together.push(next);
        }
        let runs: Vec<commands::CommandRun<'_>> = together
            .iter()
            .map(|directive| commands::CommandRun {
                line: &source[directive.span.clone()],
                start: directive.span.start,
                source,
            })
            .collect();
        commands::add_dependencies(services.dependencies(), context, &runs).await?;
    }
    Ok(())
}

/// Evaluates one of a request's `user_expressions`; returns its value, if it has one.
///
/// # Errors
/// Returns the failure of the expression.
pub async fn evaluate_expression(
    services: &Services,
    context: &CellContext,
    source: &str,
) -> Result<MimeBundle, Fault> {
    run_cell(services, context, source).await?;
    Ok(context.sink().value().unwrap_or_default())
}

fn is_dependency(directive: &Directive) -> bool {
    matches!(&directive.kind, DirectiveKind::Command(line) if commands::is_dependency(line))
}

async fn run_directive(
    services: &Services,
    context: &CellContext,
    source: &str,
    directive: Directive,
) -> Result<(), Fault> {
    let start = directive.span.start;
    let location = context.location(SourceMap::starting_at(source, start));
    match directive.kind {
        DirectiveKind::Rust(text) => {
            let auto = services.magic_sets().auto().cloned();
            match auto {
                None => services.local_cells().evaluate(context, text).await,
                Some(suffix) => {
                    // The original text: magics in `text` are lowered for the local process.
                    let text = RustText {
                        source: source[directive.span].to_owned(),
                        map: location.map.clone(),
                    };
                    magics::auto(services, context, suffix, text, location).await
                }
            }
        }
        DirectiveKind::Command(line) => {
            let run = commands::CommandRun {
                line: &line,
                start,
                source,
            };
            commands::run_command(services, context, run).await
        }
        DirectiveKind::Shell(line) => Ok(shell::run(context, services.environment(), &line).await?),
        DirectiveKind::Magic(line) => magic(services, context, location, start, &line, None).await,
        DirectiveKind::CellMagic { line, body } => {
            magic(services, context, location, start, &line, Some(body)).await
        }
    }
}

async fn magic(
    services: &Services,
    context: &CellContext,
    location: FaultSource,
    start: usize,
    line: &str,
    body: Option<RustText>,
) -> Result<(), Fault> {
    let suffixes = services.magic_sets().suffixes();
    let parsed =
        magic::parse(line, &suffixes).map_err(|error| error.into_fault(location.clone(), start))?;
    let run = MagicRun {
        parsed,
        line,
        body,
        location,
        start,
        magic_context: MagicContext::Alone,
    };
    magics::run_magic(services, context, run).await.map(drop)
}
