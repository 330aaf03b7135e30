//! The execution of `:` commands.

use super::dependency::{Dependencies, TypedDependency};
use super::error::CellError;
use super::introspection::Introspection;
use super::local_cells::LocalCells;
use super::locked::Locked;
use super::logging::{self, Logging};
use super::{Environment, Local, Services, help as help_pages, snapshots};
use crate::cell::{HelpTopic, RustText, UnitTests};
use crate::channel::OutputSink;
use crate::command::{self, ArgumentKind, CommandCall, CommandHandler, help, table};
use crate::context::{CellContext, timer};
use crate::magic;
use crate::report::{Fault, FaultSource};
use crate::source_map::SourceMap;
use phalanx_protocol::evaluator::Evaluated;
use phalanx_protocol::failure::{Diagnostic, Failure};
use phalanx_protocol::look::table::table as shown_table;
use phalanx_protocol::output::{MimeBundle, StreamName};
use phalanx_protocol::runtime::Setting;
use std::ops::Range;
use std::time::Instant;

/// A command to execute.
#[derive(Debug)]
pub struct CommandRun<'a> {
    /// The line, from its `:` on.
    pub line: &'a str,
    /// The position of the line in the cell, in bytes.
    pub start: usize,
    /// The cell's source, for locations of faults.
    pub source: &'a str,
}

/// Executes a command.
///
/// # Errors
/// Returns the failure of the command.
pub async fn run_command(
    services: &Services,
    context: &CellContext,
    run: CommandRun<'_>,
) -> Result<(), Fault> {
    let call = command::parse(run.line).map_err(|unknown| {
        let location = run.location(context, unknown.span.clone());
        Fault::at(unknown, location)
    })?;
    let location = run.location(context, call.span.clone());
    let argument = call.argument.as_str();
    let (local, sink) = (services.local(), context.sink());
    if let Err(failure) = call.check() {
        return Err(Fault::at(failure, location));
    }
    match call.spec.handler {
        CommandHandler::Dependency => {
            add_dependencies(services.dependencies(), context, &[run]).await
        }
        CommandHandler::Evcxr => {
            let evaluated = evcxr(local, context, run.line, &call, location).await?;
            let output = described(&call, evaluated.command_output);
            show(sink, output).await;
            Ok(())
        }
        CommandHandler::Renewal => {
            let evaluated = evcxr(local, context, run.line, &call, location).await?;
            show(sink, evaluated.command_output).await;
            let loggers = match call.spec.name {
                ":clear" => {
                    services.logging().lock().cleared();
                    Vec::new()
                }
                _ => services.logging().lock().restarted(),
            };
            set_loggers(local, context, loggers).await;
            Ok(())
        }
        CommandHandler::Log => log(local, services.logging(), context, argument, location).await,
        CommandHandler::ChangeFolder => {
            let environment = services.environment();
            change_folder(local, environment, sink, argument, location).await
        }
        CommandHandler::Environment => {
            environment(local, services.environment(), context, &call, location).await
        }
        CommandHandler::Documentation => {
            document(&services.introspection(), sink, argument, location).await
        }
        CommandHandler::Help => {
            show(
                sink,
                show_help(argument).map_err(|failure| Fault::at(failure, location))?,
            )
            .await;
            Ok(())
        }
        CommandHandler::LastErrorJson => last_error(local, context).await,
        CommandHandler::Quit => {
            sink.quit();
            Ok(())
        }
        CommandHandler::Snapshot => {
            snapshots::turn(local, sink, argument == "1").await;
            Ok(())
        }
        CommandHandler::Test => test(local, context, argument, location).await,
        CommandHandler::Time if argument.is_empty() => {
            context.timer().begin(Instant::now());
            Ok(())
        }
        CommandHandler::Time => time(services.local_cells(), context, run, &call).await,
        CommandHandler::Timing => {
            let on = services.toggle_timing();
            print(
                sink,
                if on {
                    "Timing: true\n"
                } else {
                    "Timing: false\n"
                },
            )
            .await;
            Ok(())
        }
        CommandHandler::Variables => {
            let variables = local.evaluate(context, String::new()).await;
            let variables = variables.map_err(|failure| Fault::at(failure, location))?;
            show(sink, list(&variables.variables)).await;
            Ok(())
        }
        CommandHandler::Version => version(local, context, run.line, &call, location).await,
    }
}

/// Shows the documentation of a name.
async fn document(
    introspection: &Introspection,
    sink: &OutputSink,
    name: &str,
    location: FaultSource,
) -> Result<(), Fault> {
    let topic = HelpTopic {
        name: name.to_owned(),
        source: false,
    };
    let Some(page) = help_pages::page(introspection, &topic).await else {
        let unknown = CellError::Undocumented(topic.name);
        return Err(Fault::at(unknown, location));
    };
    show(sink, page).await;
    Ok(())
}

/// Sets default loggers; a failure is only logged.
pub(super) async fn set_loggers(local: &Local, context: &CellContext, loggers: Vec<&'static str>) {
    for code in loggers {
        let set = local.evaluate(context, code.to_owned()).await;
        if let Err(failure) = set {
            tracing::warn!(?failure, "no default logger could be set");
        }
    }
}

/// Changes the level of logged messages that are shown.
async fn log(
    local: &Local,
    logging: &Locked<Logging>,
    context: &CellContext,
    level: &str,
    location: FaultSource,
) -> Result<(), Fault> {
    let code = logging::level_code(level).filter(|_| logging.lock().is_set());
    let Some(code) = code else {
        return Err(Fault::at(CellError::NoLogger, location));
    };
    logging.lock().set_level(&code);
    let set = local.evaluate(context, code).await;
    set.map(drop)
        .map_err(|failure| Fault::at(failure, location))
}

/// Returns true for a `:dep` line.
pub fn is_dependency(line: &str) -> bool {
    command::parse(line).is_ok_and(|call| call.spec.handler == CommandHandler::Dependency)
}

/// Adds the dependencies of several `:dep` lines together.
///
/// # Errors
/// Returns an error if one of them cannot be added.
pub(super) async fn add_dependencies(
    dependencies: Dependencies<'_>,
    context: &CellContext,
    runs: &[CommandRun<'_>],
) -> Result<(), Fault> {
    let mut wanted = Vec::new();
    for run in runs {
        let Ok(call) = command::parse(run.line) else {
            continue;
        };
        wanted.push(TypedDependency {
            location: run.location(context, call.span.clone()),
            argument: call.argument,
        });
    }
    dependencies.add(context, wanted).await
}

impl CommandRun<'_> {
    fn location(&self, context: &CellContext, span: Range<usize>) -> FaultSource {
        FaultSource {
            span: Some(self.start + span.start..self.start + span.end),
            ..context.location(SourceMap::starting_at(self.source, self.start))
        }
    }
}

/// Evaluates a command in evcxr; its refusal becomes a usage error.
async fn evcxr(
    local: &Local,
    context: &CellContext,
    line: &str,
    call: &CommandCall,
    location: FaultSource,
) -> Result<Evaluated, Fault> {
    let line = evaluated_line(line, call).to_owned();
    let evaluated = local.evaluate(context, line).await;
    evaluated.map_err(|failure| Fault::at(refused(failure, call), location))
}

/// The line to evaluate in evcxr: without a comment behind a command that takes no argument.
fn evaluated_line<'a>(line: &'a str, call: &CommandCall) -> &'a str {
    match call.spec.usage {
        "" => call.spec.name,
        _ => line,
    }
}

/// Converts a refusal by evcxr to a usage error, with the command's usage as a hint.
fn refused(failure: Failure, call: &CommandCall) -> Failure {
    // With a fixed set of values, the argument has been checked before.
    let has_own_hint =
        matches!(call.spec.values, ArgumentKind::Closed(_)) || call.spec.usage.is_empty();
    let mut failure = into_usage_error(failure);
    if let Failure::Usage { hint, .. } = &mut failure
        && hint.is_none()
        && !has_own_hint
    {
        *hint = Some(format!("type `{} {}`", call.spec.name, call.spec.usage));
    }
    failure
}

/// Converts a message of evcxr or cargo to a usage error.
pub(super) fn into_usage_error(failure: Failure) -> Failure {
    let Some(message) = refusal_message(&failure) else {
        return failure;
    };
    let help = match &failure {
        Failure::Compile { diagnostics } => {
            diagnostics.iter().find_map(|one| one.help.first().cloned())
        }
        _ => None,
    };
    let message = message.to_owned();
    CellError::Refused { message, help }.into()
}

/// Returns the message with which evcxr refuses a command.
fn refusal_message(failure: &Failure) -> Option<&str> {
    let Failure::Compile { diagnostics } = failure else {
        return None;
    };
    match diagnostics.as_slice() {
        [
            Diagnostic {
                message,
                code: None,
                rendered: None,
                ..
            },
        ] => Some(message.trim()),
        _ => None,
    }
}

/// Returns the output of a command; a text in place of an empty list.
fn described(call: &CommandCall, output: MimeBundle) -> MimeBundle {
    let text = output.text().unwrap_or_default();
    match call.spec.name {
        ":show_deps" if text.trim().is_empty() => {
            MimeBundle::plain("There are no dependencies: `:dep NAME` adds one.")
        }
        _ => output,
    }
}

async fn show(sink: &OutputSink, output: MimeBundle) {
    if !output.0.is_empty() {
        sink.display(output).await;
    }
}

async fn print(sink: &OutputSink, text: impl Into<String>) {
    sink.text(StreamName::Stdout, text).await;
}

async fn change_folder(
    local: &Local,
    environment: &Environment,
    sink: &OutputSink,
    argument: &str,
    location: FaultSource,
) -> Result<(), Fault> {
    let typed = if argument.is_empty() { "~" } else { argument };
    let folder = environment.resolve(typed);
    let whole = match folder.canonicalize() {
        Ok(whole) if whole.is_dir() => whole,
        Ok(_) => return Err(Fault::at(CellError::NotAFolder(folder), location)),
        Err(error) => return Err(Fault::at(CellError::Folder { folder, error }, location)),
    };
    let text = format!("{}\n", whole.display());
    set(local, environment, Setting::Folder(whole));
    print(sink, text).await;
    Ok(())
}

async fn environment(
    local: &Local,
    environment: &Environment,
    context: &CellContext,
    call: &CommandCall,
    location: FaultSource,
) -> Result<(), Fault> {
    if call.argument.is_empty() {
        let variables = environment.variables();
        let rows = variables.into_iter().map(|(name, value)| vec![name, value]);
        let rows: Vec<_> = rows.collect();
        let title = if rows.is_empty() {
            "No environment variable has been set by `:env`"
        } else {
            "Environment"
        };
        show(
            context.sink(),
            shown_table(title, &["Variable", "Value"], &rows),
        )
        .await;
        return Ok(());
    }
    let Some((name, value)) = variable(&call.argument) else {
        return Err(Fault::at(
            CellError::Variable(call.argument.clone()),
            location,
        ));
    };
    let setting = Setting::Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    // evcxr's own variables apply to compilation.
    let line = format!(":env {name}={value}");
    evcxr(local, context, &line, call, location).await?;
    set(local, environment, setting);
    print(context.sink(), format!("Set {name}={value}\n")).await;
    Ok(())
}

/// Changes the working folder or an environment variable of cells.
fn set(local: &Local, environment: &Environment, setting: Setting) {
    environment.set(setting.clone());
    local.set(setting);
}

/// Parses `name=value`; `None` unless the system accepts it as a variable.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let fine = !name.is_empty() && !name.contains(char::is_whitespace) && !text.contains('\0');
    fine.then_some((name, value))
}

fn show_help(argument: &str) -> Result<MimeBundle, Failure> {
    if argument.is_empty() {
        return Ok(super::help::overview());
    }
    let bare = argument.trim_start_matches('%');
    if let Some((name, _)) = magic::name::resolve(bare, &[]) {
        return Ok(magic::help::help(name));
    }
    let name = format!(":{}", argument.trim_start_matches(':'));
    match table::find(&name) {
        Some(spec) => Ok(help::of(spec)),
        None => Err(command::UnknownCommand { name, span: 0..0 }.into()),
    }
}

/// Shows the last errors as JSON, which evcxr returns as an error.
async fn last_error(local: &Local, context: &CellContext) -> Result<(), Fault> {
    let line = ":last_error_json".to_owned();
    let failure = match local.evaluate(context, line).await {
        Ok(_) => return Ok(()),
        Err(failure) => failure,
    };
    match refusal_message(&failure) {
        Some("") => print(context.sink(), "There has been no compile error.\n").await,
        Some(json) => print(context.sink(), format!("{json}\n")).await,
        None => return Err(failure.into()),
    }
    Ok(())
}

/// Runs the tests defined by the notebook's cells.
async fn test(
    local: &Local,
    context: &CellContext,
    filter: &str,
    location: FaultSource,
) -> Result<(), Fault> {
    let sources = local.scope().await.sources;
    let tests = UnitTests::of(sources.iter().map(String::as_str)).named(filter);
    if tests.is_empty() {
        let error = match filter {
            "" => CellError::NoTests,
            filter => CellError::NoSuchTest(filter.to_owned()),
        };
        return Err(Fault::at(error, location));
    }
    let evaluated = local.evaluate(context, tests.call()).await;
    evaluated
        .map(drop)
        .map_err(|failure| Fault::at(failure, location))
}

async fn time(
    cells: LocalCells<'_>,
    context: &CellContext,
    run: CommandRun<'_>,
    call: &CommandCall,
) -> Result<(), Fault> {
    let text = RustText {
        source: call.argument.clone(),
        map: SourceMap::starting_at(run.source, run.start + call.span.start),
    };
    let before = context.timer().ran();
    let began = Instant::now();
    cells.evaluate(context, text).await?;
    let ran = context.timer().ran().saturating_sub(before);
    print(context.sink(), timer::describe(began.elapsed(), ran)).await;
    Ok(())
}

fn list(variables: &[(String, String)]) -> MimeBundle {
    let rows: Vec<_> = variables
        .iter()
        .map(|(name, ty)| vec![name.clone(), ty.clone()])
        .collect();
    let title = match rows.len() {
        0 => "No variables".to_owned(),
        1 => "1 variable".to_owned(),
        count => format!("{count} variables"),
    };
    shown_table(&title, &["Variable", "Type"], &rows)
}

async fn version(
    local: &Local,
    context: &CellContext,
    line: &str,
    call: &CommandCall,
    location: FaultSource,
) -> Result<(), Fault> {
    let evcxr = evcxr(local, context, line, call, location).await?;
    let evcxr = evcxr
        .command_output
        .text()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let text = format!("Phalanx {} (evcxr {evcxr})", env!("CARGO_PKG_VERSION"));
    show(context.sink(), MimeBundle::plain(text)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_a_name_and_a_value() {
        for (text, expected) in [
            ("A=1", Some(("A", "1"))),
            ("A = b=c d", Some(("A", "b=c d"))),
            ("Größe=", Some(("Größe", ""))),
            ("A", None),
            ("=1", None),
            ("a b=1", None),
            ("A=\0", None),
        ] {
            assert_eq!(variable(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_behind_commands_without_arguments_are_left_out() {
        for (line, expected) in [
            (":restart // fresh", ":restart"),
            (":clear\t// it", ":clear"),
            (":vars", ":vars"),
            (":dep a = { path = \"//x\" }", ":dep a = { path = \"//x\" }"),
        ] {
            let call = command::parse(line).unwrap();
            assert_eq!(evaluated_line(line, &call), expected);
        }
    }

    #[test]
    fn an_empty_list_of_dependencies_is_said_to_be_empty() {
        let call = command::parse(":show_deps").unwrap();
        let shown = |output: MimeBundle| described(&call, output).text().map(str::to_owned);
        assert!(shown(MimeBundle::default()).is_some_and(|text| text.contains("no dependencies")));
        let some = MimeBundle::plain("rand = \"0.9\"");
        assert_eq!(shown(some).as_deref(), Some("rand = \"0.9\""));
    }

    #[test]
    fn help_finds_commands_and_magics_with_or_without_their_prefix() {
        for name in ["dep", ":dep", "px", "%%px", ""] {
            assert!(show_help(name).is_ok(), "{name}");
        }
        assert!(show_help("nothing").is_err());
    }
}
