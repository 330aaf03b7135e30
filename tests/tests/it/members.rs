//! The table of `docs/asyncresult.md` names members that there are.

use phalanx_tests::prepared::checkout;
use std::fs;

/// Everything ipyparallel's AsyncResult has (`client/asyncresult.py`), without private names.
const MEMBERS: [&str; 40] = [
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

#[test]
fn every_member_has_its_row_and_what_the_rows_name_is_there() {
    let table = fs::read_to_string(checkout("docs/asyncresult.md")).expect("the table");
    let rows: Vec<[&str; 2]> = table
        .lines()
        .filter_map(|line| {
            let mut columns = line.strip_prefix("| `")?.split(" | ");
            Some([columns.next()?, columns.next()?])
        })
        .collect();
    for member in MEMBERS {
        let has = |row: &&[&str; 2]| words(row[0]).any(|word| word == member);
        assert!(rows.iter().any(|row| has(&row)), "no row for {member}");
    }
    let source = ["mod.rs", "handle.rs", "iter.rs", "future.rs"].map(|file| {
        let path = checkout("crates/phalanx/src/async_result").join(file);
        fs::read_to_string(path).expect("the library's source")
    });
    let source = source.concat();
    for [python, rust] in rows {
        for call in rust.split("ar.").skip(1) {
            let name = words(call).next().unwrap_or_default();
            let known = name == "await" || source.contains(&format!("fn {name}"));
            assert!(known, "{python}: there is no {name}");
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}
