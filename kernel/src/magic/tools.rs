//! Tools for single cells, named as in IPython.

use super::cluster::argument;
use super::options::{self, AfterOptions, MagicOption, ParsedOption};
use super::{MagicError, MagicName, MagicProblem, Targets};
use std::ops::Range;

/// A tool, as typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// `%timeit` or `%%timeit`.
    TimeIt(TimeIt),
    /// `%prof` or `%%prof`.
    Profile(Profile),
    /// `%who`.
    Who,
    /// `%%bash`.
    Bash,
    /// `%%writefile`.
    WriteFile {
        /// The file.
        path: String,
        /// True if the text is appended.
        append: bool,
    },
    /// `%run`.
    Run {
        /// The file.
        path: String,
    },
    /// `%load`.
    Load {
        /// The file.
        path: String,
    },
    /// `%fmt`.
    Format,
}

/// A time measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeIt {
    /// The number of loops per run; `None` if not given.
    pub loops: Option<u64>,
    /// The number of runs; `None` if not given.
    pub runs: Option<usize>,
    /// The engines, and their range in bytes of the line; `None` for the notebook's own process.
    pub targets: Option<(Targets, Range<usize>)>,
    /// The code's range in bytes of the line; for `%%timeit`, that of the setup.
    pub code: Range<usize>,
}

/// A request to profile code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The engines, and their range in bytes of the line; `None` for the notebook's own process.
    pub targets: Option<(Targets, Range<usize>)>,
    /// The code's range in bytes of the line; empty for `%%prof`.
    pub code: Range<usize>,
}

/// The largest number of runs of a measurement.
const MAX_RUNS: usize = 10_000;

/// Parses the rest of a line after the name of a tool, which ends at byte `at`.
pub(super) fn parse(
    name: MagicName,
    line: &str,
    at: usize,
    is_cell: bool,
) -> Result<Tool, MagicError> {
    let nothing = || options::read(line, at, &[], AfterOptions::Nothing).map(drop);
    match name {
        MagicName::TimeIt => timeit(line, at, is_cell).map(Tool::TimeIt),
        MagicName::Prof => profile(line, at, is_cell).map(Tool::Profile),
        MagicName::Bash => nothing().map(|()| Tool::Bash),
        MagicName::Fmt => nothing().map(|()| Tool::Format),
        MagicName::WriteFile => {
            let (given, end) = options::read(line, at, options::WRITEFILE, AfterOptions::Code)?;
            let append = given
                .iter()
                .any(|given| given.option == MagicOption::Append);
            let path = file(name, line, end)?;
            Ok(Tool::WriteFile { path, append })
        }
        MagicName::Run => file(name, line, at).map(|path| Tool::Run { path }),
        MagicName::Load => file(name, line, at).map(|path| Tool::Load { path }),
        _ => nothing().map(|()| Tool::Who),
    }
}

fn timeit(line: &str, at: usize, is_cell: bool) -> Result<TimeIt, MagicError> {
    let (given, start) = options::read(line, at, options::TIMEIT, AfterOptions::Code)?;
    let mut timeit = TimeIt::default();
    for ParsedOption {
        option,
        value,
        span,
    } in given
    {
        match option {
            MagicOption::Loops => timeit.loops = Some(count(value, span, u64::MAX)?),
            MagicOption::Runs => timeit.runs = Some(count(value, span, MAX_RUNS)?),
            MagicOption::Targets => {
                timeit.targets = Some((Targets::parse(value, span.clone())?, span));
            }
            _ => {}
        }
    }
    timeit.code = code(line, start);
    if timeit.code.is_empty() && !is_cell {
        let problem = MagicProblem::NoCode {
            magic: MagicName::TimeIt,
            purpose: "time",
        };
        return Err(MagicError::new(0..at, problem));
    }
    Ok(timeit)
}

fn profile(line: &str, at: usize, is_cell: bool) -> Result<Profile, MagicError> {
    let (given, start) = options::read(line, at, options::PROF, AfterOptions::Code)?;
    let code = code(line, start);
    match (is_cell, code.is_empty()) {
        (false, true) => {
            let problem = MagicProblem::NoCode {
                magic: MagicName::Prof,
                purpose: "run",
            };
            Err(MagicError::new(0..at, problem))
        }
        (true, false) => Err(MagicError::new(code, MagicProblem::CodeBesideProf)),
        _ => {
            let targets = given.into_iter().next_back();
            let targets = targets.map(|ParsedOption { value, span, .. }| {
                Targets::parse(value, span.clone()).map(|targets| (targets, span))
            });
            let targets = targets.transpose()?;
            Ok(Profile { targets, code })
        }
    }
}

/// Returns the range of a line from `start` on, without spaces at its ends.
fn code(line: &str, start: usize) -> Range<usize> {
    let code = line[start..].trim();
    let start = line.len() - line[start..].trim_start().len();
    start..start + code.len()
}

fn count<N>(value: &str, span: Range<usize>, most: N) -> Result<N, MagicError>
where
    N: std::str::FromStr + PartialOrd + From<u8> + std::fmt::Display,
{
    match value.parse::<N>() {
        Ok(count) if count >= N::from(1) && count <= most => Ok(count),
        _ => {
            let problem = MagicProblem::Count {
                value: value.to_owned(),
                most: most.to_string(),
            };
            Err(MagicError::new(span, problem))
        }
    }
}

fn file(name: MagicName, line: &str, at: usize) -> Result<String, MagicError> {
    let file = argument(line, at)?;
    let file = file.map(|(path, _)| path.to_owned());
    file.ok_or_else(|| MagicError::new(0..at, MagicProblem::NoFile(name)))
}

#[cfg(test)]
mod tests {
    use crate::magic::{Magic, Profile, Targets, TimeIt, Tool, parse};

    fn tool(line: &str) -> Tool {
        match parse(line, &[]).unwrap().magic {
            Magic::Tool(tool) => tool,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> (String, String) {
        let error = parse(line, &[]).unwrap_err();
        (error.to_string(), error.problem.hint().unwrap_or_default())
    }

    #[test]
    fn tools_are_parsed_as_in_ipython() {
        let line = "%timeit -n 10 -r3 -t 0 f(-1)";
        let Tool::TimeIt(timeit) = tool(line) else {
            panic!()
        };
        assert_eq!(&line[timeit.code.clone()], "f(-1)");
        let expected = TimeIt {
            loops: Some(10),
            runs: Some(3),
            targets: Some((Targets::Id(0), 21..22)),
            code: timeit.code.clone(),
        };
        assert_eq!(timeit, expected);
        assert!(matches!(tool("%%timeit"), Tool::TimeIt(_)));
        let write = |path: &str, append| Tool::WriteFile {
            path: path.to_owned(),
            append,
        };
        assert_eq!(tool("%%writefile a.rs"), write("a.rs", false));
        assert_eq!(tool("%%writefile -a \"a b.rs\""), write("a b.rs", true));
        assert_eq!(
            tool("%run ü.rs"),
            Tool::Run {
                path: "ü.rs".into()
            }
        );
        let line = "%prof -t all f(-1)";
        let Tool::Profile(profile) = tool(line) else {
            panic!()
        };
        assert_eq!(&line[profile.code], "f(-1)");
        assert_eq!(profile.targets, Some((Targets::All, 9..12)));
        assert_eq!(
            tool("%%prof"),
            Tool::Profile(Profile {
                code: 6..6,
                ..Profile::default()
            })
        );
        assert_eq!(tool("%whos"), Tool::Who);
        assert_eq!(tool("%%fmt"), Tool::Format);
    }

    #[test]
    fn refusals_name_the_missing_part_or_the_counterpart() {
        for (line, expected, hint) in [
            ("%timeit", "needs Rust code", "%%timeit"),
            (
                "%timeit -r 0 f()",
                "`0` is not a valid number",
                "from 1 to 10000",
            ),
            ("%prof", "needs Rust code", "%%prof"),
            ("%%prof f()", "goes below it", "%prof CODE"),
            ("%run", "`%run` needs a file", "%run FILE"),
            ("%bash ls", "`bash` is a cell magic", "%%bash"),
            ("%%who", "`who` is not a cell magic", "%who"),
            (
                "%time f()",
                "there is no magic `%time` for Rust",
                ":time CODE",
            ),
            (
                "%matplotlib inline",
                "there is no magic `%matplotlib`",
                "plotters",
            ),
            ("%%html", "there is no magic `%%html`", "phalanx::html"),
        ] {
            let (message, help) = refused(line);
            assert!(message.contains(expected), "{message}");
            assert!(help.contains(hint), "{help}");
        }
    }
}
