//! `:` commands: evcxr's own, and their consequences for our state.

use super::definitions::Definitions;
use super::error::EvcxrError;
use super::impls::Impls;
use super::lean;
use super::local::{Local, bundle};
use super::prelude;
use super::relay::RunPolicy;
use super::source::PreparedSource;
use super::{diagnostics, generated_crate, start, variables};
use evcxr::EvalOutputs;
use phalanx_protocol::evaluator::{Evaluated, EvaluatorReply};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::MimeBundle;
use phalanx_toolchain::ActiveToolchain;

/// The MIME type of plain text.
const TEXT: &str = "text/plain";

/// Commands that do not affect how later cells are compiled.
const QUERIES: [&str; 8] = [
    ":explain",
    ":help",
    ":last_compile_dir",
    ":show_deps",
    ":t",
    ":type",
    ":vars",
    ":version",
];

impl Local {
    /// Runs one command.
    pub(super) fn command(&mut self, line: &str) -> Result<EvaluatorReply, Failure> {
        let (name, argument) = line.split_once(' ').unwrap_or((line.trim(), ""));
        if name == ":lean" {
            return self.lean(argument.trim());
        }
        let toolchain = match (name, argument.trim()) {
            (":toolchain", "") => None,
            (":toolchain", requested) => {
                let toolchain = ActiveToolchain::named(requested).map_err(EvcxrError::from)?;
                Some(start::ready(&toolchain)?)
            }
            _ => None,
        };
        if !QUERIES.contains(&name) {
            self.compile_cache.clear();
            self.dependencies.is_stale = true;
        }
        let mut outputs = match name {
            ":dep" => {
                self.types.invalidate();
                self.add_dependency(line)?
            }
            ":restart" => self.restart()?,
            ":codegen_backend" if !argument.trim().is_empty() => {
                let active = self.evaluate_source(":codegen_backend")?;
                let undo = setting_backend(active.get(TEXT).unwrap_or_default());
                self.set_nightly_option(line, &undo)?
            }
            // A second time, it takes back the first.
            ":time_passes" => self.set_nightly_option(line, line)?,
            _ => self.evaluate_source(line)?,
        };
        if name == ":clear" {
            self.definitions = Definitions::default();
            self.impls = Impls::default();
            self.restore()?;
        }
        self.update_display(outputs.get(TEXT).unwrap_or_default().to_owned())?;
        let toolchain = toolchain.filter(|toolchain| *toolchain != self.toolchain);
        if let Some(toolchain) = &toolchain {
            // The memory layout of variables depends on the standard library.
            self.restart()?;
            self.toolchain = toolchain.clone();
        }
        if name == ":show_deps" {
            outputs = self.without_default_dependencies(outputs);
        } else if (name, argument.trim()) == (":toolchain", "") {
            // evcxr's answer is empty until a toolchain has been set.
            let text = format!("Toolchain: {}\n", self.toolchain.rustc);
            outputs.content_by_mime_type.insert(TEXT.to_owned(), text);
        }
        Ok(EvaluatorReply::Evaluated(Evaluated {
            command_output: bundle(outputs),
            variables: variables::shown(&self.variables()?),
            toolchain,
            ..Evaluated::default()
        }))
    }

    /// Reports how the last cell was compiled, or enables (`1`) or disables (`0`) lean crates.
    fn lean(&mut self, argument: &str) -> Result<EvaluatorReply, Failure> {
        let folder = generated_crate::build_folder().unwrap_or_default();
        let result = match argument {
            "" => {
                let report = lean::Report::read(&folder);
                let text = report.map_or_else(
                    || "no cell has been compiled".to_owned(),
                    |report| report.to_string(),
                );
                return Ok(EvaluatorReply::Evaluated(Evaluated {
                    command_output: MimeBundle::plain(text),
                    variables: variables::shown(&self.variables()?),
                    ..Evaluated::default()
                }));
            }
            "0" => lean::turn(&folder, false),
            "1" => lean::turn(&folder, true),
            other => {
                return Err(EvcxrError::Lean(other.to_owned()).into());
            }
        };
        result.map_err(EvcxrError::NotWritable)?;
        // Cells that were compiled the other way must not be reused.
        self.compile_cache.clear();
        Ok(EvaluatorReply::Evaluated(Evaluated {
            variables: variables::shown(&self.variables()?),
            ..Evaluated::default()
        }))
    }

    /// Restarts the process of cells, which loses all variables.
    fn restart(&mut self) -> Result<EvalOutputs, Failure> {
        let lost = self.variables()?.into_iter().map(|(name, _)| name);
        let lost: Vec<String> = lost.collect();
        let outputs = self.evaluate_source(":restart")?;
        // evcxr restarts the process, but commits the variables of before again.
        self.remove(&lost)?;
        let left = self.variables()?;
        self.shape = self.shape.after_failure(&left);
        Ok(outputs)
    }

    /// Executes a command that sets an option of rustc's for which nightly is needed; `undo` takes
    /// it back if cells no longer compile with it.
    fn set_nightly_option(&mut self, line: &str, undo: &str) -> Result<EvalOutputs, Failure> {
        let outputs = self.evaluate_source(line)?;
        let items = self.display.items();
        let Err(failure) = self.evaluate_source(&items) else {
            return Ok(outputs);
        };
        self.evaluate_source(undo)?;
        Err(match self.toolchain.is_nightly() {
            true => failure,
            false => EvcxrError::Nightly(line.to_owned()).into(),
        })
    }

    /// Executes a text as it is.
    fn evaluate_source(&mut self, source: &str) -> Result<EvalOutputs, Failure> {
        let prepared = PreparedSource::unchanged(source);
        let result = self.execute(&prepared, RunPolicy::Run)?;
        result.map_err(|error| diagnostics::failure(error, &prepared))
    }

    /// Recompiles the prelude if the command has changed how values are shown.
    fn update_display(&mut self, answer: String) -> Result<(), Failure> {
        let display = self.display.with_answer(&answer);
        if display == self.display {
            return Ok(());
        }
        if self.evaluate_source(&display.items()).is_err() {
            let rejected = display.format;
            let before = format!(":fmt {}", self.display.format);
            self.evaluate_source(&before)?;
            return Err(EvcxrError::Format(rejected).into());
        }
        self.display = display;
        Ok(())
    }

    /// Restores the initial items of a namespace that was cleared.
    fn restore(&mut self) -> Result<(), Failure> {
        for (name, config) in prelude::dependencies(&self.library) {
            self.evaluate_source(&format!(":dep {name} = {config}"))?;
        }
        let items = self.display.items();
        self.evaluate_source(&items).map(drop)
    }

    /// Omits the dependencies that every namespace has.
    fn without_default_dependencies(&self, mut outputs: EvalOutputs) -> EvalOutputs {
        let defaults = prelude::dependencies(&self.library);
        let defaults = defaults.map(|(name, config)| format!("{name} = {config}"));
        if let Some(text) = outputs.content_by_mime_type.get_mut(TEXT) {
            let others = text
                .lines()
                .filter(|line| !defaults.iter().any(|default| default == line));
            *text = others.map(|line| format!("{line}\n")).collect();
            if text.is_empty() {
                outputs.content_by_mime_type.remove(TEXT);
            }
        }
        outputs
    }
}

/// The command that sets the code generator that evcxr names in its answer.
fn setting_backend(answer: &str) -> String {
    let name = answer.trim().rsplit(": ").next().unwrap_or_default();
    let name = if name.is_empty() { "default" } else { name };
    format!(":codegen_backend {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_generator_that_does_not_exist_leaves_the_one_before() {
        for (answer, expected) in [
            ("codegen backend: cranelift\n", ":codegen_backend cranelift"),
            ("codegen backend: default\n", ":codegen_backend default"),
            ("", ":codegen_backend default"),
        ] {
            assert_eq!(setting_backend(answer), expected);
        }
    }
}
