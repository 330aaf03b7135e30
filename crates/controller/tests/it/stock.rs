//! ipyparallel's own Client and engines.

use crate::cluster::clusters;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// A Python interpreter with ipyparallel.
const PYTHON: &str = "PHALANX_TEST_PYTHON";
/// Python peers start slowly.
const STOCK_LIMIT: Duration = Duration::from_secs(120);

const SCRIPT: &str = include_str!("stock.py");

#[tokio::test]
async fn a_stock_client_and_stock_engines_work_and_their_end_is_noticed() {
    let Ok(python) = std::env::var(PYTHON) else {
        eprintln!("SKIPPED: {PYTHON} does not name a Python with ipyparallel");
        return;
    };
    let mut clusters = clusters("stock").await;
    let cluster = clusters.swap_remove(0);
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg("-c")
        .arg(SCRIPT)
        .arg(cluster.controller.client_path())
        .arg(cluster.controller.engine_path())
        .arg(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(STOCK_LIMIT, output)
        .await
        .unwrap()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{complained}");
    // Stock clients create replies for an exited engine themselves; ours must not arrive as unknown
    // ones.
    assert!(
        !printed.contains("stale result") && !printed.contains("unknown result"),
        "{printed}"
    );
    assert!(printed.ends_with("all done\n"), "{printed}");
    cluster.controller.ended().await;
}
