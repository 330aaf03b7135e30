//! Starting an evaluator: the relay, the context, the prelude.

use super::compile_cache::NamespaceShape;
use super::dependencies::Session;
use super::dry_run::{self, DryRun};
use super::engines::{Engines, StateMethods};
use super::error::EvcxrError;
use super::generated_crate;
use super::local::Local;
use super::relay::{self, Relay, RunPolicy};
use super::source::PreparedSource;
use super::types::Types;
use super::variables;
use super::{cargo_wrapper, library, prelude};
use crate::evaluate::Evaluate;
use crate::folder;
use crate::folder_check::cache_folder;
use crate::interrupt::Interrupt;
use crate::kernel_link::KernelLink;
use evcxr::{Error, EvalContext, EvalContextOutputs};
use phalanx_protocol::evaluator::{NamespaceKind, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Outcome;
use phalanx_toolchain::ActiveToolchain;
use std::path::Path;
use std::sync::Arc;

/// The environment variable that evcxr sets for its runtime process.
const IS_RUNTIME_VAR: &str = "EVCXR_IS_RUNTIME";

pub(crate) fn hook() {
    cargo_wrapper::tool_main();
    if std::env::var_os(IS_RUNTIME_VAR).is_some() {
        relay::relay_main();
    }
    // Runs evcxr's wrapper of rustc; returns if this process is not one.
    evcxr::runtime_hook();
}

/// Starts the evaluator for one kind of namespace.
pub(crate) fn start(
    kind: NamespaceKind,
    link: &Arc<KernelLink>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Evaluate>, Failure> {
    let toolchain = ready(&ActiveToolchain::find(Path::new(".")).map_err(EvcxrError::from)?)?;
    let cache = cache_folder().map_err(EvcxrError::from)?;
    let library = library::write(&cache);
    let library = library.map_err(|error| EvcxrError::Library { cache, error })?;
    let relay = Relay::start(link, interrupt).map_err(EvcxrError::Relay)?;
    let command = relay.command().map_err(EvcxrError::Relay)?;
    let begun = generated_crate::build_folder().map(|folder| Session::begin(&folder));
    begun.transpose().map_err(EvcxrError::BuildFolder)?;
    dry_run::remove_leftover().map_err(EvcxrError::BuildFolder)?;
    // evcxr first compiles an expression, with which it checks whether lld works. Nothing else
    // depends on it.
    let is_dry = phalanx_toolchain::find_program("lld").is_none();
    let dry_run = is_dry
        .then(DryRun::begin)
        .transpose()
        .map_err(EvcxrError::BuildFolder)?;
    let (mut context, outputs) =
        EvalContext::with_subprocess_command(command).map_err(not_started)?;
    drop(dry_run);
    drain(outputs);
    let mut state = context.state();
    for (name, config) in prelude::dependencies(&library) {
        state.add_dep(name, &config).map_err(not_started)?;
    }
    let items = PreparedSource::unchanged(&prelude::LastExpression::default().items());
    // Every cell is compiled with these items, so compiling them alone has no benefit.
    let dry_run =
        DryRun::building_dependencies(std::iter::empty()).map_err(EvcxrError::BuildFolder)?;
    relay.expect(RunPolicy::Assume(Outcome::Completed), &items);
    if let Err(error) = context.eval_with_state(&items.text, state.clone()) {
        // Removes files that an earlier session may have left in a broken state.
        let forgotten = generated_crate::build_folder().map(|folder| folder::forget_cells(&folder));
        if !matches!(forgotten, Some(Ok(()))) {
            return Err(not_started(error).into());
        }
        relay.expect(RunPolicy::Assume(Outcome::Completed), &items);
        context
            .eval_with_state(&items.text, state)
            .map_err(not_started)?;
    }
    drop(dry_run);
    let shape = NamespaceShape::default().after(
        &relay.generated(),
        &items.text,
        &variables::all(context.variables_and_types()),
    );
    let types = Types::new(interrupt);
    Ok(match kind {
        NamespaceKind::Local => {
            Box::new(Local::new(context, relay, toolchain, shape, library, types))
        }
        NamespaceKind::Engines => {
            let methods = StateMethods {
                state: EvalContext::state,
                eval: EvalContext::eval_with_state,
                add_dep: |state, name, config| state.add_dep(name, config),
            };
            Box::new(Engines::new(
                context, relay, toolchain, methods, shape, types,
            ))
        }
    })
}

/// Consumes the outputs, for which evcxr would wait; none is relevant here.
fn drain(outputs: EvalContextOutputs) {
    let EvalContextOutputs { stdout, stderr } = outputs;
    std::thread::spawn(move || while stdout.recv().is_ok() {});
    std::thread::spawn(move || {
        while let Ok(line) = stderr.recv() {
            eprintln!("{line}");
        }
    });
}

/// Prepares a toolchain for compiling cells; returns their requirements on the machine that runs
/// them.
pub(super) fn ready(toolchain: &ActiveToolchain) -> Result<Toolchain, Failure> {
    toolchain.check_release().map_err(EvcxrError::from)?;
    toolchain
        .ensure_library_source(|line| eprintln!("{line}"))
        .map_err(EvcxrError::from)?;
    phalanx_toolchain::linker().map_err(EvcxrError::from)?;
    Ok(Toolchain {
        rustc: toolchain.version.clone(),
        target: toolchain.host.clone(),
        libstd: toolchain.shared_library().map_err(EvcxrError::from)?,
    })
}

fn not_started(error: Error) -> EvcxrError {
    EvcxrError::Start(Box::new(error))
}
