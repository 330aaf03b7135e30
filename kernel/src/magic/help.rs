//! Help pages of magics, made from the tables of the parser.

use super::MagicName;
use super::cluster::COMMANDS;
use super::options::{self, OptionSpec};
use crate::report::PageWriter;
use phalanx_protocol::output::MimeBundle;
use std::fmt::Write as _;

/// Returns the help page of a magic, shown for `?` after its name.
pub fn help(name: MagicName) -> MimeBundle {
    let (usage, about) = describe(name);
    let commands: Vec<(String, String)> = match name {
        MagicName::Cluster => COMMANDS
            .iter()
            .map(|command| (command.usage.to_owned(), command.about.to_owned()))
            .collect(),
        _ => Vec::new(),
    };
    let options: Vec<(String, String)> = options(name).iter().map(option).collect();
    PageWriter::default()
        .code(usage)
        .paragraph(about)
        .list("Commands", &commands)
        .list("Options", &options)
        .bundle()
}

fn option(spec: &OptionSpec) -> (String, String) {
    let mut left = match spec.short {
        Some(short) => format!("-{short}, --{}", spec.long),
        None => format!("    --{}", spec.long),
    };
    if let Some(value) = spec.value {
        let _ = write!(left, " {value}");
    }
    (left, spec.help.to_owned())
}

/// Describes a magic in one sentence.
pub fn about(name: MagicName) -> &'static str {
    let about = describe(name).1;
    about
        .split_inclusive(". ")
        .next()
        .unwrap_or(about)
        .trim_end()
}

fn describe(name: MagicName) -> (&'static str, &'static str) {
    match name {
        MagicName::Px => (
            "%px [OPTIONS] CODE\n%%px [OPTIONS]\nCODE …",
            "Runs Rust on the engines. The cell is compiled once for all engines in the same state. \
             Waits and streams the outputs, or with --noblock returns an AsyncResult: \
             `let ar = %px --noblock CODE;`. Without a cluster one is started on this machine.",
        ),
        MagicName::PxResult => (
            "%pxresult [OPTIONS]",
            "Waits for the last `%px` and shows its outputs, grouped.",
        ),
        MagicName::Result => ("%result [OPTIONS]", "The same as `%pxresult`."),
        MagicName::PxConfig => (
            "%pxconfig [OPTIONS]",
            "Sets the default options of `%px` and `%%px`.",
        ),
        MagicName::AutoPx => (
            "%autopx",
            "From now on the Rust of every cell runs on the engines, as if it began with `%%px`; once \
             more, and cells run here again. Magics, `:` and `!` lines work as ever: `%timeit`, `%who` \
             and `:vars` know the variables here (`%engines` shows those of the engines, `%timeit -t \
             all` measures there).",
        ),
        MagicName::PxActivate => (
            "%pxactivate [OPTIONS] SUFFIX",
            "Makes another set of magics with targets and defaults of their own: `%pxactivate -t ::2 _even` \
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
        MagicName::TimeIt => (
            "%timeit [OPTIONS] CODE\n%%timeit [OPTIONS] [SETUP]\nCODE …",
            "Runs the code many times and shows the median time of one loop, its spread and the outliers. \
             SETUP runs once and is not timed.",
        ),
        MagicName::Prof => (
            "%prof [OPTIONS] CODE\n%%prof [OPTIONS]\nCODE …",
            "Runs the code and shows where it spent its time, as a flame graph: each function as wide as its \
             share, below the one that called it. Sampled up to 499 times a second of the processor's time, so \
             code that takes less than half a second, or waits, has few samples.",
        ),
        MagicName::Who => (
            "%who",
            "Shows the variables: their types, sizes and values in short.",
        ),
        MagicName::Whos => ("%whos", "The same as `%who`."),
        MagicName::Bash => (
            "%%bash\nSCRIPT …",
            "Runs the cell by bash, in the working folder. A script that fails makes the cell fail.",
        ),
        MagicName::WriteFile => (
            "%%writefile [OPTIONS] FILE\nTEXT …",
            "Writes the cell to a file; relative paths are resolved from the working folder.",
        ),
        MagicName::Run => (
            "%run FILE",
            "Runs a file as if it were a cell: what it defines stays, and a file that contains only items runs its `main`.",
        ),
        MagicName::Load => ("%load FILE", "Replaces the cell with the text of a file."),
        MagicName::Fmt => (
            "%fmt\nCODE …",
            "Formats the rest of the cell with rustfmt, in place; nothing runs.",
        ),
    }
}

/// Returns the options of a magic.
pub(super) fn options(name: MagicName) -> &'static [OptionSpec] {
    match name {
        MagicName::Px => options::PX,
        MagicName::PxResult | MagicName::Result => options::PXRESULT,
        MagicName::PxConfig | MagicName::PxActivate => options::PXCONFIG,
        MagicName::Cluster => options::CLUSTER_START,
        MagicName::TimeIt => options::TIMEIT,
        MagicName::Prof => options::PROF,
        MagicName::WriteFile => options::WRITEFILE,
        MagicName::AutoPx
        | MagicName::Engines
        | MagicName::Who
        | MagicName::Whos
        | MagicName::Bash
        | MagicName::Run
        | MagicName::Load
        | MagicName::Fmt => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_autopx_says_what_runs_here() {
        let (_, text) = describe(MagicName::AutoPx);
        for part in ["the Rust of every cell", "`%timeit", "`:vars`"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
