//! The status of the cluster, as a table.

use super::engines::LaunchedEngines;
use phalanx_client::{Client, Engine};
use phalanx_protocol::look::table::table;
use phalanx_protocol::output::MimeBundle;

/// There is none.
pub(super) fn none() -> MimeBundle {
    table(
        "No cluster is running; `%cluster start -n 4` starts one.",
        &[],
        &[],
    )
}

/// The engines of a cluster: those the controller knows, and those that were started and have ended.
pub(super) fn status(client: &Client, launched: &mut LaunchedEngines, how: &str) -> MimeBundle {
    let engines = client.engines();
    let mut rows: Vec<Vec<String>> = engines
        .iter()
        .map(|engine| alive(engine, launched))
        .collect();
    for engine in launched.ended() {
        rows.push(vec![
            engine.id.to_string(),
            format!("ended ({})", engine.status),
            engine.pid.map_or_else(String::new, |pid| pid.to_string()),
            String::new(),
            String::new(),
        ]);
    }
    rows.sort_by_key(|row| row[0].parse::<u64>().unwrap_or(u64::MAX));
    let title = format!("{} running; {how}", count(engines.len()));
    table(
        &title,
        &["engine", "state", "pid", "host", "version"],
        &rows,
    )
}

/// A number of engines in words.
pub(super) fn count(engines: usize) -> String {
    match engines {
        1 => "1 engine".to_owned(),
        engines => format!("{engines} engines"),
    }
}

fn alive(engine: &Engine, launched: &mut LaunchedEngines) -> Vec<String> {
    let pid = launched.pid_of(engine.id);
    let pid = pid.map_or_else(String::new, |pid| pid.to_string());
    let host = engine
        .handshake()
        .map_or_else(String::new, |h| h.host.clone());
    vec![
        engine.id.to_string(),
        "alive".to_owned(),
        pid,
        host,
        engine.kind.to_string(),
    ]
}
