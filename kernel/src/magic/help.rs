//! Help on magics, made of the tables their parser reads.

use super::options::{CLUSTER_START, OptionSpec, PX, PXCONFIG, PXRESULT};
use std::fmt::Write as _;

/// What `?` after a magic shows, as text.
pub fn help(name: &str) -> String {
    let (usage, about, options): (&str, &str, &[OptionSpec]) = match name {
        "px" => (
            "%px [OPTIONS] CODE\n%%px [OPTIONS]\nCODE …",
            "Runs Rust on the engines. The cell is compiled once for all engines in the same state.",
            PX,
        ),
        "pxresult" => (
            "%pxresult [OPTIONS]",
            "Waits for the last `%px` and shows its outputs.",
            PXRESULT,
        ),
        "pxconfig" => (
            "%pxconfig [OPTIONS]",
            "Sets what holds for `%px` and `%%px` where an option is not given.",
            PXCONFIG,
        ),
        _ => (
            "%cluster start [-n N] | stop | status",
            "Starts a controller and engines on this machine, ends them, or tells how they are.",
            CLUSTER_START,
        ),
    };
    let mut text = format!("{usage}\n\n{about}\n\nOptions:\n");
    for spec in options {
        let mut left = match spec.short {
            Some(short) => format!("-{short}, --{}", spec.long),
            None => format!("    --{}", spec.long),
        };
        if let Some(value) = spec.value {
            let _ = write!(left, " {value}");
        }
        let _ = writeln!(text, "  {left:<38} {}", spec.help);
    }
    text
}

/// The options of a magic as they are typed, for completion.
pub fn option_names(name: &str) -> Vec<String> {
    let specs = match name {
        "px" => PX,
        "pxresult" => PXRESULT,
        "pxconfig" => PXCONFIG,
        _ => CLUSTER_START,
    };
    specs
        .iter()
        .map(|spec| format!("--{}", spec.long))
        .collect()
}
