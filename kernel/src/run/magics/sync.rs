//! `%cluster sync`: replays definitions on engines that missing them.

use super::cluster::engine_count;
use crate::cell::items;
use crate::context::CellContext;
use crate::magic::{Blocking, MagicError, MagicProblem, PxDefaults, PxOptions, PxPlan, Targets};
use crate::parallel::Parallel;
use crate::parallel::cluster::ClusterError;
use crate::parallel::fanout::{EngineSource, Fanout, FanoutError, PX_NAME};
use crate::report::{Fault, FaultSource, report};
use phalanx_client::{Client, Engine};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::StreamName;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// The beginning of the name of an import among the items of a cell.
const IMPORT: &str = "use ";

/// The state of an engine: the sources that led to it, and its variables.
struct EngineSnapshot {
    engine: EngineId,
    sources: Vec<Arc<str>>,
    variables: Vec<String>,
}

/// The definitions that an engine lacks.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct MissingDefinitions {
    /// The items of each missed cell as source, and their names.
    cells: Vec<(String, Vec<String>)>,
    variables: Vec<String>,
}

/// Replays the definitions of the engine with the longest history on engines that missing them, and
/// reports the variables, whose values cannot be replayed.
pub(super) async fn sync(
    parallel: &Parallel,
    context: &CellContext,
    targets: Option<(Targets, Range<usize>)>,
    location: FaultSource,
    start: usize,
) -> Result<(), Fault> {
    let cluster = parallel.cluster();
    let Some(client) = cluster.client().await else {
        cluster
            .check_stopped_elsewhere()
            .await
            .map_err(Failure::from)?;
        return Err(Failure::from(ClusterError::NotRunning).into());
    };
    let engines = client.rust_engines();
    if engines.is_empty() {
        return Err(FanoutError::no_engine(&client.engines()).into());
    }
    let ids: Vec<EngineId> = engines.iter().map(|engine| engine.id).collect();
    let (targets, span) = targets.unwrap_or((Targets::All, 0..0));
    let wanted = targets.resolve(&ids).map_err(|error| {
        let problem = MagicProblem::Targets {
            error,
            live: ids.clone(),
            foreign: 0,
            silent: Vec::new(),
        };
        MagicError::new(span, problem).into_fault(location, start)
    })?;
    parallel.fanout().adopt(&client, &ids, context).await?;
    let snapshots = snapshots(parallel.fanout(), &engines).await;
    // The first of those with the longest history; `max_by_key` alone would return the last.
    let longest = snapshots
        .iter()
        .rev()
        .max_by_key(|snapshot| snapshot.sources.len());
    let Some(model) = longest else {
        return Err(Failure::NoEngines.into());
    };
    let mut behind: BTreeMap<MissingDefinitions, Vec<EngineId>> = BTreeMap::new();
    for snapshot in snapshots
        .iter()
        .filter(|snapshot| wanted.contains(&snapshot.engine))
    {
        let missing = missing_definitions(model, snapshot);
        if !missing.cells.is_empty() || !missing.variables.is_empty() {
            behind.entry(missing).or_default().push(snapshot.engine);
        }
    }
    if behind.is_empty() {
        let text = format!("{} up to date.\n", engine_count(wanted.len()));
        context.sink().text(StreamName::Stdout, text).await;
    }
    for (missing, engines) in behind {
        let failures = replay(parallel.fanout(), context, &client, &missing, &engines).await?;
        let text = describe(&missing, &engines, &failures);
        context.sink().text(StreamName::Stdout, text).await;
    }
    Ok(())
}

async fn snapshots(fanout: &Fanout, engines: &[Engine]) -> Vec<EngineSnapshot> {
    let compiler = &fanout.compiler;
    let mut snapshots = Vec::with_capacity(engines.len());
    for engine in engines.iter().filter(|engine| engine.handshake().is_some()) {
        let state = fanout.states.of(engine);
        snapshots.push(EngineSnapshot {
            engine: engine.id,
            sources: compiler.sources(state.clone()).await,
            variables: compiler.variables(state).await,
        });
    }
    snapshots
}

/// Returns the definitions in `model` that are missing in `snapshot`.
fn missing_definitions(model: &EngineSnapshot, snapshot: &EngineSnapshot) -> MissingDefinitions {
    let had: HashSet<String> = snapshot
        .sources
        .iter()
        .flat_map(|source| items(source))
        .map(|item| item.text)
        .collect();
    let cells = model.sources.iter().filter_map(|source| {
        let missed = items(source);
        let missed: Vec<_> = missed
            .into_iter()
            .filter(|item| !had.contains(&item.text))
            .collect();
        let texts: Vec<&str> = missed.iter().map(|item| item.text.as_str()).collect();
        let replayed = texts.join("\n");
        let names = missed.into_iter().map(|item| item.name).collect();
        (!replayed.is_empty()).then_some((replayed, names))
    });
    let variables = model.variables.iter();
    let variables = variables.filter(|name| !snapshot.variables.contains(name));
    MissingDefinitions {
        cells: cells.collect(),
        variables: variables.cloned().collect(),
    }
}

/// Runs the items of each missed cell as a cell; returns descriptions of failures.
async fn replay(
    fanout: &Fanout,
    context: &CellContext,
    client: &Client,
    missing: &MissingDefinitions,
    engines: &[EngineId],
) -> Result<Vec<String>, Failure> {
    let ids = engines.iter().map(|id| i64::from(id.0)).collect();
    let options = PxOptions {
        targets: Some((Targets::List(ids), 0..0)),
        blocking: Some(Blocking::Wait),
        ..PxOptions::default()
    };
    let plan = PxPlan::new(options, &PxDefaults::default(), engines)?;
    let mut failures = Vec::new();
    for (source, names) in &missing.cells {
        let work = EngineSource {
            name: PX_NAME,
            source,
            lines_before: 0,
            binds: None,
            text: None,
        };
        let submitted = fanout
            .submit_planned(client.clone(), &plan, work, context)
            .await;
        let failure = match submitted {
            Err(failure @ Failure::Interrupted { .. }) => return Err(failure),
            Err(failure) => Some(failure),
            Ok(submitted) => {
                let result = submitted.stored.result;
                tokio::select! {
                    _ = result.wait(None) => result.failure(),
                    () = context.interrupted().cancelled() => {
                        return Err(Failure::Interrupted { lost: Vec::new() });
                    }
                }
            }
        };
        if let Some(failure) = failure {
            let why = report(&failure.into()).evalue;
            failures.push(format!("{}: {why}", names.join(", ")));
        }
    }
    Ok(failures)
}

fn describe(missing: &MissingDefinitions, engines: &[EngineId], failures: &[String]) -> String {
    let ids: Vec<String> = engines.iter().map(ToString::to_string).collect();
    let ids = ids.join(", ");
    let noun = if engines.len() == 1 {
        "Engine"
    } else {
        "Engines"
    };
    let names = missing.cells.iter().flat_map(|(_, names)| names);
    // A cell that was run twice is missing twice.
    let mut seen = HashSet::new();
    let names = names.filter(|name| seen.insert(*name));
    // An import defines nothing, and its path does not show what the engine can do now.
    let (imports, definitions): (Vec<&str>, Vec<&str>) = names
        .map(String::as_str)
        .partition(|name| name.starts_with(IMPORT));
    let mut replayed = match definitions.as_slice() {
        [] => Vec::new(),
        names => vec![names.join(", ")],
    };
    match imports.len() {
        0 => {}
        1 => replayed.push("1 import".to_owned()),
        imports => replayed.push(format!("{imports} imports")),
    }
    let mut text = match replayed.as_slice() {
        [] => format!("{noun} {ids}: no definition was missing"),
        replayed => format!("{noun} {ids}: replayed {}", replayed.join(" and ")),
    };
    if !missing.variables.is_empty() {
        let _ = write!(
            text,
            "; the values of variables are not copied: run the cells that define {} with `%%px --targets {}`",
            missing.variables.join(", "),
            ids.replace(' ', "")
        );
    }
    text.push('\n');
    for failure in failures {
        let _ = writeln!(text, "  could not be replayed: {failure}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(engine: u32, sources: &[&str], variables: &[&str]) -> EngineSnapshot {
        EngineSnapshot {
            engine: EngineId(engine),
            sources: sources.iter().map(|source| (*source).into()).collect(),
            variables: variables.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn definitions_are_replayed_and_missing_variables_are_listed() {
        let model = snapshot(
            0,
            &["fn f() {}\nlet a = 1;", "struct S;", "let b = 2;"],
            &["a", "b"],
        );
        let late = missing_definitions(&model, &snapshot(2, &["struct S;"], &[]));
        assert_eq!(
            late.cells,
            [("fn f() {}".to_owned(), vec!["fn f".to_owned()])]
        );
        assert_eq!(late.variables, ["a", "b"]);
        assert_eq!(
            describe(&late, &[EngineId(2)], &[]),
            "Engine 2: replayed fn f; the values of variables are not copied: run the cells that define a, b with `%%px --targets 2`\n"
        );
        let twice = MissingDefinitions {
            cells: vec![late.cells[0].clone(), late.cells[0].clone()],
            variables: Vec::new(),
        };
        assert_eq!(
            describe(&twice, &[EngineId(2)], &[]),
            "Engine 2: replayed fn f\n"
        );
        // After the replay, no definitions are missing.
        let again = missing_definitions(
            &model,
            &snapshot(2, &["struct S;", "fn f() {}"], &["a", "b"]),
        );
        assert_eq!(
            again,
            MissingDefinitions {
                cells: vec![],
                variables: vec![]
            }
        );
    }

    #[test]
    fn replayed_imports_are_counted() {
        let model = snapshot(
            0,
            &[
                "use std::time::Duration;\nuse std::fmt;\nfn wait() {}",
                "use std::io;",
            ],
            &[],
        );
        let late = |sources: &[&str]| {
            describe(
                &missing_definitions(&model, &snapshot(2, sources, &[])),
                &[EngineId(2), EngineId(3)],
                &[],
            )
        };
        assert_eq!(late(&[]), "Engines 2, 3: replayed fn wait and 3 imports\n");
        let known = "use std::time::Duration;\nuse std::fmt;\nfn wait() {}";
        assert_eq!(late(&[known]), "Engines 2, 3: replayed 1 import\n");
    }
}
