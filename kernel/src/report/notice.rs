//! Notices to the user while a cell goes on.

use phalanx_protocol::evaluator::{DroppedVariables, UnkeptReason, UnkeptVariable};
use std::time::Duration;

/// Something the user should know of that is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The types of these variables are other ones now, so they were dropped before the cell ran.
    Dropped(DroppedVariables),
    /// The cell sets the allocator, which belongs to the standard library that all cells share.
    Allocator,
    /// The types of these variables have changed with the dependencies, so they are gone.
    Lost(Vec<String>),
    /// Later cells do not have these variables.
    Unkept(Vec<UnkeptVariable>),
    /// The controller of the engines is out of reach, and tried again for so long.
    ConnectionLost(Duration),
    /// It is there again.
    ConnectionBack,
}

/// Tells it, in a line for stderr.
pub fn notice(notice: &Notice) -> String {
    let (what, names) = match notice {
        Notice::Allocator => {
            let told = "`#[global_allocator]` has no effect in a cell: all cells share the allocator of the \
                        standard library they are linked to\n";
            return told.to_owned();
        }
        Notice::Dropped(DroppedVariables { names, rebuilt }) => match &rebuilt[..] {
            [] => (
                "dropped, because this cell defines their types anew".to_owned(),
                names,
            ),
            _ => {
                let verb = if rebuilt.len() == 1 { "was" } else { "were" };
                let crates = quoted(rebuilt);
                (
                    format!("dropped, because {crates} {verb} built anew"),
                    names,
                )
            }
        },
        Notice::Unkept(variables) => {
            let told = variables.iter().map(unkept);
            return format!(
                "not kept for later cells: {}\n",
                told.collect::<Vec<_>>().join(", ")
            );
        }
        Notice::ConnectionLost(limit) => {
            let seconds = limit.as_secs();
            return format!(
                "the connection to the controller is lost; it is tried again for {seconds} s\n"
            );
        }
        Notice::ConnectionBack => return "the controller is there again\n".to_owned(),
        Notice::Lost(names) => ("lost, because their types have changed".to_owned(), names),
    };
    format!("{what}: {}\n", quoted(names))
}

/// A variable, and what to do for it to be kept.
fn unkept(variable: &UnkeptVariable) -> String {
    let UnkeptVariable { name, reason } = variable;
    let why = match reason {
        UnkeptReason::Borrowed => {
            "it borrows from another value; keep a copy (`.to_owned()`, `.cloned()`)".to_owned()
        }
        UnkeptReason::Closure => "a closure; keep it as `Box<dyn Fn(…) -> …>`".to_owned(),
        UnkeptReason::Uninitialized => "it may have no value".to_owned(),
        UnkeptReason::Unknown => {
            format!("its type could not be inferred; write `let {name}: Type = …`")
        }
        UnkeptReason::Unnameable { ty } if ty.contains('!') => format!("a `{ty}`"),
        UnkeptReason::Unnameable { ty } => {
            format!("the type `{ty}` cannot be written; keep it as `Box<dyn Trait>`")
        }
    };
    format!("`{name}` ({why})")
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named() {
        let mut dropped = DroppedVariables {
            names: vec!["a".to_owned(), "b".to_owned()],
            rebuilt: Vec::new(),
        };
        assert_eq!(
            notice(&Notice::Dropped(dropped.clone())),
            "dropped, because this cell defines their types anew: `a`, `b`\n"
        );
        dropped.rebuilt = vec!["serde_json".to_owned()];
        assert_eq!(
            notice(&Notice::Dropped(dropped)),
            "dropped, because `serde_json` was built anew: `a`, `b`\n"
        );
        let unkept = [
            ("f", UnkeptReason::Closure),
            ("words", UnkeptReason::Borrowed),
        ];
        let unkept = unkept.map(|(name, reason)| UnkeptVariable {
            name: name.to_owned(),
            reason,
        });
        assert_eq!(
            notice(&Notice::Unkept(unkept.to_vec())),
            "not kept for later cells: `f` (a closure; keep it as `Box<dyn Fn(…) -> …>`), \
             `words` (it borrows from another value; keep a copy (`.to_owned()`, `.cloned()`))\n"
        );
    }
}
