//! Tools for single cells, known from IPython.

use super::{MagicContext, format, prof, timeit, who};
use crate::cell::RustText;
use crate::context::CellContext;
use crate::magic::Tool;
use crate::report::{Fault, FaultSource};
use crate::run::error::CellError;
use crate::run::{Environment, Services, cell, shell};
use phalanx_protocol::output::StreamName;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A tool to execute.
#[derive(Debug)]
pub(super) struct ToolRun<'a> {
    pub(super) tool: Tool,
    /// The line, from its `%` on.
    pub(super) line: &'a str,
    /// The body of a cell magic.
    pub(super) body: Option<RustText>,
    /// The location of the line.
    pub(super) location: FaultSource,
    /// The position of the line in the text of `location`, in bytes.
    pub(super) start: usize,
    pub(super) magic_context: MagicContext,
}

pub(super) async fn run_tool(
    services: &Services,
    context: &CellContext,
    run: ToolRun<'_>,
) -> Result<(), Fault> {
    if run.magic_context == MagicContext::InRust {
        // The process it needs is busy with the cell.
        let error = CellError::WithinRust(run.line.to_owned());
        return Err(Fault::at(error, run.location));
    }
    let location = run.location.clone();
    let environment = services.environment();
    let body = run.body.as_ref().map_or("", |body| body.source.as_str());
    let done = match &run.tool {
        Tool::TimeIt(_) => return timeit::timeit(services, context, run).await,
        Tool::Profile(_) => return prof::prof(services, context, run).await,
        Tool::Who => who::who(services.local(), context).await,
        Tool::Bash => shell::script(context, environment, "bash", body).await,
        Tool::Format => {
            return match &run.body {
                Some(body) => format::format(services.local(), environment, context, body).await,
                None => Ok(()),
            };
        }
        Tool::WriteFile { path, append } => {
            let file = environment.resolve(path);
            match write(&file, body, *append) {
                Ok(verb) => {
                    let text = format!("{verb} {path}\n");
                    context.sink().text(StreamName::Stdout, text).await;
                    Ok(())
                }
                Err(error) => Err(CellError::Write { path: file, error }.into()),
            }
        }
        Tool::Run { path } if path.ends_with(".py") => Err(CellError::Python(path.clone()).into()),
        Tool::Run { path } => match read(environment, path) {
            Ok(text) => return cell::run_file(services, context, path, &text).await,
            Err(error) => Err(error.into()),
        },
        Tool::Load { path } => match read(environment, path) {
            Ok(text) => {
                let text = format!("// %load {path}\n{text}");
                context.sink().replace_cell(text);
                Ok(())
            }
            Err(error) => Err(error.into()),
        },
    };
    done.map_err(|failure| Fault::at(failure, location))
}

fn read(environment: &Environment, path: &str) -> Result<String, CellError> {
    let file = environment.resolve(path);
    fs::read_to_string(&file).map_err(|error| CellError::Read { path: file, error })
}

/// Writes a file; returns the verb that describes the effect.
fn write(file: &Path, text: &str, append: bool) -> io::Result<&'static str> {
    let verb = match (append, file.exists()) {
        (true, true) => "Appending to",
        (false, true) => "Overwriting",
        (_, false) => "Writing",
    };
    let mut file = File::options()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(file)?;
    file.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        file.write_all(b"\n")?;
    }
    Ok(verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_creates_overwrites_and_appends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("größe.rs");
        for (text, append, verb, content) in [
            ("a", true, "Writing", "a\n"),
            ("b\n", true, "Appending to", "a\nb\n"),
            ("c", false, "Overwriting", "c\n"),
        ] {
            assert_eq!(write(&file, text, append).unwrap(), verb);
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
        assert!(write(folder.path(), "", false).is_err());
    }
}
