//! Notices to the user while a cell runs.

use super::wrap::wrap_message;
use phalanx_protocol::evaluator::{DroppedVariables, UnkeptReason, UnkeptVariable};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::IdRanges;
use std::time::Duration;

/// Information for the user that is not a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These variables were dropped before the cell ran, since their types were redefined.
    Dropped(DroppedVariables),
    /// The cell sets the allocator, which has no effect: all cells share the standard library's.
    Allocator,
    /// These variables were lost, since their types changed with the dependencies.
    Lost(Vec<String>),
    /// The process with these variables ended while no cell ran.
    ProcessEnded(RuntimeExit, Vec<String>),
    /// A notice that concerns these engines.
    OnEngines(Vec<EngineId>, Box<Self>),
    /// An item of an earlier cell does not compile any more.
    Misfit {
        /// Its first line.
        item: String,
        /// The cell's name.
        cell: String,
        /// The type that the running cell has redefined.
        redefined: String,
    },
    /// These variables are not kept for later cells.
    Unkept(Vec<UnkeptVariable>),
    /// A part of another notebook's cell does not compile in this one.
    LeftOut(LeftOutCell),
    /// A dependency of another notebook cannot be built here: its `:dep`, and the reason.
    DependencyLeftOut(String, String),
    /// These engines do not answer, so that the cell or call runs on the others only.
    Silent(Vec<EngineId>),
    /// The connection to the controller is lost; reconnection is attempted for this time.
    ConnectionLost(Duration),
    /// The connection to the controller is restored.
    ConnectionBack,
}

/// A cell of another notebook, a part of which does not compile in this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutCell {
    /// The name of the cell.
    pub cell: String,
    /// The names of what that part defines: items with their kind, variables.
    pub names: Vec<String>,
    /// The first error of rustc.
    pub why: String,
}

/// Formats a notice for stderr.
pub fn notice(notice: &Notice) -> String {
    wrap_message(&line(notice), 0, INDENT)
}

/// The iterators of the standard library that contain a closure.
const ITERATORS: [&str; 13] = [
    "Filter",
    "FilterMap",
    "FlatMap",
    "FromFn",
    "Inspect",
    "Map",
    "MapWhile",
    "RepeatWith",
    "Scan",
    "SkipWhile",
    "Successors",
    "TakeWhile",
    "MapWindows",
];

/// The indentation of a notice's further lines.
const INDENT: usize = 2;

fn line(notice: &Notice) -> String {
    let (what, names) = match notice {
        Notice::Allocator => {
            let text = "`#[global_allocator]` has no effect in a cell: all cells share the allocator of the \
                        standard library they are linked to\n";
            return text.to_owned();
        }
        Notice::OnEngines(engines, notice) => {
            let noun = if engines.len() == 1 {
                "engine"
            } else {
                "engines"
            };
            // As in the labels of errors.
            let engines = IdRanges(engines.clone()).to_string();
            let engines = engines.replace('-', "–").replace(',', ", ");
            return format!("on {noun} {engines}: {}", line(notice));
        }
        Notice::Misfit {
            item,
            cell,
            redefined,
        } => {
            let head = item.split('{').next().unwrap_or_default().trim();
            return format!(
                "`{head}` of {cell} does not fit `{redefined}` any more: change it, and run that cell again\n"
            );
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
            let text = variables.iter().map(unkept);
            return format!(
                "not kept for later cells: {}\n",
                text.collect::<Vec<_>>().join(", ")
            );
        }
        Notice::LeftOut(LeftOutCell { cell, names, why }) => {
            let what = match &names[..] {
                [] => String::new(),
                names => format!(": {}", quoted(names)),
            };
            return format!(
                "not taken over from {cell}, because it does not compile here ({why}){what}\n"
            );
        }
        Notice::DependencyLeftOut(spec, why) => {
            return format!("`:dep {spec}` of another notebook cannot be built here: {why}\n");
        }
        Notice::Silent(engines) => {
            let (noun, verb, are) = match engines.len() {
                1 => ("engine", "does", "is"),
                _ => ("engines", "do", "are"),
            };
            let engines = IdRanges(engines.clone()).to_string();
            let engines = engines.replace('-', "–").replace(',', ", ");
            return format!(
                "{noun} {engines} {verb} not answer, and {are} left out (stopped, unreachable, or Python at work)\n"
            );
        }
        Notice::ConnectionLost(limit) => {
            let seconds = limit.as_secs();
            return format!(
                "the connection to the controller is lost; it is tried again for {seconds} s\n"
            );
        }
        Notice::ConnectionBack => return "the controller is reachable again\n".to_owned(),
        Notice::ProcessEnded(status, names) => (
            format!("lost, because their process has ended ({status})"),
            names,
        ),
        Notice::Lost(names) => ("lost, because their types have changed".to_owned(), names),
    };
    format!("{what}: {}\n", quoted(names))
}

/// Describes a variable that is not kept, and the remedy.
fn unkept(variable: &UnkeptVariable) -> String {
    format!("`{}` ({})", variable.name, unkept_reason(variable))
}

/// Describes the reason why a variable is not kept, and the remedy.
pub fn unkept_reason(variable: &UnkeptVariable) -> String {
    let UnkeptVariable { name, reason } = variable;
    match reason {
        UnkeptReason::Borrowed => {
            "it borrows from another value; keep a copy (`.to_owned()`, `.cloned()`)".to_owned()
        }
        UnkeptReason::Closure => "a closure; keep it as `Box<dyn Fn(…) -> …>`".to_owned(),
        UnkeptReason::Uninitialized => "it may have no value".to_owned(),
        UnkeptReason::Unknown => {
            format!("its type could not be inferred; write `let {name}: Type = …`")
        }
        UnkeptReason::Unnameable { ty } if ty.contains('!') => format!("a `{ty}`"),
        UnkeptReason::Unnameable { ty } if is_iterator(ty) => {
            "an iterator; keep what it yields (`.collect::<Vec<_>>()`)".to_owned()
        }
        UnkeptReason::Unnameable { ty } => {
            format!("the type `{ty}` cannot be written; keep it as `Box<dyn Trait>`")
        }
    }
}

/// Returns true for the type of an adapter of the standard library's iterators.
fn is_iterator(ty: &str) -> bool {
    let path = ty.split('<').next().unwrap_or_default();
    let name = path.rsplit("::").next().unwrap_or_default();
    ITERATORS.contains(&name)
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
            line(&Notice::Dropped(dropped.clone())),
            "dropped, because this cell defines their types anew: `a`, `b`\n"
        );
        dropped.rebuilt = vec!["serde_json".to_owned()];
        assert_eq!(
            line(&Notice::Dropped(dropped)),
            "dropped, because `serde_json` was built anew: `a`, `b`\n"
        );
        let misfit = Notice::Misfit {
            item: "impl Count for Vec<M> { fn count() -> u8 { 1 } }".to_owned(),
            cell: "In[4]".to_owned(),
            redefined: "M".to_owned(),
        };
        assert_eq!(
            line(&misfit),
            "`impl Count for Vec<M>` of In[4] does not fit `M` any more: change it, and run that cell again\n"
        );
        assert_eq!(
            line(&Notice::OnEngines(
                [0, 1, 3].map(EngineId).to_vec(),
                Box::new(misfit)
            )),
            "on engines 0–1, 3: `impl Count for Vec<M>` of In[4] does not fit `M` any more: change it, and run that cell again\n"
        );
        let left_out = LeftOutCell {
            cell: "In[4] of another notebook".to_owned(),
            names: vec!["fn f".to_owned(), "a".to_owned()],
            why: "cannot find `x`".to_owned(),
        };
        assert_eq!(
            line(&Notice::LeftOut(left_out)),
            "not taken over from In[4] of another notebook, because it does not compile here (cannot find `x`): \
             `fn f`, `a`\n"
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
            line(&Notice::Unkept(unkept.to_vec())),
            "not kept for later cells: `f` (a closure; keep it as `Box<dyn Fn(…) -> …>`), \
             `words` (it borrows from another value; keep a copy (`.to_owned()`, `.cloned()`))\n"
        );
    }
}
