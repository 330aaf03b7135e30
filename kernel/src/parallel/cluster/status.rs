//! The status of the cluster, as a table.

use super::ClusterError;
use super::engines::LaunchedEngines;
use super::rows::{self, EngineRow, engines_table};
use phalanx_client::Client;
use phalanx_protocol::look::table::table;
use phalanx_protocol::output::MimeBundle;

/// Returns the status without a cluster; `stopped` is the end of one that was stopped elsewhere.
pub(super) fn none(stopped: Option<&ClusterError>) -> MimeBundle {
    let title = match stopped {
        Some(stopped) => {
            let end = stopped.to_string();
            let end = end.strip_prefix("the ").unwrap_or(&end);
            format!("The {end}; `%cluster start -n 4` starts one.")
        }
        None => "No cluster is running; `%cluster start -n 4` starts one.".to_owned(),
    };
    table(&title, &[], &[])
}

/// Returns the table of a cluster's engines: those known to the controller, and launched ones that
/// have ended.
pub(super) async fn status(
    client: &Client,
    launched: &mut LaunchedEngines,
    how: &str,
) -> MimeBundle {
    let known = rows::ask(client).await;
    let mut rows = rows::rows(&client.engines(), known.as_ref());
    let title = format!("{} running; {how}", count(rows.len()));
    for row in &mut rows {
        row.pid = launched.pid_of(row.id);
    }
    rows.extend(launched.ended().into_iter().map(|engine| EngineRow {
        id: engine.id,
        state: format!("ended ({})", engine.status),
        host: String::new(),
        pid: engine.pid,
        version: String::new(),
        status: None,
    }));
    rows.sort_by_key(|row| row.id);
    engines_table(&title, &rows, None)
}

/// Formats a number of engines.
pub fn count(engines: usize) -> String {
    match engines {
        1 => "1 engine".to_owned(),
        engines => format!("{engines} engines"),
    }
}
