//! The command line of `cargo xtask`.

use crate::{bench, dist, gallery, lab, run, suite, test, tidy, workspace::Workspace};
use anyhow::{Result, bail};
use lexopt::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;

/// The text of `cargo xtask help`.
const HELP: &str = "\
cargo xtask COMMAND

  lab [--no-browser] [--port N]  set everything up and open the tour in JupyterLab
  tour                           the same without a browser: run the tour, print what each cell printed
  run NOTEBOOK                   the same for any notebook
  gallery [NOTEBOOK…] [--pictures FOLDER] [--lab]
                                 execute the notebooks (or those named: `plots tour`) and write them with their outputs
                                 to docs/gallery; with pictures of each page, light and dark, narrow and wide;
                                 --lab runs them in JupyterLab too, with the worst errors, for pictures of that
  test [FILTER]                  format, tidy, clippy and every test; with FILTER only the tests it matches
  suite [MODULE]                 ipyparallel's own tests with our controller, with a table of the results
  bench [--peers] [--quick] [--growth] [--scale]
                                 our figures beside the peers', measured in one run
                                 (--peers first installs evcxr_jupyter, which takes minutes;
                                 --growth measures growing notebooks in a quick run too;
                                 --scale measures a cluster of 1,000 engines, and nothing else)
  dist                           a release: a wheel, an archive, their SHA-256 sums, and the library's packages checked,
                                 in the build folder's `dist` (evcxr is built once more, linked by zig)
  tidy                           check the sources against the architecture's invariants

Everything is kept in the build folder: $PHALANX_BUILD_DIR, else $CARGO_TARGET_DIR,
else $XDG_CACHE_HOME/phalanx/target if that folder exists, else target.
`cargo xtask test` installs missing Debian packages when it is root on a throw-away
machine ($CI set, or in a container); elsewhere it names them and skips their tests.
";

/// A command of `cargo xtask`, with its options.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Print the help text.
    Help,
    /// Open the tour in JupyterLab.
    Lab(lab::LabOptions),
    /// Execute a notebook and print its output.
    Run {
        /// The notebook; the tour by default.
        notebook: Option<PathBuf>,
    },
    /// Write the notebooks with their outputs as pages.
    Gallery(gallery::GalleryOptions),
    /// Check and test everything, or the tests that match a filter.
    Test {
        /// A part of the names of the tests to run.
        filter: Option<String>,
    },
    /// Run ipyparallel's tests with our controller.
    Suite {
        /// A part of the names of the modules to run.
        only: Option<String>,
    },
    /// Run the benchmarks.
    Bench(bench::BenchOptions),
    /// Build everything for a release.
    Dist,
    /// Check the sources.
    Tidy,
}

/// Parses the process's arguments.
///
/// # Errors
/// Returns an error if they are not a known command.
pub fn parse() -> Result<Command> {
    parse_from(lexopt::Parser::from_env())
}

fn parse_from(mut parser: lexopt::Parser) -> Result<Command> {
    let command = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Command::Help),
        Some(Value(word)) => word.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    let mut command = match command.as_str() {
        "help" => Command::Help,
        "lab" => Command::Lab(lab::LabOptions::default()),
        "tour" => Command::Run { notebook: None },
        "run" => Command::Run {
            notebook: Some(match parser.next()? {
                Some(Value(path)) => path.into(),
                _ => bail!("`run` needs the notebook to run: cargo xtask run NOTEBOOK"),
            }),
        },
        "gallery" => Command::Gallery(gallery::GalleryOptions::default()),
        "test" => Command::Test { filter: None },
        "suite" => Command::Suite { only: None },
        "bench" => Command::Bench(bench::BenchOptions::default()),
        "dist" => Command::Dist,
        "tidy" => Command::Tidy,
        other => bail!("no command `{other}`; `cargo xtask help` lists them"),
    };
    while let Some(argument) = parser.next()? {
        match (&mut command, argument) {
            (Command::Lab(options), Long("no-browser")) => options.browser = false,
            (Command::Lab(options), Long("port")) => {
                options.port = Some(parser.value()?.parse()?);
            }
            (Command::Gallery(options), Long("pictures")) => {
                options.pictures = Some(parser.value()?.into());
            }
            (Command::Gallery(options), Long("lab")) => options.lab = true,
            (Command::Gallery(options), Value(name)) => options.only.push(name.string()?),
            (Command::Bench(options), Long("peers")) => options.peers = true,
            (Command::Bench(options), Long("quick")) => options.quick = true,
            (Command::Bench(options), Long("growth")) => options.growth = true,
            (Command::Bench(options), Long("scale")) => options.scale = true,
            (Command::Test { filter }, Value(text)) if filter.is_none() => {
                *filter = Some(text.string()?);
            }
            (Command::Suite { only }, Value(text)) if only.is_none() => {
                *only = Some(text.string()?);
            }
            (_, other) => return Err(other.unexpected().into()),
        }
    }
    Ok(command)
}

impl Command {
    /// Runs the command; returns its exit code.
    ///
    /// # Errors
    /// Returns an error if a requirement cannot be set up.
    pub fn perform(self) -> Result<ExitCode> {
        let workspace = Workspace::find()?;
        match self {
            Self::Help => {
                print!("{HELP}");
                Ok(ExitCode::SUCCESS)
            }
            Self::Lab(options) => lab::lab(&workspace, &options),
            Self::Run { notebook } => run::run(&workspace, notebook.as_deref()),
            Self::Gallery(options) => gallery::gallery(&workspace, &options),
            Self::Test { filter } => test::test(&workspace, filter.as_deref()),
            Self::Suite { only } => suite::suite(&workspace, only.as_deref()),
            Self::Bench(options) => bench::bench(&workspace, &options),
            Self::Dist => dist::dist(&workspace),
            Self::Tidy => tidy::tidy(&workspace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_args(arguments: &[&str]) -> Result<Command> {
        parse_from(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn commands_are_parsed_with_their_options() {
        assert_eq!(parse_args(&[]).unwrap(), Command::Help);
        assert_eq!(parse_args(&["dist"]).unwrap(), Command::Dist);
        assert_eq!(
            parse_args(&["tour"]).unwrap(),
            Command::Run { notebook: None }
        );
        assert_eq!(
            parse_args(&["run", "a.ipynb"]).unwrap(),
            Command::Run {
                notebook: Some("a.ipynb".into())
            }
        );
        assert_eq!(
            parse_args(&["gallery", "plots", "--pictures", "p", "--lab"]).unwrap(),
            Command::Gallery(gallery::GalleryOptions {
                only: vec!["plots".into()],
                pictures: Some("p".into()),
                lab: true,
            })
        );
        assert_eq!(
            parse_args(&["test", "tour"]).unwrap(),
            Command::Test {
                filter: Some("tour".into())
            }
        );
        assert_eq!(
            parse_args(&["lab", "--no-browser", "--port", "9000"]).unwrap(),
            Command::Lab(lab::LabOptions {
                browser: false,
                port: Some(9000)
            })
        );
        assert_eq!(
            parse_args(&["bench", "--scale"]).unwrap(),
            Command::Bench(bench::BenchOptions {
                scale: true,
                ..bench::BenchOptions::default()
            })
        );
    }

    #[test]
    fn unknown_arguments_are_named_in_the_error() {
        let error_message = |arguments: &[&str]| parse_args(arguments).unwrap_err().to_string();
        assert!(error_message(&["lap"]).contains("no command `lap`"));
        assert!(error_message(&["run"]).contains("cargo xtask run NOTEBOOK"));
        assert!(error_message(&["tidy", "--peers"]).contains("--peers"));
        assert!(error_message(&["test", "a", "b"]).contains('b'));
    }
}
