//! Completion of magic lines: names, options and their values.

use super::cluster::COMMANDS;
use super::help;
use super::name::{self, MagicForm, MagicName, MagicSuffix};
use super::options::{MagicOption, OptionSpec};
use crate::completion::{ExpectedCompletions, PathKind};
use phalanx_launcher::LauncherKind;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::Signal;

/// The state of the session that completion depends on.
#[derive(Clone, Debug, Default)]
pub struct CompletionContext {
    /// The activated suffixes.
    pub suffixes: Vec<MagicSuffix>,
    /// The connected engines.
    pub engines: Vec<EngineId>,
    /// The ids of clusters to connect to.
    pub clusters: Vec<String>,
}

/// Completes a magic's line, from its `%` to the cursor.
pub fn complete(typed: &str, known: &CompletionContext) -> ExpectedCompletions {
    let sign = if typed.starts_with("%%") { "%%" } else { "%" };
    let Some(name_end) = typed.find(char::is_whitespace) else {
        let names = name::all(&known.suffixes).into_iter();
        let names = names.filter(|name| {
            let resolved = name::resolve(name, &known.suffixes);
            let form = resolved.map(|(name, _)| name.form());
            match sign {
                "%%" => matches!(form, Some(MagicForm::Cell | MagicForm::Both)),
                _ => matches!(form, Some(MagicForm::Line | MagicForm::Both)),
            }
        });
        let codes = names.map(|name| format!("{sign}{name}"));
        let codes = codes.filter(|code| code.starts_with(typed)).collect();
        return ExpectedCompletions::Words(0..typed.len(), codes);
    };
    let Some((name, _)) = name::resolve(&typed[sign.len()..name_end], &known.suffixes) else {
        return ExpectedCompletions::Rust;
    };
    let start = typed.rfind(char::is_whitespace).map_or(0, |at| {
        at + typed[at..].chars().next().map_or(1, char::len_utf8)
    });
    let words: Vec<&str> = typed[name_end..start].split_whitespace().collect();
    let (specs, commands) = specs(name, &words);
    let word = &typed[start..];
    let values = |spec: &OptionSpec| values(spec, known);
    let spec_of = |word: &str| specs.iter().find(|spec| is(spec, word));
    if let Some(spec) = words.last().and_then(|word| spec_of(word))
        && spec.value.is_some()
    {
        return matching(start, word, values(spec));
    }
    if let Some((option, value)) = word.split_once('=')
        && let Some(spec) = spec_of(option)
    {
        let at = start + option.len() + 1;
        return matching(at, value, values(spec));
    }
    if commands {
        let names = COMMANDS.iter().map(|command| command.name.to_owned());
        return matching(start, word, names.collect());
    }
    if name == MagicName::Cluster && words.first() == Some(&"connect") {
        return matching(start, word, known.clusters.clone());
    }
    if word.starts_with('-') {
        return matching(start, word, all(specs));
    }
    match name {
        MagicName::Run | MagicName::Load | MagicName::WriteFile => {
            // Names within quotes may contain spaces.
            let typed_path = typed[name_end..].trim_start();
            let (at, path) = match typed_path.split_once('"') {
                Some(("", path)) => (typed.len() - path.len(), path),
                _ => (start, word),
            };
            ExpectedCompletions::Path(at..at + path.len(), PathKind::Any)
        }
        // The code of a cell magic is below the line.
        MagicName::Px | MagicName::TimeIt | MagicName::Prof if sign == "%" => {
            ExpectedCompletions::Rust
        }
        MagicName::TimeIt => ExpectedCompletions::Rust,
        _ => matching(start, word, all(specs)),
    }
}

/// Returns the options as typed, long and short.
fn all(specs: &[OptionSpec]) -> Vec<String> {
    let options = specs.iter().flat_map(|spec| {
        let short = spec.short.map(|short| format!("-{short}"));
        std::iter::once(format!("--{}", spec.long)).chain(short)
    });
    options.collect()
}

/// Returns the options of a magic, and true if a subcommand must precede them.
fn specs(name: MagicName, words: &[&str]) -> (&'static [OptionSpec], bool) {
    if name != MagicName::Cluster {
        return (help::options(name), false);
    }
    let Some(first) = words.first() else {
        return (&[], true);
    };
    let command = COMMANDS.iter().find(|command| command.name == *first);
    (command.map_or(&[], |command| command.options), false)
}

fn is(spec: &OptionSpec, word: &str) -> bool {
    let long = word.strip_prefix("--") == Some(spec.long);
    long || spec.short.is_some_and(|short| {
        word.strip_prefix('-')
            .is_some_and(|word| word.chars().eq([short]))
    })
}

/// Returns the values of an option, as far as they can be listed.
fn values(spec: &OptionSpec, known: &CompletionContext) -> Vec<String> {
    match spec.option {
        MagicOption::Targets => {
            let fixed = ["all", ":", "::2"].map(str::to_owned);
            let ids = known.engines.iter().map(ToString::to_string);
            fixed.into_iter().chain(ids).collect()
        }
        MagicOption::GroupOutputs => ["type", "engine", "order"].map(str::to_owned).to_vec(),
        MagicOption::Launcher => LauncherKind::ALL
            .map(|kind| kind.as_str().to_owned())
            .to_vec(),
        MagicOption::SignalOnInterrupt => Signal::names().collect(),
        _ => Vec::new(),
    }
}

fn matching(start: usize, word: &str, codes: Vec<String>) -> ExpectedCompletions {
    let codes = codes.into_iter().filter(|code| code.starts_with(word));
    ExpectedCompletions::Words(start..start + word.len(), codes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(typed: &str) -> Vec<String> {
        let known = CompletionContext {
            suffixes: MagicSuffix::parse("_even").into_iter().collect(),
            engines: vec![EngineId(0), EngineId(12)],
            clusters: vec!["alpha".to_owned()],
        };
        match complete(typed, &known) {
            ExpectedCompletions::Words(span, codes) => {
                assert_eq!(span.end, typed.len());
                codes
            }
            ExpectedCompletions::Path(span, _) => vec![format!("path {}", &typed[span])],
            ExpectedCompletions::Rust => vec!["rust".to_owned()],
        }
    }

    #[test]
    fn names_options_and_their_values_are_completed() {
        for (typed, codes) in [
            ("%pxr", &["%pxresult", "%pxresult_even"][..]),
            (
                "%%",
                &[
                    "%%px",
                    "%%timeit",
                    "%%prof",
                    "%%bash",
                    "%%writefile",
                    "%%fmt",
                    "%%px_even",
                ],
            ),
            ("%autopx", &["%autopx", "%autopx_even"]),
            ("%%px --t", &["--targets"]),
            ("%%px_even --no-s", &["--no-stream"]),
            ("%%px -t ", &["all", ":", "::2", "0", "12"]),
            ("%%px --targets=1", &["12"]),
            ("%%px --group-outputs e", &["engine"]),
            ("%%px --signal-on-interrupt SIGI", &["SIGINT"]),
            ("%px -t 0 va", &["rust"]),
            ("%px --bl", &["--block"]),
            ("%cluster st", &["start", "stop", "status"]),
            ("%cluster sync --", &["--targets"]),
            ("%cluster connect a", &["alpha"]),
            (
                "%cluster start -",
                &["--n", "-n", "--launcher", "--hosts", "--queue", "--ip"],
            ),
            ("%cluster start --launcher s", &["ssh", "slurm", "sge"]),
            ("%é ", &["rust"]),
            ("%engines --", &[]),
            ("%run scripts/a", &["path scripts/a"]),
            ("%load \"my fi", &["path my fi"]),
            ("%%writefile -a notes", &["path notes"]),
            ("%%writefile --", &["--append"]),
            ("%timeit v.", &["rust"]),
            (
                "%timeit -",
                &["--loops", "-n", "--repeat", "-r", "--targets", "-t"],
            ),
            ("%%timeit let x = y.", &["rust"]),
            ("%prof -t 1", &["12"]),
            ("%prof f(", &["rust"]),
        ] {
            assert_eq!(offered(typed), codes, "{typed}");
        }
    }
}
