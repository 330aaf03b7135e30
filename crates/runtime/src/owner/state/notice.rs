//! Notices about snapshots, as text in the cell's stderr.

use phalanx_protocol::runtime::NoSnapshot;

/// The notice that a cell runs without a snapshot, with the consequences.
pub(super) fn unprotected(why: &NoSnapshot) -> Option<String> {
    let because = match why {
        NoSnapshot::Off => return None,
        NoSnapshot::Threads(names) => format!("threads are running ({})", list(names)),
        NoSnapshot::Failed(message) => format!("its process cannot be copied ({message})"),
    };
    Some(format!(
        "phalanx: this cell runs without a snapshot, because {because}: a crash or an interrupt \
         costs all variables; code that looks at `phalanx::interrupted()` can stop by itself\n"
    ))
}

/// The notice that threads of earlier cells are lost, but not the variables that refer to them.
pub(super) fn without_threads(names: &[String]) -> String {
    format!(
        "phalanx: the notebook goes on from the copy of its process made before this cell, which has no \
         threads of earlier cells ({}): pools and runtimes start new ones; a variable that waits for one \
         of these threads waits until it is interrupted\n",
        list(names)
    )
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
