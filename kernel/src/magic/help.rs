//! Help on magics, made of the tables their parser reads.

use super::MagicName;
use super::cluster::COMMANDS;
use super::options::{self, OptionSpec};
use std::fmt::Write as _;

/// The text that `?` after a magic shows.
pub fn help(name: MagicName) -> String {
    let (usage, about) = told(name);
    let mut text = format!("{usage}\n\n{about}\n");
    if name == MagicName::Cluster {
        text.push_str("\nCommands:\n");
        for command in &COMMANDS {
            let _ = writeln!(text, "  {:<22} {}", command.usage, command.about);
        }
    }
    let options = options(name);
    if !options.is_empty() {
        text.push_str("\nOptions:\n");
    }
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

/// The effect of a magic, in one line.
pub fn about(name: MagicName) -> &'static str {
    told(name).1.lines().next().unwrap_or_default()
}

fn told(name: MagicName) -> (&'static str, &'static str) {
    match name {
        MagicName::Px => (
            "%px [OPTIONS] CODE\n%%px [OPTIONS]\nCODE …",
            "Runs Rust on the engines. The cell is compiled once for all engines in the same state.\n\
             Waits and streams the outputs, or with --noblock returns an AsyncResult:\n\
             `let ar = %px --noblock CODE;`. Without a cluster one is started on this machine.",
        ),
        MagicName::PxResult => (
            "%pxresult [OPTIONS]",
            "Waits for the last `%px` and shows its outputs, grouped.",
        ),
        MagicName::Result => ("%result [OPTIONS]", "The same as `%pxresult`."),
        MagicName::PxConfig => (
            "%pxconfig [OPTIONS]",
            "Sets what holds for `%px` and `%%px` where an option is not given.",
        ),
        MagicName::AutoPx => (
            "%autopx",
            "From now on every cell runs on the engines, as if it began with `%%px`; once more, and\n\
             cells run here again. Magics, `:dep` and `!` lines work as ever.",
        ),
        MagicName::PxActivate => (
            "%pxactivate [OPTIONS] SUFFIX",
            "Makes another set of magics with targets and defaults of their own: `%pxactivate -t ::2 _even`\n\
             makes `%px_even`, `%%px_even`, `%pxresult_even`, `%pxconfig_even` and `%autopx_even`.",
        ),
        MagicName::Cluster => (
            "%cluster COMMAND",
            "Starts, ends and changes the engines cells run on.",
        ),
        MagicName::Engines => (
            "%engines",
            "Shows the engines: where they run, what they are doing, and which variables they have.",
        ),
    }
}

/// The options of a magic.
pub(super) fn options(name: MagicName) -> &'static [OptionSpec] {
    match name {
        MagicName::Px => options::PX,
        MagicName::PxResult | MagicName::Result => options::PXRESULT,
        MagicName::PxConfig | MagicName::PxActivate => options::PXCONFIG,
        MagicName::Cluster => options::CLUSTER_START,
        MagicName::AutoPx | MagicName::Engines => &[],
    }
}
