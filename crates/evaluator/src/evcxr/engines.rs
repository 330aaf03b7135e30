//! The engines' namespaces: one evcxr context, and a state for every point that a namespace has
//! reached.
//!
//! evcxr's own committed state is never used: every cell is compiled from one of our states.

use super::compile_cache::{CompileCache, NamespaceShape};
use super::definitions::Definitions;
use super::dependencies::{self, Externs, RebuiltCrates};
use super::diagnostics;
use super::dry_run::{self, DryRun};
use super::error::EvcxrError;
use super::error_hints;
use super::generated_crate;
use super::impls::Impls;
use super::inference;
use super::local::NOTHING;
use super::relay::{Relay, RunPolicy};
use super::returns;
use super::source::{CellSetting, PreparedSource, prepare};
use super::statics::Statics;
use super::syntax;
use super::types::{self, Types};
use super::variables::{self, VariableTypes};
use crate::evaluate::Evaluate;
use evcxr::{Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{
    Compiled, DroppedVariables, EvaluatorReply, EvaluatorRequest, Toolchain,
};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::parallel::Package;
use phalanx_protocol::runtime::Outcome;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;

/// The methods of a context for states. evcxr's state type is public but cannot be named outside,
/// so everything here is generic over it.
pub(super) struct StateMethods<S> {
    pub(super) state: fn(&EvalContext) -> S,
    pub(super) eval: fn(&mut EvalContext, &str, S) -> Result<EvalOutputs, Error>,
    pub(super) add_dep: fn(&mut S, &str, &str) -> Result<(), Error>,
}

pub(super) struct Engines<S> {
    relay: Relay,
    toolchain: Toolchain,
    context: EvalContext,
    methods: StateMethods<S>,
    /// The namespaces by state; states between which cells have not changed the namespace share
    /// one.
    states: HashMap<StateId, Arc<Namespace<S>>>,
    compile_cache: CompileCache,
    /// Dependencies that are added to every state before its next cell.
    dependencies: BTreeMap<String, String>,
    /// True if the dependencies must be built.
    is_stale: bool,
    types: Types,
    /// The packages in the last reply.
    reported_packages: Vec<Package>,
}

/// A state of a namespace.
struct Namespace<S> {
    state: S,
    variables: VariableTypes,
    definitions: Arc<Definitions>,
    impls: Arc<Impls>,
    shape: NamespaceShape,
    /// The crates that define the types of its variables.
    externs: Externs,
}

/// The request to compile a cell from one of the states.
struct CompileRequest<'a> {
    /// The cell, in the form in which it is compiled ([`syntax::checked`]).
    source: &'a str,
    base: &'a StateId,
    /// The outcome that its run is assumed to have.
    outcome: &'a Outcome,
    /// The crates whose version has changed since an engine reached the state that the cell leads to.
    replaced: &'a [String],
    /// The types of the variables it declares, if another notebook has compiled it.
    known_types: Option<&'a [(String, String)]>,
}

/// The changes that a cell makes to the namespace it is compiled from.
struct CellEffects<'a> {
    source: &'a str,
    outcome: Outcome,
    /// The crates that define the types of variables, afterwards.
    externs: Externs,
    /// The variables dropped before it runs.
    dropped: DroppedVariables,
    /// The types it redefines.
    redefined: Vec<String>,
    /// The statics afterwards.
    statics: Statics,
}

impl<S> Namespace<S> {
    /// Returns the source and the outcome by which a request is compiled. A runtime that died has
    /// lost all variables; the items are those before the cell.
    fn run_as_assumed<'a>(&self, request: &CompileRequest<'a>) -> (&'a str, Outcome) {
        match request.outcome {
            Outcome::Died { .. } => {
                let names = self.variables.iter().map(|(name, _)| name.clone());
                (NOTHING, Outcome::VariablesLost(names.collect()))
            }
            other => (request.source, other.clone()),
        }
    }

    /// Returns the variables that cannot be read after a cell has been compiled with some crates
    /// rebuilt.
    fn dropped(&self, source: &str, rebuilt: &RebuiltCrates) -> DroppedVariables {
        let shadowed = &dependencies::shadowed_types;
        self.definitions
            .dropped(source, rebuilt, &self.variables, shadowed)
    }

    /// Returns the statics after a cell has run in this namespace, whose state is `id`; those whose
    /// types it redefines are new.
    fn statics_after(&self, source: &str, id: &StateId, rebuilt: &RebuiltCrates) -> Statics {
        let run = run_of(id, source);
        let mut statics = self.shape.statics().with(source, self.shape.items(), run);
        let shadowed = &dependencies::shadowed_types;
        let changed = self
            .definitions
            .dropped(source, rebuilt, &statics.types(), shadowed);
        statics.renew(&changed.names, run);
        statics
    }
}

impl<S: Clone> Engines<S> {
    pub(super) fn new(
        context: EvalContext,
        relay: Relay,
        toolchain: Toolchain,
        methods: StateMethods<S>,
        shape: NamespaceShape,
        types: Types,
    ) -> Self {
        let first = Arc::new(Namespace {
            state: (methods.state)(&context),
            variables: Vec::new(),
            definitions: Arc::default(),
            impls: Arc::default(),
            shape,
            externs: dependencies::changes(&Externs::default()).0,
        });
        Self {
            relay,
            toolchain,
            context,
            methods,
            states: HashMap::from([(StateId::empty(), first)]),
            compile_cache: CompileCache::default(),
            dependencies: BTreeMap::new(),
            is_stale: false,
            types,
            reported_packages: Vec::new(),
        }
    }

    /// Compiles a cell; the state `next` is the one it leads to.
    fn compile(
        &mut self,
        request: &CompileRequest<'_>,
        next: StateId,
    ) -> Result<Compiled, Failure> {
        let base = self.namespace(request.base)?;
        self.add_tokio_if_awaited(request.source)?;
        self.build_dependencies(&base)?;
        if let Some(compiled) = self.compiled_before(request, &base) {
            self.states.insert(next, base);
            return Ok(compiled);
        }
        let (source, outcome) = base.run_as_assumed(request);
        let (mut externs, rebuilt) = dependencies::changes(&base.externs);
        dependencies::replace(&mut externs, request.replaced);
        let dropped = base.dropped(source, &rebuilt);
        let state = self.state_without(&base, &dropped.names)?;
        let types = match request.known_types {
            Some(types) => types::known(source, types),
            None => self.types.resolve(source, &base.shape, &dropped.names),
        };
        // A cell that was compiled before was reported then.
        let redefined = match request.known_types {
            None => base.definitions.redefined(source),
            Some(_) => Vec::new(),
        };
        let stale_impls = base.impls.stale(source);
        let fallible = base.shape.is_fallible() || returns::need_fallible(source);
        let state = match fallible && !base.shape.is_fallible() {
            true => self.fallible_state(state)?,
            false => state,
        };
        let statics = base.statics_after(source, request.base, &rebuilt);
        let setting = CellSetting {
            types: &types,
            disputed: &[],
            items: base.shape.items(),
            stale_impls: &stale_impls,
            fallible,
        };
        let effects = CellEffects {
            source,
            outcome,
            externs,
            dropped,
            redefined,
            statics,
        };
        let (prepared, result) = self.eval_first_that_compiles(&effects, setting, state);
        self.types.update();
        result.map_err(|error| {
            let failure = diagnostics::failure(error, &prepared);
            error_hints::explain_items(failure, &prepared, &base.variables)
        })?;
        self.record(&base, effects, next)
    }

    /// Returns the namespace in a state.
    fn namespace(&self, state: &StateId) -> Result<Arc<Namespace<S>>, Failure> {
        let namespace = self.states.get(state).map(Arc::clone);
        namespace.ok_or_else(|| EvcxrError::State(state.clone()).into())
    }

    /// Adds the runtime for a cell that awaits a future, unless it is a dependency already.
    fn add_tokio_if_awaited(&mut self, source: &str) -> Result<(), Failure> {
        let (name, config) = dependencies::TOKIO;
        if dependencies::awaits(source) && !self.dependencies.contains_key(name) {
            dependencies::explain_tokio();
            self.add_dependency(&format!("{name} = {config}"))?;
        }
        Ok(())
    }

    /// Returns a cell that was compiled before from a namespace of the same shape, and leaves it
    /// unchanged.
    fn compiled_before(
        &mut self,
        request: &CompileRequest<'_>,
        base: &Namespace<S>,
    ) -> Option<Compiled> {
        if *request.outcome != Outcome::Completed || !request.replaced.is_empty() {
            return None;
        }
        let cell = self.compile_cache.get(&base.shape, request.source)?;
        Some(Compiled {
            cell: Some(cell),
            variables: variables::shown(&base.variables),
            moved: Vec::new(),
            types: types::declared(request.source, &base.variables),
            unchanged: true,
            packages: self.changed_packages(),
            misfits: Vec::new(),
        })
    }

    /// Returns a state in which a cell may contain `?`.
    fn fallible_state(&mut self, state: S) -> Result<S, Failure> {
        let enabling = PreparedSource::unchanged(returns::FALLIBLE);
        self.eval(&enabling, state, &Outcome::Completed)
            .map_err(|error| diagnostics::failure(error, &enabling))?;
        Ok((self.methods.state)(&self.context))
    }

    /// Evaluates a cell, in the first form that compiles; returns the form whose errors the user
    /// sees.
    fn eval_first_that_compiles(
        &mut self,
        effects: &CellEffects<'_>,
        setting: CellSetting<'_>,
        state: S,
    ) -> (PreparedSource, Result<(), Error>) {
        let CellEffects {
            source, outcome, ..
        } = effects;
        let complete = |prepared: PreparedSource| {
            let prepared = prepared.dropping(effects.dropped.clone());
            prepared.sharing(&effects.statics)
        };
        let prepared = complete(prepare(source, &setting));
        let result = self.eval(&prepared, state.clone(), outcome);
        let disputed = diagnostics::disputed_types(&result, &prepared);
        if !disputed.is_empty() {
            // The user sees the error of the original code, or of a variable that is not kept.
            let setting = CellSetting {
                disputed: &disputed,
                ..setting
            };
            let without = complete(prepare(source, &setting));
            let result = self.eval(&without, state, outcome);
            return (without, result);
        }
        let plain = complete(PreparedSource::typed(source, &setting));
        // `evcxr_display` takes the type by value, but is called with a reference.
        if diagnostics::is_shown_by_value(&result)
            && plain.text != prepared.text
            && self.eval(&plain, state, outcome).is_ok()
        {
            return (prepared, Ok(()));
        }
        (prepared, result)
    }

    /// Records the state `next`, which the cell compiled last leads to, and describes the cell.
    fn record(
        &mut self,
        base: &Namespace<S>,
        effects: CellEffects<'_>,
        next: StateId,
    ) -> Result<Compiled, Failure> {
        let CellEffects {
            source,
            outcome,
            externs,
            dropped,
            redefined,
            statics,
        } = effects;
        // Of the cell: evcxr is about to compile the removal of variables.
        let (cell, generated) = (self.relay.last(), self.relay.generated());
        let outcome_of_run = self.relay.outcome();
        self.forget(&self.relay.unkept())?;
        let variables = variables::all(self.context.variables_and_types());
        let mut definitions = base.definitions.as_ref().clone();
        definitions.add(source);
        let mut impls = base.impls.as_ref().clone();
        impls.add(source);
        let namespace = Namespace {
            state: (self.methods.state)(&self.context),
            definitions: Arc::new(definitions),
            impls: Arc::new(impls),
            shape: match cell {
                Some(_) => base.shape.after(&generated, source, &variables),
                None => base.shape.after_failure(&variables),
            }
            .sharing(&statics),
            variables,
            externs,
        };
        if let (Outcome::Completed, Some(cell)) = (outcome, &cell) {
            let shapes = (&base.shape, &namespace.shape);
            let cell = cell.clone();
            self.compile_cache.insert(shapes, source, &generated, cell);
        }
        let (before, after) = (&base.variables, &namespace.variables);
        let moved = variables::moved(before, after, outcome_of_run.as_ref());
        let compiled = Compiled {
            cell,
            variables: variables::shown(after),
            moved: moved
                .into_iter()
                .filter(|name| !dropped.names.contains(name))
                .collect(),
            types: types::declared(source, after),
            unchanged: false,
            packages: self.changed_packages(),
            misfits: inference::misfits(namespace.shape.items(), &redefined),
        };
        self.states.insert(next, Arc::new(namespace));
        Ok(compiled)
    }

    /// Returns the packages that cells depend on, if they have changed since the last reply.
    fn changed_packages(&mut self) -> Option<Vec<Package>> {
        let packages = dependencies::packages();
        (packages != self.reported_packages).then(|| {
            self.reported_packages.clone_from(&packages);
            packages
        })
    }

    /// Builds the dependencies of cells, unless they cannot have changed.
    fn build_dependencies(&mut self, base: &Namespace<S>) -> Result<(), Failure> {
        if !self.is_stale && !generated_crate::depends_on_paths() {
            return Ok(());
        }
        let prepared = PreparedSource::unchanged(NOTHING);
        let globs = base.definitions.globs();
        let building = match self.is_stale {
            true => DryRun::building_new_dependencies(globs),
            false => DryRun::building_dependencies(globs),
        };
        let building = building.map_err(EvcxrError::NotWritable)?;
        let mut result = self.eval(&prepared, base.state.clone(), &Outcome::Completed);
        if let Some(addition) = building.addition() {
            self.add_dependency(&addition)?;
            result = self.eval(&prepared, base.state.clone(), &Outcome::Completed);
        }
        result.map_err(|error| diagnostics::failure(error, &prepared))?;
        self.is_stale = false;
        // Variables of this cell may have types of theirs.
        self.types.update();
        Ok(())
    }

    /// Returns a namespace's state without variables that are to be dropped.
    fn state_without(&mut self, base: &Namespace<S>, dropped: &[String]) -> Result<S, Failure> {
        if dropped.is_empty() {
            return Ok(base.state.clone());
        }
        let (text, outcome) = dry_run::removing(dropped);
        self.dry_run(DryRun::begin(), &text, base.state.clone(), &outcome)?;
        Ok((self.methods.state)(&self.context))
    }

    /// Makes evcxr remove variables that the last cell has not stored.
    fn forget(&mut self, unkept: &[String]) -> Result<(), Failure> {
        if unkept.is_empty() {
            return Ok(());
        }
        let (text, outcome) = dry_run::removing(unkept);
        let state = (self.methods.state)(&self.context);
        self.dry_run(DryRun::begin(), &text, state, &outcome)
    }

    fn dry_run(
        &mut self,
        dry_run: io::Result<DryRun>,
        text: &str,
        state: S,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let prepared = PreparedSource::unchanged(text);
        let _dry_run = dry_run.map_err(EvcxrError::NotWritable)?;
        self.eval(&prepared, state, outcome)
            .map_err(|error| diagnostics::failure(error, &prepared))
    }

    fn eval(
        &mut self,
        source: &PreparedSource,
        mut state: S,
        outcome: &Outcome,
    ) -> Result<(), Error> {
        for (name, config) in &self.dependencies {
            (self.methods.add_dep)(&mut state, name, config)?;
        }
        self.relay
            .expect(RunPolicy::Assume(outcome.clone()), source);
        (self.methods.eval)(&mut self.context, &source.text, state).map(drop)
    }

    /// Parses the text after `:dep` as evcxr does: `name`, `name = config` or a path.
    fn add_dependency(&mut self, spec: &str) -> Result<EvaluatorReply, Failure> {
        let (name, config) = match spec.split_once('=') {
            Some((name, config)) => (name.trim(), config.trim().to_owned()),
            None => (spec.trim(), "\"*\"".to_owned()),
        };
        let path = name.starts_with(['.', '/']);
        let mut state = (self.methods.state)(&self.context);
        let (name, config) = if path {
            let folder = std::path::Path::new(name);
            let package = folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            (
                package.unwrap_or_default(),
                format!("{{ path = {name:?} }}"),
            )
        } else {
            (name.to_owned(), config)
        };
        (self.methods.add_dep)(&mut state, &name, &config)
            .map_err(|error| diagnostics::failure(error, &PreparedSource::unchanged(spec)))?;
        self.dependencies.insert(name, config);
        self.compile_cache.clear();
        self.is_stale = true;
        Ok(EvaluatorReply::Added)
    }
}

/// Returns a number for the compilation of a cell in a state, the same every time.
fn run_of(base: &StateId, source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (base.to_string(), source).hash(&mut hasher);
    hasher.finish()
}

impl<S: Clone> Evaluate for Engines<S> {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn handle(&mut self, request: EvaluatorRequest) -> Result<EvaluatorReply, Failure> {
        match request {
            EvaluatorRequest::Compile {
                source,
                base,
                next,
                outcome,
                replaced,
                types,
                ..
            } => {
                let source = syntax::checked(&source)?;
                let request = CompileRequest {
                    source: &source,
                    base: &base,
                    outcome: &outcome,
                    replaced: &replaced,
                    known_types: types.as_deref(),
                };
                let compiled = self.compile(&request, next)?;
                Ok(EvaluatorReply::Compiled(Box::new(compiled)))
            }
            EvaluatorRequest::AddDependency { spec, .. } => self.add_dependency(&spec),
            other => Err(EvcxrError::Request {
                evaluator: "engines' evaluator",
                request: Box::new(other),
            }
            .into()),
        }
    }
}
