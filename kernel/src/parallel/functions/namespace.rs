//! Variables for functions, and pushed values for cells, transferred by cells of our own.

use super::error::FunctionsError;
use crate::cell::check_variable_name;
use crate::context::CellContext;
use crate::parallel::Parallel;
use crate::parallel::fanout::EngineSource;
use phalanx_client::Client;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{EngineId, EngineUuid, StateId};
use std::collections::HashSet;

/// Copies the names and expressions that functions refer to, so that they are found on these
/// engines.
///
/// # Errors
/// Returns an error if an engine cannot evaluate one of them.
pub(super) async fn copy_references(
    parallel: &Parallel,
    context: &CellContext,
    client: &Client,
    engines: &[EngineId],
    references: &[String],
) -> Result<(), Failure> {
    let fanout = parallel.fanout();
    if !references.is_empty() {
        fanout.adopt(client, engines, context).await?;
    }
    for reference in references {
        let is_name = check_variable_name(reference).is_ok();
        if !is_name {
            // Pushed values in an expression must be variables first.
            bind_pushed(parallel, context, client, engines, reference).await?;
        }
        let mut engines_with_value = Vec::new();
        for engine in client.engines().iter().filter(|e| engines.contains(&e.id)) {
            let state = fanout.states.of(engine);
            // A name that is not a variable was set by functions or does not exist.
            let variables = fanout.compiler.variables(state.clone());
            if !is_name || variables.await.contains(reference) {
                engines_with_value.push((engine.id, engine.uuid.clone(), state));
            }
        }
        let ids = parallel
            .functions()
            .names()
            .outdated(reference, &engines_with_value);
        if ids.is_empty() {
            continue;
        }
        let source = format!("phalanx::__cell::publish({reference:?}, &({reference}));");
        let copied = run(parallel, context, client, &ids, &source, None)
            .await
            .map_err(|failure| not_copied(reference, failure))?;
        let mut names = parallel.functions().names();
        for (engine, state) in copied {
            names.copied(&engine, reference, state);
        }
    }
    Ok(())
}

/// Binds pushed values to variables of these engines, if the source of a cell mentions them.
///
/// # Errors
/// Returns an error if the type of a value does not compile there.
pub async fn bind_pushed(
    parallel: &Parallel,
    context: &CellContext,
    client: &Client,
    engines: &[EngineId],
    source: &str,
) -> Result<(), Failure> {
    let fanout = parallel.fanout();
    fanout.adopt(client, engines, context).await?;
    let uuids: Vec<EngineUuid> = client
        .engines()
        .into_iter()
        .filter(|engine| engines.contains(&engine.id))
        .map(|engine| engine.uuid)
        .collect();
    let mentioned = words(source);
    let to_bind = || {
        let mut names = parallel.functions().names();
        for uuid in &uuids {
            if let Some((pushed, bound)) = fanout.states.take_pushed(uuid) {
                names.record_report(uuid, &pushed, &bound);
            }
        }
        names.to_bind(&uuids, |name| mentioned.contains(name))
    };
    let mut found = to_bind();
    if !found.is_empty() {
        // Another notebook may have bound and changed them.
        fanout.query_again(client, engines, context).await?;
        found = to_bind();
    }
    for ((name, type_name), uuids) in found {
        let ids: Vec<EngineId> = client
            .engines()
            .iter()
            .filter(|engine| uuids.contains(&engine.uuid))
            .map(|engine| engine.id)
            .collect();
        bind(parallel, context, client, &ids, &name, &type_name).await?;
        for uuid in &uuids {
            parallel.functions().names().bound(uuid, &name);
        }
    }
    Ok(())
}

/// Binds a pushed value to a variable, with the first spelling of its type that compiles.
async fn bind(
    parallel: &Parallel,
    context: &CellContext,
    client: &Client,
    engines: &[EngineId],
    name: &str,
    type_name: &str,
) -> Result<(), Failure> {
    let mut first = None;
    for ty in phalanx_evaluator::type_sources(type_name) {
        let source = format!("let mut {name}: {ty} = phalanx::__cell::pushed({name:?});");
        match run(parallel, context, client, engines, &source, Some(name)).await {
            Ok(_) => return Ok(()),
            Err(failure @ Failure::Compile { .. }) => {
                first.get_or_insert_with(|| not_bound(name, &ty, failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    first.map_or(Ok(()), Err)
}

/// Runs a cell of our own and waits for it. Returns the states to which it leads, by engine.
async fn run(
    parallel: &Parallel,
    context: &CellContext,
    client: &Client,
    engines: &[EngineId],
    source: &str,
    binds: Option<&str>,
) -> Result<Vec<(EngineUuid, StateId)>, Failure> {
    let fanout = parallel.fanout();
    let work = EngineSource {
        name: "phalanx",
        source,
        lines_before: 0,
        binds,
        text: None,
    };
    let result = fanout.submit_source(client, work, engines, context).await?;
    // Read now: other cells may be sent while this one runs.
    let states = client
        .engines()
        .into_iter()
        .filter(|engine| engines.contains(&engine.id))
        .map(|engine| (engine.uuid.clone(), fanout.states.of(&engine)))
        .collect();
    tokio::select! {
        _ = result.wait(None) => {}
        () = context.interrupted().cancelled() => {
            return Err(Failure::Interrupted { lost: Vec::new() });
        }
    }
    match result.failure() {
        Some(failure) => Err(failure),
        None => Ok(states),
    }
}

/// Returns all words in a source that may be names, including those in strings, where `{name}` is a
/// value.
fn words(source: &str) -> HashSet<&str> {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    source.split(|c| !part_of_name(c)).collect()
}

fn first(failure: &Failure) -> Option<String> {
    let Failure::Compile { diagnostics } = failure else {
        return None;
    };
    Some(diagnostics.first()?.message.clone())
}

fn not_copied(reference: &str, failure: Failure) -> Failure {
    match first(&failure) {
        Some(why) => FunctionsError::Reference {
            reference: reference.to_owned(),
            why,
        }
        .into(),
        None => failure,
    }
}

fn not_bound(name: &str, ty: &str, failure: Failure) -> Failure {
    match first(&failure) {
        Some(why) => FunctionsError::Pushed {
            name: name.to_owned(),
            type_name: ty.to_owned(),
            why,
        }
        .into(),
        None => failure,
    }
}
