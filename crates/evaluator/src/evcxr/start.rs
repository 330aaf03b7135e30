//! Bringing an evaluator up: the relay, the context, the prelude, the warm-up.

use super::emitted;
use super::engines::{Engines, Methods};
use super::local::Local;
use super::relay::{self, Answering, Relay};
use super::shape::Shape;
use super::source::Prepared;
use super::variables;
use super::{library, prelude, pretence, tools};
use crate::folder;
use crate::process::{Evaluate, Interrupt, Link};
use evcxr::{Error, EvalContext, EvalContextOutputs};
use phalanx_protocol::evaluator::{NamespaceKind, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Set by evcxr for the child it believes is its runtime.
const IS_RUNTIME_VAR: &str = "EVCXR_IS_RUNTIME";

pub(crate) fn hook() {
    tools::tool_main();
    if std::env::var_os(IS_RUNTIME_VAR).is_some() {
        relay::relay_main();
    }
    // evcxr's wrapper around rustc; returns when this is not one.
    evcxr::runtime_hook();
}

/// Starts the evaluator of one kind of namespace.
pub(crate) fn start(
    kind: NamespaceKind,
    link: &Arc<Link>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Evaluate>, Failure> {
    let toolchain = toolchain(Path::new("rustc"))?;
    let cache = folder::cache_folder()
        .ok_or_else(|| environment("no cache folder", "set PHALANX_CACHE_DIR"))?;
    let library = library::write(&cache).map_err(|error| {
        let message = format!(
            "the phalanx library cannot be written below {}: {error}",
            cache.display()
        );
        environment(
            message,
            "make room there, or set PHALANX_CACHE_DIR to another folder",
        )
    })?;
    let relay = Relay::start(link, interrupt)
        .map_err(|error| environment(format!("no relay: {error}"), ""))?;
    let command = relay
        .command()
        .map_err(|error| environment(format!("no relay: {error}"), ""))?;
    pretence::end_any().map_err(|error| environment(format!("the build folder: {error}"), ""))?;
    let (mut context, outputs) =
        EvalContext::with_subprocess_command(command).map_err(not_started)?;
    drain(outputs);
    let mut state = context.state();
    for (name, config) in prelude::dependencies(&library) {
        state.add_dep(name, &config).map_err(not_started)?;
    }
    let items = Prepared::unchanged(&prelude::Shown::default().items());
    relay.expect(Answering::Assume(Outcome::Completed), &items);
    if let Err(error) = context.eval_with_state(&items.text, state.clone()) {
        // Without what an earlier session may have spoilt.
        let forgotten = emitted::build_folder().map(|folder| folder::forget_cells(&folder));
        if !matches!(forgotten, Some(Ok(()))) {
            return Err(not_started(error));
        }
        relay.expect(Answering::Assume(Outcome::Completed), &items);
        context
            .eval_with_state(&items.text, state)
            .map_err(not_started)?;
    }
    let shape = Shape::default().after(
        &relay.emitted(),
        &items.text,
        &variables::all(context.variables_and_types()),
    );
    Ok(match kind {
        NamespaceKind::Local => Box::new(Local::new(context, relay, toolchain, shape, library)),
        NamespaceKind::Engines => {
            let methods = Methods {
                state: EvalContext::state,
                eval: EvalContext::eval_with_state,
                add_dep: |state, name, config| state.add_dep(name, config),
            };
            Box::new(Engines::new(context, relay, toolchain, methods, shape))
        }
    })
}

/// Has rust-analyzer load the standard library, which the first `let` would wait two seconds for.
/// The context is left as it was.
pub(super) fn warm_up(context: &mut EvalContext, relay: &Relay) {
    let before = context.state();
    let nothing = Prepared::unchanged("");
    relay.expect(Answering::Assume(Outcome::Completed), &nothing);
    // Only speed is lost if one of these fails, and the user's first cell will say why.
    let _ = context.eval("let phalanx_warm_up = vec![1].len();");
    let _ = context.eval_with_state("", before);
}

/// evcxr waits until somebody has taken what it took for output; there is none that matters here.
fn drain(outputs: EvalContextOutputs) {
    let EvalContextOutputs { stdout, stderr } = outputs;
    std::thread::spawn(move || while stdout.recv().is_ok() {});
    std::thread::spawn(move || {
        while let Ok(line) = stderr.recv() {
            eprintln!("{line}");
        }
    });
}

/// What cells that this rustc compiles need.
pub(super) fn toolchain(program: &Path) -> Result<Toolchain, Failure> {
    let rustc = |args: &[&str]| rustc(program, args);
    let verbose = rustc(&["-vV"])?;
    let sysroot = rustc(&["--print", "sysroot"])?;
    let target = verbose
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let source = PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library/std/src/lib.rs");
    let libraries = PathBuf::from(rustc(&["--print", "target-libdir"])?.trim());
    if !source.is_file() {
        return Err(environment(
            format!(
                "the source of Rust's standard library is not installed: {} is missing",
                source.display()
            ),
            "rustup component add rust-src",
        ));
    }
    let libstd = std::fs::read_dir(&libraries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with("libstd-") && name.ends_with(".so")
        })
        .ok_or_else(|| {
            let message = format!(
                "the shared standard library (libstd-….so) is not in {}",
                libraries.display()
            );
            environment(message, "install the toolchain with rustup")
        })?;
    Ok(Toolchain {
        rustc: verbose.lines().next().unwrap_or_default().to_owned(),
        target: target.to_owned(),
        libstd,
    })
}

fn rustc(program: &Path, args: &[&str]) -> Result<String, Failure> {
    let hint = "install Rust from https://rustup.rs, and see that rustc and cargo are on the PATH of \
                the program that starts the kernel; `phalanx doctor` finds out more";
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|error| environment(format!("rustc could not be run: {error}"), hint))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(environment(
        format!("rustc {} failed: {}", args.join(" "), said.trim()),
        hint,
    ))
}

fn not_started(error: Error) -> Failure {
    let message = match &error {
        Error::CompilationErrors(errors) => {
            let rendered = errors.iter().map(|error| error.rendered());
            rendered.collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    };
    environment(
        format!("the evaluator could not be started: {message}"),
        "`phalanx doctor` finds out what is missing",
    )
}

pub(super) fn environment(message: impl Into<String>, hint: &str) -> Failure {
    Failure::Environment {
        message: message.into(),
        hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
    }
}
