//! The state of engines, in the columns shared by `%engines`, `%cluster status`, `%cluster watch`
//! and `phalanx cluster status`.

use phalanx_client::{Client, Engine};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::look::table::table;
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::parallel::{EngineKind, EngineReport, EnginesReply};
use std::time::Duration;

/// Time limit for the controller's reply.
const REPLY_LIMIT: Duration = Duration::from_secs(2);

/// The headings; columns that are empty for all engines are omitted.
const HEADINGS: [&str; 11] = [
    "engine",
    "state",
    "pid",
    "host",
    "tasks",
    "done",
    "failed",
    "load",
    "memory",
    "last error",
    "version",
];

/// The state of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineRow {
    /// The engine's id.
    pub id: EngineId,
    /// `alive`, or a description of its end.
    pub state: String,
    /// The host name of its machine.
    pub host: String,
    /// Its process, if known.
    pub pid: Option<u32>,
    /// The version of its program.
    pub version: String,
    /// The controller's report on it.
    pub status: Option<EngineReport>,
}

/// Queries the controller for the state of its engines; `None` if it does not reply in time.
pub async fn ask(client: &Client) -> Option<EnginesReply> {
    let reply = tokio::time::timeout(REPLY_LIMIT, client.engine_status()).await;
    match reply {
        Ok(Ok(reply)) => Some(reply),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the controller does not report the state of its engines");
            None
        }
        Err(_) => None,
    }
}

/// Returns the rows of a client's engines, with the controller's reports.
pub fn rows(engines: &[Engine], known: Option<&EnginesReply>) -> Vec<EngineRow> {
    let row = |engine: &Engine| {
        let status = known
            .and_then(|known| known.engines.get(&engine.id))
            .cloned();
        let (host, version) = match engine.handshake() {
            Some(handshake) => (handshake.host.clone(), handshake.version.clone()),
            None => (String::new(), engine.kind.to_string()),
        };
        let (state, version) = match engine.kind {
            EngineKind::Silent => (version, String::new()),
            _ => ("alive".to_owned(), version),
        };
        EngineRow {
            id: engine.id,
            state,
            host,
            pid: None,
            version,
            status,
        }
    };
    let mut rows: Vec<EngineRow> = engines.iter().map(row).collect();
    rows.sort_by_key(|row| row.id);
    rows
}

/// Returns the table of engines, with an optional further column: its heading, and a cell for each
/// engine.
pub fn engines_table(
    title: &str,
    rows: &[EngineRow],
    own: Option<(&str, &[String])>,
) -> MimeBundle {
    let mut cells: Vec<Vec<String>> = rows.iter().map(EngineRow::cells).collect();
    let used: Vec<bool> = (0..HEADINGS.len())
        .map(|column| cells.iter().any(|row| !row[column].is_empty()))
        .collect();
    let keep = |column: usize| used.get(column).copied().unwrap_or(true);
    let mut headings: Vec<&str> = (0..HEADINGS.len())
        .filter(|column| keep(*column))
        .map(|column| HEADINGS[column])
        .collect();
    for row in &mut cells {
        let mut column = 0..;
        row.retain(|_| column.next().is_none_or(keep));
    }
    if let Some((heading, own)) = own {
        headings.push(heading);
        for (row, cell) in cells.iter_mut().zip(own) {
            row.push(cell.clone());
        }
    }
    table(title, &headings, &cells)
}

impl EngineRow {
    fn cells(&self) -> Vec<String> {
        let status = self.status.as_ref();
        let vitals = status.and_then(|status| status.vitals.as_ref());
        let number = |number: Option<usize>| number.map_or_else(String::new, |n| n.to_string());
        let pid = self.pid.map_or_else(String::new, |pid| pid.to_string());
        vec![
            self.id.to_string(),
            self.state.clone(),
            pid,
            self.host.clone(),
            number(status.map(|status| status.tasks)),
            number(status.map(EngineReport::succeeded)),
            number(status.map(|status| status.failed)),
            vitals.map_or_else(String::new, |vitals| cores(vitals.cores)),
            vitals.map_or_else(String::new, |vitals| size(vitals.memory)),
            self.last_error().unwrap_or_default(),
            self.version.clone(),
        ]
    }

    /// Returns the last failure of its tasks, in one line.
    pub fn last_error(&self) -> Option<String> {
        let error = self.status.as_ref()?.last_error.as_ref()?;
        let first = error.evalue.lines().next().unwrap_or_default();
        Some(match first {
            "" => error.ename.clone(),
            words => format!("{}: {words}", error.ename),
        })
    }
}

/// Formats a number of busy cores.
pub fn cores(cores: f64) -> String {
    // The sum of no numbers is -0.0.
    format!("{:.1}", cores.max(0.0) + 0.0)
}

/// Formats a number of bytes.
pub fn size(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        ..1000.0 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineUuid;
    use phalanx_protocol::parallel::Vitals;
    use serde_json::json;

    fn row(id: u32) -> EngineRow {
        EngineRow {
            id: EngineId(id),
            state: "alive".to_owned(),
            host: String::new(),
            pid: None,
            version: String::new(),
            status: None,
        }
    }

    #[test]
    fn empty_columns_are_left_out() {
        let status = EngineReport {
            uuid: EngineUuid::new("a"),
            tasks: 2,
            completed: 7,
            failed: 1,
            vitals: Some(Vitals {
                host: "here".to_owned(),
                memory: 1_234_000_000,
                cores: 0.96,
            }),
            last_error: serde_json::from_value(
                json!({"ename": "Panic", "evalue": "oh\nno", "received": "2026-01-01T00:00:00Z"}),
            )
            .unwrap(),
        };
        let rows = [
            EngineRow {
                status: Some(status),
                ..row(0)
            },
            row(1),
        ];
        let own = ["a, b".to_owned(), String::new()];
        let table = engines_table("2 engines", &rows, Some(("variables", &own)));
        let lines: Vec<Vec<&str>> = table
            .text()
            .unwrap()
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected = "engine state tasks done failed load memory last error variables";
        assert!(
            lines.iter().any(|line| line.join(" ") == expected),
            "{lines:?}"
        );
        let expected = "0 alive 2 6 1 1.0 1.2 GB Panic: oh a, b";
        assert!(
            lines.iter().any(|line| line.join(" ") == expected),
            "{lines:?}"
        );
    }

    #[test]
    fn sizes_are_abbreviated() {
        assert_eq!([size(0), size(12_345_678)], ["0 MB", "12 MB"]);
        assert_eq!(size(3_210_000_000), "3.2 GB");
    }
}
