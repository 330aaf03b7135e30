//! Notices of a cell's owner about its snapshots, as text in the cell's stderr.

use phalanx_protocol::runtime::NoSnapshot;

/// That a cell runs without a snapshot, and what follows from it.
pub(super) fn unprotected(why: &NoSnapshot) -> Option<String> {
    let because = match why {
        NoSnapshot::Off => return None,
        NoSnapshot::Threads(names) => format!("threads are at work ({})", list(names)),
        NoSnapshot::Failed(message) => format!("its process cannot be copied ({message})"),
    };
    Some(format!(
        "phalanx: this cell runs without a snapshot, because {because}: a crash or an interrupt \
         costs all variables; code that looks at `phalanx::interrupted()` can stop by itself\n"
    ))
}

/// That threads of earlier cells are gone, though variables that refer to them are not.
pub(super) fn without_threads(names: &[String]) -> String {
    format!(
        "phalanx: threads of earlier cells are not part of a snapshot ({}): a pool or a runtime starts \
         new ones; a variable that waits for the old ones waits for ever, and an interrupt ends it\n",
        list(names)
    )
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
