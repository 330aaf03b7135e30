//! The kernel's own namespace: cells run as they are compiled, and evcxr is notified of each
//! outcome.

use super::compile_cache::{CompileCache, NamespaceShape};
use super::definitions::Definitions;
use super::dependencies::{self, Externs, RebuiltCrates};
use super::diagnostics;
use super::dry_run::{self, DryRun};
use super::error::EvcxrError;
use super::error_hints;
use super::generated_crate::{self, GeneratedCrate};
use super::impls::Impls;
use super::inference;
use super::prelude::LastExpression;
use super::relay::{Relay, RunPolicy};
use super::returns;
use super::source::{CellSetting, PreparedSource, declared, prepare};
use super::statics::Statics;
use super::syntax;
use super::types::Types;
use super::variables::{self, VariableTypes};
use crate::evaluate::Evaluate;
use evcxr::{CommandContext, Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{
    CompiledCell, DroppedVariables, Evaluated, EvaluatorReply, EvaluatorRequest, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::runtime::Outcome;
use serde_json::Value;
use std::io;
use std::path::PathBuf;

/// A cell that changes nothing.
pub(super) const NOTHING: &str = "();";

pub(super) struct Local {
    pub(super) relay: Relay,
    pub(super) toolchain: Toolchain,
    context: Context,
    pub(super) display: LastExpression,
    /// The folder of the `phalanx` library.
    pub(super) library: PathBuf,
    pub(super) definitions: Definitions,
    pub(super) impls: Impls,
    /// The number of cells run.
    runs: u64,
    pub(super) shape: NamespaceShape,
    pub(super) compile_cache: CompileCache,
    pub(super) types: Types,
    pub(super) dependencies: Dependencies,
}

/// The state of the crates that the namespace depends on.
#[derive(Default)]
pub(super) struct Dependencies {
    /// True if they may have changed since they were last built.
    pub(super) is_stale: bool,
    externs: Externs,
    /// Crates that were rebuilt while variables may still hold values of their types.
    rebuilt: RebuiltCrates,
}

impl Dependencies {
    /// Records the result of a build.
    fn record_build(&mut self) {
        let (externs, changes) = dependencies::changes(&self.externs);
        self.externs = externs;
        self.rebuilt.crates.extend(changes.crates);
        self.rebuilt.shadowed.extend(changes.shadowed);
        let still = |name: &String| !self.rebuilt.crates.contains(name);
        self.rebuilt.unchanged = changes.unchanged.into_iter().filter(still).collect();
        self.is_stale = false;
    }
}

/// evcxr's context, before and after the first cell.
enum Context {
    Fresh(EvalContext),
    Used(CommandContext),
    /// Only during the transition.
    Moving,
}

impl Evaluate for Local {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn handle(&mut self, request: EvaluatorRequest) -> Result<EvaluatorReply, Failure> {
        match request {
            EvaluatorRequest::Evaluate { source, .. } => self.evaluate(&source),
            other => Err(EvcxrError::Request {
                evaluator: "local evaluator",
                request: Box::new(other),
            }
            .into()),
        }
    }
}

impl Local {
    pub(super) fn new(
        context: EvalContext,
        relay: Relay,
        toolchain: Toolchain,
        shape: NamespaceShape,
        library: PathBuf,
        types: Types,
    ) -> Self {
        Self {
            relay,
            toolchain,
            context: Context::Fresh(context),
            display: LastExpression::default(),
            library,
            definitions: Definitions::default(),
            impls: Impls::default(),
            runs: 0,
            shape,
            compile_cache: CompileCache::default(),
            types,
            dependencies: Dependencies {
                externs: dependencies::changes(&Externs::default()).0,
                ..Dependencies::default()
            },
        }
    }

    fn context(&mut self) -> Result<&mut CommandContext, Failure> {
        self.context = match std::mem::replace(&mut self.context, Context::Moving) {
            Context::Fresh(context) => Context::Used(CommandContext::with_eval_context(context)),
            moved => moved,
        };
        match &mut self.context {
            Context::Used(context) => Ok(context),
            Context::Fresh(_) | Context::Moving => Err(EvcxrError::NoContext.into()),
        }
    }

    fn evaluate(&mut self, source: &str) -> Result<EvaluatorReply, Failure> {
        let reply = if source.starts_with(':') && !source.starts_with("::") {
            self.command(source)
        } else {
            self.cell(source)
        };
        // A cell may have added a dependency too.
        self.types.update();
        reply
    }

    fn cell(&mut self, source: &str) -> Result<EvaluatorReply, Failure> {
        let source: &str = &syntax::checked(source)?;
        self.build_dependencies()?;
        if dependencies::awaits(source) && !generated_crate::depends_on(dependencies::TOKIO.0) {
            let (name, config) = dependencies::TOKIO;
            dependencies::explain_tokio();
            self.add_dependency(&format!(":dep {name} = {config}"))?;
            // Variables of this cell may have its types.
            self.types.update();
        }
        let before = self.variables()?;
        let mut policy = RunPolicy::Run;
        if let Some(cell) = self.compile_cache.get(&self.shape, source) {
            let outcome = self.relay.run(cell).map_err(EvcxrError::Kernel)?;
            if keeps_shape(&outcome, source) {
                return Ok(EvaluatorReply::Evaluated(Evaluated {
                    variables: variables::shown(&before),
                    ..Evaluated::default()
                }));
            }
            policy = RunPolicy::Ended(outcome);
        }
        let dropped = self.dropped(source, &before);
        self.remove(&dropped.names)?;
        let (prepared, result) = self.execute_first_that_compiles(source, &dropped, policy)?;
        let outcome = self.relay.outcome();
        let (cell, emitted) = (self.relay.last(), self.relay.generated());
        let redefined = self.definitions.redefined(source);
        if result.is_ok() {
            self.definitions.add(source);
            self.impls.add(source);
            self.shape = self.shape.clone().sharing(&prepared.statics);
            self.runs += 1;
        }
        if !matches!(outcome, None | Some(Outcome::Abandoned { .. })) {
            self.remove(&self.relay.unkept())?;
        }
        if matches!(outcome, None | Some(Outcome::Abandoned { .. })) && result.is_err() {
            // The cell did not compile, or has had no effect: the variables still exist.
            self.declare(&dropped.names)?;
        } else {
            self.dependencies.rebuilt = RebuiltCrates::default();
        }
        let dropped = dropped.names;
        let after = self.variables()?;
        let ran = outcome.as_ref().filter(|_| result.is_ok());
        let redefined = ran.map(|_| redefined).unwrap_or_default();
        self.record(source, ran, cell, &emitted, &after);
        let command_output = match result {
            Ok(outputs) => bundle(outputs),
            // The kernel ran the cell, so it has the outcome.
            Err(_)
                if matches!(
                    outcome,
                    Some(Outcome::Died { .. } | Outcome::Abandoned { .. })
                ) =>
            {
                MimeBundle::default()
            }
            Err(error) => {
                let failure = diagnostics::failure(error, &prepared);
                return Err(error_hints::explain_items(failure, &prepared, &before));
            }
        };
        let variables = variables::shown(&after);
        let moved = variables::moved(&before, &after, outcome.as_ref());
        Ok(EvaluatorReply::Evaluated(Evaluated {
            command_output,
            variables,
            moved: moved
                .into_iter()
                .filter(|name| !dropped.contains(name))
                .collect(),
            toolchain: None,
            misfits: inference::misfits(self.shape.items(), &redefined),
        }))
    }

    /// Builds the dependencies of cells, unless they cannot have changed.
    fn build_dependencies(&mut self) -> Result<(), Failure> {
        if !self.dependencies.is_stale && !generated_crate::depends_on_paths() {
            return Ok(());
        }
        let nothing = (NOTHING.to_owned(), Outcome::Completed);
        let building = DryRun::building_dependencies(self.definitions.globs());
        self.dry_run(building, nothing)?;
        self.dependencies.record_build();
        Ok(())
    }

    /// Adds dependencies from `:dep` lines, and builds them.
    pub(super) fn add_dependency(&mut self, lines: &str) -> Result<EvalOutputs, Failure> {
        let building = DryRun::building_new_dependencies(self.definitions.globs());
        let building = building.map_err(EvcxrError::NotWritable)?;
        self.dependencies.is_stale = true;
        let mut prepared = PreparedSource::unchanged(lines);
        let completed = RunPolicy::Assume(Outcome::Completed);
        let mut result = self.execute(&prepared, completed.clone())?;
        if let Some(addition) = building.addition() {
            prepared = PreparedSource::unchanged(&format!("{lines}\n:dep {addition}"));
            result = self.execute(&prepared, completed)?;
        }
        let outputs = result.map_err(|error| diagnostics::failure(error, &prepared))?;
        drop(building);
        self.dependencies.record_build();
        Ok(outputs)
    }

    /// Returns the variables that cannot be read after a cell has been compiled.
    fn dropped(&self, source: &str, before: &VariableTypes) -> DroppedVariables {
        let rebuilt = &self.dependencies.rebuilt;
        let shadowed = &dependencies::shadowed_types;
        self.definitions.dropped(source, rebuilt, before, shadowed)
    }

    /// Evaluates a cell, in the first form that compiles.
    fn execute_first_that_compiles(
        &mut self,
        source: &str,
        dropped: &DroppedVariables,
        policy: RunPolicy,
    ) -> Result<(PreparedSource, Result<EvalOutputs, Error>), Failure> {
        let types = self.types.resolve(source, &self.shape, &dropped.names);
        let stale_impls = self.impls.stale(source);
        let statics = self.statics(source);
        let fallible = self.shape.is_fallible() || returns::need_fallible(source);
        if fallible && !self.shape.is_fallible() {
            let enabling = PreparedSource::unchanged(returns::FALLIBLE);
            let completed = RunPolicy::Assume(Outcome::Completed);
            let result = self.execute(&enabling, completed)?;
            result.map_err(|error| diagnostics::failure(error, &enabling))?;
            // It stays so, even if the cell does not compile.
            self.shape = self.shape.clone().fallible();
        }
        let shape = self.shape.clone();
        let mut setting = CellSetting {
            types: &types,
            disputed: &[],
            items: shape.items(),
            stale_impls: &stale_impls,
            fallible,
        };
        let complete =
            |prepared: PreparedSource| prepared.dropping(dropped.clone()).sharing(&statics);
        let prepared = complete(prepare(source, &setting));
        let result = self.execute(&prepared, policy.clone())?;
        let disputed = diagnostics::disputed_types(&result, &prepared);
        if !disputed.is_empty() {
            // The user sees the error of the original code, or of a variable that is not kept.
            setting.disputed = &disputed;
            let without = complete(prepare(source, &setting));
            let result = self.execute(&without, policy)?;
            return Ok((without, result));
        }
        let plain = complete(PreparedSource::typed(source, &setting));
        if diagnostics::is_shown_by_value(&result) && plain.text != prepared.text {
            // `evcxr_display` takes the type by value, but is called with a reference.
            if let Ok(outputs) = self.execute(&plain, policy)? {
                return Ok((plain, Ok(outputs)));
            }
        }
        Ok((prepared, result))
    }

    /// Returns the statics after a cell has run; those whose types it redefines are new.
    fn statics(&self, source: &str) -> Statics {
        let items = self.shape.items();
        let mut statics = self.shape.statics().with(source, items, self.runs);
        let types = statics.types();
        let rebuilt = &self.dependencies.rebuilt;
        let shadowed = &dependencies::shadowed_types;
        let changed = self.definitions.dropped(source, rebuilt, &types, shadowed);
        statics.renew(&changed.names, self.runs);
        statics
    }

    /// Makes evcxr remove variables that are to be dropped.
    pub(super) fn remove(&mut self, dropped: &[String]) -> Result<(), Failure> {
        if dropped.is_empty() {
            return Ok(());
        }
        self.dry_run(DryRun::begin(), dry_run::removing(dropped))
    }

    /// Restores variables in evcxr that were not dropped after all.
    fn declare(&mut self, dropped: &[String]) -> Result<(), Failure> {
        let shape = &self.shape;
        let declarations = dropped.iter().filter_map(|name| shape.declaration(name));
        let declarations = declarations.collect::<Vec<_>>();
        if declarations.is_empty() {
            return Ok(());
        }
        self.dry_run(DryRun::begin(), dry_run::declaring(&declarations))
    }

    fn dry_run(
        &mut self,
        dry_run: io::Result<DryRun>,
        (text, outcome): (String, Outcome),
    ) -> Result<(), Failure> {
        let prepared = PreparedSource::unchanged(&text);
        let _dry_run = dry_run.map_err(EvcxrError::NotWritable)?;
        let result = self.execute(&prepared, RunPolicy::Assume(outcome))?;
        result.map_err(|error| diagnostics::failure(error, &prepared))?;
        Ok(())
    }

    /// Records the effects of a cell on the namespace; `outcome` is `None` if it did not compile.
    fn record(
        &mut self,
        source: &str,
        outcome: Option<&Outcome>,
        cell: Option<CompiledCell>,
        generated: &GeneratedCrate,
        after: &VariableTypes,
    ) {
        let shape = match outcome {
            Some(_) => self.shape.after(generated, source, after),
            None => self.shape.after_failure(after),
        };
        if let (Some(Outcome::Completed), Some(cell)) = (outcome, cell) {
            let shapes = (&self.shape, &shape);
            self.compile_cache.insert(shapes, source, generated, cell);
        }
        self.shape = shape;
    }

    pub(super) fn variables(&mut self) -> Result<VariableTypes, Failure> {
        Ok(variables::all(self.context()?.variables_and_types()))
    }

    pub(super) fn execute(
        &mut self,
        source: &PreparedSource,
        policy: RunPolicy,
    ) -> Result<Result<EvalOutputs, Error>, Failure> {
        self.relay.expect(policy, source);
        Ok(self.context()?.execute(&source.text))
    }
}

/// Returns true if a cell that had been run in this shape before, and compiled to the same code,
/// has left the namespace unchanged: always, unless it declares variables and ended before storing
/// them.
pub(super) fn keeps_shape(outcome: &Outcome, source: &str) -> bool {
    match outcome {
        Outcome::Completed | Outcome::Abandoned { .. } => true,
        Outcome::Panicked(_) | Outcome::Errored { .. } | Outcome::Returned => {
            declared(source).is_empty()
        }
        Outcome::VariablesLost(_) | Outcome::Died { .. } => false,
    }
}

pub(super) fn bundle(outputs: EvalOutputs) -> MimeBundle {
    let entries = outputs.content_by_mime_type.into_iter();
    MimeBundle(
        entries
            .map(|(mime, text)| (mime, Value::String(text)))
            .collect(),
    )
}
