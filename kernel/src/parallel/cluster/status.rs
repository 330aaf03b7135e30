//! The status of the cluster, as a table.

use super::engines::EngineProcess;
use crate::report::table::table;
use phalanx_client::{Client, Engine};
use phalanx_protocol::output::MimeBundle;

/// There is none.
pub(super) fn none() -> MimeBundle {
    table(
        "No cluster is running; `%cluster start -n 4` starts one.",
        &[],
        &[],
    )
}

/// The engines of a cluster: those the controller knows, and the processes that were started.
pub(super) fn status(client: &Client, processes: &mut [EngineProcess], how: &str) -> MimeBundle {
    let engines = client.engines();
    let mut rows: Vec<Vec<String>> = engines
        .iter()
        .map(|engine| alive(engine, processes))
        .collect();
    for process in processes.iter_mut() {
        if let Some(status) = process.status() {
            rows.push(vec![
                process.number.to_string(),
                format!("ended ({status})"),
                process.pid.to_string(),
                String::new(),
                String::new(),
            ]);
        }
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

fn alive(engine: &Engine, processes: &mut [EngineProcess]) -> Vec<String> {
    let number = usize::try_from(engine.id.0).unwrap_or(usize::MAX);
    let mut own = processes.iter_mut();
    let own = own.find_map(|process| {
        let lives = process.number == number && process.status().is_none();
        lives.then_some(process.pid)
    });
    let pid = own.map_or_else(String::new, |pid| pid.to_string());
    let (host, version) = match &engine.handshake {
        Some(handshake) => (
            handshake.host.clone(),
            format!("phalanx-engine {}", handshake.version),
        ),
        None => (String::new(), "not a Rust engine".to_owned()),
    };
    vec![
        engine.id.to_string(),
        "alive".to_owned(),
        pid,
        host,
        version,
    ]
}
