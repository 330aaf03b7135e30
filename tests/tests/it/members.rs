//! The tables of `docs/asyncresult.md` contain every member of ipyparallel's classes, and existing
//! members only.

use phalanx_tests::prepared::checkout;
use std::fs;

phalanx_tests::cases! {
    table_lists_all_members_and_existing_names()
}

/// The public members of ipyparallel's AsyncResult (`client/asyncresult.py`).
const ASYNC_RESULT: &[&str] = &[
    "get",
    "result",
    "r",
    "exception",
    "done",
    "add_done_callback",
    "await",
    "ready",
    "successful",
    "wait",
    "wait_for_output",
    "wait_for_send",
    "sent",
    "wait_interactive",
    "get_dict",
    "result_dict",
    "split",
    "join",
    "stream_output",
    "display_outputs",
    "abort",
    "progress",
    "len",
    "elapsed",
    "serial_time",
    "wall_time",
    "timedelta",
    "metadata",
    "msg_ids",
    "owner",
    "engine_id",
    "engine_uuid",
    "stdout",
    "stderr",
    "outputs",
    "data",
    "status",
    "execute_input",
    "error",
    "label",
];

/// The public members of its Client (`client/client.py`), without deprecated ones.
const CLIENT: &[&str] = &[
    "Client",
    "ids",
    "len",
    "direct_view",
    "load_balanced_view",
    "broadcast_view",
    "executor",
    "block",
    "outstanding",
    "history",
    "results",
    "metadata",
    "queue_status",
    "result_status",
    "get_result",
    "hub_history",
    "db_query",
    "purge_local_results",
    "purge_hub_results",
    "purge_results",
    "purge_everything",
    "resubmit",
    "abort",
    "clear",
    "shutdown",
    "send_signal",
    "wait",
    "wait_interactive",
    "wait_for_engines",
    "become_dask",
    "stop_dask",
    "activate",
    "close",
];

/// The public members of its DirectView (`client/view.py`).
const DIRECT_VIEW: &[&str] = &[
    "apply",
    "apply_async",
    "apply_sync",
    "execute",
    "run",
    "map",
    "map_async",
    "map_sync",
    "imap",
    "push",
    "update",
    "pull",
    "get",
    "scatter",
    "gather",
    "sync_imports",
    "importer",
    "remote",
    "parallel",
    "use_dill",
    "use_cloudpickle",
    "use_pickle",
    "set_flags",
    "temp_flags",
    "abort",
    "wait",
    "queue_status",
    "get_result",
    "purge_results",
    "shutdown",
    "clear",
    "activate",
    "track",
    "targets",
];

/// The public members of its LoadBalancedView (`client/view.py`).
const LOAD_BALANCED_VIEW: &[&str] = &[
    "apply",
    "apply_async",
    "apply_sync",
    "map",
    "map_async",
    "map_sync",
    "imap",
    "targets",
    "after",
    "follow",
    "timeout",
    "retries",
    "label",
    "set_flags",
    "temp_flags",
    "register_joblib_backend",
];

/// A section of the page: its title, members, the name of its variable, and the files of its Rust
/// types.
const SECTIONS: [(&str, &[&str], &str, &[&str]); 4] = [
    (
        "## AsyncResult",
        ASYNC_RESULT,
        "ar.",
        &[
            "async_result/mod.rs",
            "async_result/handle.rs",
            "async_result/iter.rs",
            "async_result/future.rs",
        ],
    ),
    ("## Client", CLIENT, "rc.", &["client.rs"]),
    (
        "## DirectView",
        DIRECT_VIEW,
        "dv.",
        &["view/direct.rs", "view/data.rs"],
    ),
    (
        "## LoadBalancedView",
        LOAD_BALANCED_VIEW,
        "lbv.",
        &["view/balanced.rs"],
    ),
];

fn table_lists_all_members_and_existing_names() {
    let page = fs::read_to_string(checkout("docs/asyncresult.md")).expect("the page");
    for (title, members, variable, files) in SECTIONS {
        let (_, section) = page.split_once(&format!("{title}\n")).expect(title);
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows: Vec<[&str; 2]> = section
            .lines()
            .filter_map(|line| {
                let mut columns = line.strip_prefix("| `")?.split(" | ");
                Some([columns.next()?, columns.next()?])
            })
            .collect();
        for member in members {
            let has = |row: &&[&str; 2]| words(row[0]).any(|word| word == *member);
            assert!(
                rows.iter().any(|row| has(&row)),
                "{title}: no row for {member}"
            );
        }
        let source: String = files
            .iter()
            .map(|file| checkout("crates/phalanx/src").join(file))
            .map(|path| fs::read_to_string(path).expect("the library's source"))
            .collect();
        for [python, rust] in rows {
            let calls = rust.match_indices(variable).filter(|(index, _)| {
                let before = rust[..*index].chars().next_back();
                !before.is_some_and(char::is_alphanumeric)
            });
            for (index, _) in calls {
                let call = &rust[index + variable.len()..];
                let call = call.strip_prefix("clone().").unwrap_or(call);
                let name = words(call).next().unwrap_or_default();
                let known = name == "await"
                    || [format!("fn {name}("), format!("fn {name}<")]
                        .iter()
                        .any(|head| source.contains(head));
                assert!(known, "{title}: {python}: there is no {name}");
            }
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}
