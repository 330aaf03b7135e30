//! `:dep`: resolution of dependencies, and their addition locally and for the engines.

use super::error::{CellError, DependencyError};
use super::locked::Locked;
use super::logging::Logging;
use super::{Environment, Local, commands};
use crate::context::CellContext;
use crate::parallel::compile::Compiler;
use crate::report::{Fault, FaultSource};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::StreamName;
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The manifest in a crate's folder.
const MANIFEST: &str = "Cargo.toml";

/// A dependency in evcxr's format: `name = configuration` with absolute paths, or a name.
#[derive(Clone, Debug, PartialEq)]
struct ResolvedDependency {
    spec: String,
    /// The folder, if the name was that of a crate's folder.
    found: Option<PathBuf>,
}

/// A dependency as typed.
#[derive(Debug)]
pub struct TypedDependency {
    /// The text after `:dep`.
    pub argument: String,
    /// The location of that text.
    pub location: FaultSource,
}

/// The parts of the session that dependencies concern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependencies<'a> {
    /// The folder to which paths are relative.
    pub(super) environment: &'a Environment,
    /// The local namespace.
    pub(super) local: &'a Local,
    /// The logging state: some dependencies get a default logger.
    pub(super) logging: &'a Locked<Logging>,
    /// The compiler for engines.
    pub(super) compiler: &'a Compiler,
}

impl Dependencies<'_> {
    /// Adds dependencies to the local namespace and to those of the engines: all of them, or none.
    ///
    /// They are built together, since one may require features of another's dependencies.
    ///
    /// # Errors
    /// Returns an error if a dependency cannot be resolved or they cannot be built.
    pub(super) async fn add(
        self,
        context: &CellContext,
        wanted: Vec<TypedDependency>,
    ) -> Result<(), Fault> {
        let mut all = Vec::new();
        for one in &wanted {
            let resolved = resolve(&one.argument, self.environment);
            let resolved = resolved.map_err(|error| {
                let error = CellError::Dependency(error);
                Fault::at(error, one.location.clone())
            });
            all.push(resolved?);
        }
        for folder in all.iter().filter_map(|resolved| resolved.found.as_ref()) {
            let text = format!("Using the crate in {}.\n", folder.display());
            context.sink().text(StreamName::Stdout, text).await;
        }
        let lines: Vec<String> = all.iter().map(ResolvedDependency::line).collect();
        let added = self.local.evaluate(context, lines.join("\n")).await;
        if let Err(failure) = added {
            let at = index_of_failed(&failure, &all);
            let location = wanted.into_iter().nth(at).map(|one| one.location);
            return Err(Fault {
                location,
                ..Fault::from(commands::into_usage_error(failure))
            });
        }
        let names = all.iter().map(ResolvedDependency::name);
        let loggers = self.logging.lock().added(names);
        commands::set_loggers(self.local, context, loggers).await;
        for (resolved, one) in all.into_iter().zip(wanted) {
            let added = self.compiler.add_dependency(resolved.spec, context.clone());
            added
                .await
                .map_err(|failure| Fault::at(failure, one.location))?;
        }
        Ok(())
    }
}

impl ResolvedDependency {
    fn line(&self) -> String {
        format!(":dep {}", self.spec)
    }

    /// Returns the name of the crate in the notebook.
    fn name(&self) -> &str {
        let name = self.spec.split_once('=').map(|(name, _)| name);
        name.unwrap_or(&self.spec).trim()
    }
}

/// Returns the index of the dependency that a failure names, or the last one.
fn index_of_failed(failure: &Failure, all: &[ResolvedDependency]) -> usize {
    let last = all.len().saturating_sub(1);
    let Failure::Compile { diagnostics } = failure else {
        return last;
    };
    let texts = || {
        let texts = diagnostics.iter().flat_map(|one| {
            let rendered = one.rendered.iter();
            rendered.chain([&one.message])
        });
        texts.map(String::as_str)
    };
    let is_named = |resolved: &ResolvedDependency| {
        let name = resolved.name();
        // `name`, `name = "2"`, `name v1.0.0 (…)`
        let forms = [format!("`{name}`"), format!("`{name} ")];
        texts().any(|text| forms.iter().any(|form| text.contains(form)))
    };
    all.iter().position(is_named).unwrap_or(last)
}

/// Returns the line of `[dependencies]` for a `:dep`, or a name alone.
///
/// # Errors
/// Returns an error if the crate does not exist or the text is malformed.
pub(crate) fn dependency_spec(
    argument: &str,
    environment: &Environment,
) -> Result<String, DependencyError> {
    resolve(argument, environment).map(|resolved| resolved.spec)
}

fn resolve(
    argument: &str,
    environment: &Environment,
) -> Result<ResolvedDependency, DependencyError> {
    if argument.is_empty() {
        return Err(DependencyError::NoCrate);
    }
    if argument.starts_with(['.', '/', '~']) {
        let folder = environment.resolve(argument);
        return by_folder(&folder).map(|spec| ResolvedDependency { spec, found: None });
    }
    match argument.split_once('=') {
        Some((name, _)) if name.trim().is_empty() => Err(DependencyError::NoName),
        Some((name, config)) => {
            let spec = by_config(name.trim(), config.trim(), environment)?;
            Ok(ResolvedDependency { spec, found: None })
        }
        None => {
            let folder = environment.resolve(argument);
            if !folder.join(MANIFEST).is_file() {
                if argument.contains(char::is_whitespace) {
                    return Err(DependencyError::Name(argument.to_owned()));
                }
                let spec = argument.to_owned();
                return Ok(ResolvedDependency { spec, found: None });
            }
            let spec = by_folder(&folder)?;
            let found = Some(folder);
            Ok(ResolvedDependency { spec, found })
        }
    }
}

/// Returns the dependency on the crate in a folder.
fn by_folder(folder: &Path) -> Result<String, DependencyError> {
    let folder = if folder.ends_with(MANIFEST) {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    let whole = folder.canonicalize();
    let whole = whole.map_err(|error| cannot_read(folder, error))?;
    let manifest = whole.join(MANIFEST);
    let text = std::fs::read_to_string(&manifest).map_err(|error| cannot_read(&manifest, error))?;
    let table: Table =
        text.parse()
            .map_err(|error: toml::de::Error| DependencyError::Manifest {
                path: manifest.clone(),
                error: Box::new(error),
            })?;
    match table.get("package").and_then(|package| package.get("name")) {
        Some(Value::String(name)) => Ok(format!("{name} = {{ path = {} }}", quoted(&whole))),
        _ if table.contains_key("workspace") => Err(DependencyError::Workspace {
            folder: whole,
            members: members(&table),
        }),
        _ => Err(DependencyError::NoPackage(manifest)),
    }
}

/// The folders of a workspace's crates, as its manifest has them.
fn members(workspace: &Table) -> Vec<String> {
    let members = workspace.get("workspace");
    let members = members.and_then(|workspace| workspace.get("members"));
    let members = members.and_then(Value::as_array).into_iter().flatten();
    members
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Parses a line of `[dependencies]`, with its path made absolute.
fn by_config(
    name: &str,
    config: &str,
    environment: &Environment,
) -> Result<String, DependencyError> {
    let parsed: Result<Table, _> = format!("dependency = {config}").parse();
    let table = parsed.map_err(|error: toml::de::Error| DependencyError::Configuration {
        text: config.to_owned(),
        error: Box::new(error),
    })?;
    let Some(Value::Table(mut table)) = table.get("dependency").cloned() else {
        return Ok(format!("{name} = {config}"));
    };
    let Some(Value::String(path)) = table.get("path") else {
        return Ok(format!("{name} = {config}"));
    };
    let folder = environment.resolve(path);
    let whole = folder.canonicalize();
    let whole = whole.map_err(|error| cannot_read(&folder, error))?;
    let whole = Value::String(whole.display().to_string());
    table.insert("path".to_owned(), whole);
    Ok(format!("{name} = {}", Value::Table(table)))
}

fn quoted(path: &Path) -> Value {
    Value::String(path.display().to_string())
}

fn cannot_read(path: &Path, error: io::Error) -> DependencyError {
    DependencyError::Read {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::Diagnostic;
    use phalanx_protocol::runtime::Setting;
    use std::fs;

    fn crate_in(folder: &Path, manifest: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(MANIFEST), manifest).unwrap();
    }

    #[test]
    fn a_dependency_is_a_name_a_folder_or_a_line_of_a_manifest() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        crate_in(&root.join("my lib"), "[package]\nname = \"my-lib\"\n");
        crate_in(&root.join("mylib"), "[package]\nname = \"mylib\"\n");
        crate_in(&root, "[package]\nname = \"root\"\n");
        let at = Environment::default();
        at.set(Setting::Folder(root.clone()));
        let root = root.display();
        for (argument, spec) in [
            ("rand", "rand".to_owned()),
            ("rand = \"0.9\"", "rand = \"0.9\"".to_owned()),
            (
                "a={version = \"1\", features = [\"x\"]}",
                "a = {version = \"1\", features = [\"x\"]}".to_owned(),
            ),
            (".", format!("root = {{ path = \"{root}\" }}")),
            ("./Cargo.toml", format!("root = {{ path = \"{root}\" }}")),
            (
                "./my lib",
                format!("my-lib = {{ path = \"{root}/my lib\" }}"),
            ),
            ("mylib", format!("mylib = {{ path = \"{root}/mylib\" }}")),
            (
                "b = { path = \"mylib\" }",
                format!("b = {{ path = \"{root}/mylib\" }}"),
            ),
        ] {
            let resolved = resolve(argument, &at).unwrap();
            assert_eq!(resolved.spec, spec, "{argument}");
            assert_eq!(resolved.found.is_some(), argument == "mylib");
        }
    }

    #[test]
    fn arguments_that_name_no_crate_are_refused_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        crate_in(
            &root.path().join("ws"),
            "[workspace]\nmembers = [\"one\", \"two\"]\n",
        );
        crate_in(&root.path().join("bad"), "[package\n");
        let at = Environment::default();
        at.set(Setting::Folder(root.path().to_owned()));
        for (argument, part) in [
            ("", "needs a crate"),
            ("foo bar", "`foo bar` is not the name of a crate"),
            ("./nowhere", "cannot be read"),
            ("./ws", "one, two"),
            ("ws", "one, two"),
            ("./bad", "is not a valid manifest"),
            ("größe = 1.0.0", "is not a valid dependency"),
            ("= \"1\"", "the name of a crate"),
            ("a = { path = \"nowhere\" }", "cannot be read"),
        ] {
            let trouble = resolve(argument, &at).unwrap_err();
            let text = format!("{trouble} {}", trouble.hint().unwrap_or_default());
            assert!(text.contains(part), "{argument}: {text}");
        }
    }

    #[test]
    fn a_failure_is_attributed_to_the_dependency_that_it_names() {
        let resolved = |spec: &str| ResolvedDependency {
            spec: spec.to_owned(),
            found: None,
        };
        let all = [
            resolved("a = \"1\""),
            resolved("größe = \"9\""),
            resolved("c"),
        ];
        let failure = |message: &str, rendered: Option<&str>| Failure::Compile {
            diagnostics: vec![Diagnostic {
                message: message.to_owned(),
                code: None,
                spans: Vec::new(),
                help: Vec::new(),
                rendered: rendered.map(str::to_owned),
                earlier: None,
            }],
        };
        for (message, rendered, at) in [
            ("no matching package named `größe` found", None, 1),
            ("for the requirement `größe = \"^9\"`", None, 1),
            ("mismatched types", Some("could not compile `a` (lib)"), 0),
            (
                "failed to run custom build command for `größe v9.0.1`",
                None,
                1,
            ),
            ("a, größe: something else", None, 2),
        ] {
            assert_eq!(
                index_of_failed(&failure(message, rendered), &all),
                at,
                "{message}"
            );
        }
        assert_eq!(
            index_of_failed(&Failure::Interrupted { lost: Vec::new() }, &all),
            2
        );
    }
}
