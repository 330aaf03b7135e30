//! The engines' namespaces: one evcxr context, and a state for every point that a namespace has
//! reached.
//!
//! evcxr's own committed state is never used: every cell is compiled from one of our states.

use super::compile_cache::{CompileCache, NamespaceShape};
use super::definitions::Definitions;
use super::dependencies::{self, Externs};
use super::diagnostics;
use super::dry_run::{self, DryRun};
use super::error::EvcxrError;
use super::error_hints;
use super::generated_crate;
use super::impls::Impls;
use super::inference;
use super::local::NOTHING;
use super::relay::{Relay, RelayAnswers};
use super::returns;
use super::source::{CellSetting, PreparedSource, prepare};
use super::syntax;
use super::types::{self, Types};
use super::variables::{self, VariableTypes};
use crate::evaluate::Evaluate;
use evcxr::{Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{Compiled, EvaluatorReply, EvaluatorRequest, Toolchain};
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

    fn compile(
        &mut self,
        source: &str,
        base: &StateId,
        next: StateId,
        outcome: &Outcome,
        replaced: &[String],
        known_types: Option<&[(String, String)]>,
    ) -> Result<EvaluatorReply, Failure> {
        let source: &str = &syntax::checked(source)?;
        let base_id = base;
        let base = self.states.get(base);
        let base = base.ok_or_else(|| EvcxrError::State(base_id.clone()))?;
        let base = Arc::clone(base);
        if dependencies::awaits(source) && !self.dependencies.contains_key(dependencies::TOKIO.0) {
            let (name, config) = dependencies::TOKIO;
            dependencies::explain_tokio();
            self.add_dependency(&format!("{name} = {config}"))?;
        }
        self.build_dependencies(&base)?;
        if *outcome == Outcome::Completed
            && replaced.is_empty()
            && let Some(cell) = self.compile_cache.get(&base.shape, source)
        {
            let variables = variables::shown(&base.variables);
            let types = types::declared(source, &base.variables);
            self.states.insert(next, base);
            return Ok(EvaluatorReply::Compiled(Box::new(Compiled {
                cell: Some(cell),
                variables,
                moved: Vec::new(),
                types,
                unchanged: true,
                packages: self.changed_packages(),
                misfits: Vec::new(),
            })));
        }
        let names = || base.variables.iter().map(|(name, _)| name.clone());
        // A runtime that died has lost all variables; the items are those before the cell.
        let (source, outcome) = match outcome {
            Outcome::Died { .. } => (NOTHING, Outcome::VariablesLost(names().collect())),
            other => (source, other.clone()),
        };
        let (mut externs, rebuilt) = dependencies::changes(&base.externs);
        dependencies::replace(&mut externs, replaced);
        let definitions = &base.definitions;
        let shadowed = &dependencies::shadowed_types;
        let dropped = definitions.dropped(source, &rebuilt, &base.variables, shadowed);
        let state = self.state_without(&base, &dropped.names)?;
        let types = match known_types {
            Some(types) => types::known(source, types),
            None => self.types.resolve(source, &base.shape, &dropped.names),
        };
        // A cell that was compiled before was reported then.
        let redefined = match known_types {
            None => definitions.redefined(source),
            Some(_) => Vec::new(),
        };
        let stale_impls = base.impls.stale(source);
        let fallible = base.shape.is_fallible() || returns::are_fallible(source);
        let mut state = state;
        if fallible && !base.shape.is_fallible() {
            let enabling = PreparedSource::unchanged(returns::FALLIBLE);
            self.eval(&enabling, state, &Outcome::Completed)
                .map_err(|error| diagnostics::failure(error, &enabling))?;
            state = (self.methods.state)(&self.context);
        }
        let run = run_of(base_id, source);
        let items = base.shape.items();
        let mut statics = base.shape.statics().with(source, items, run);
        let changed = definitions.dropped(source, &rebuilt, &statics.types(), shadowed);
        statics.renew(&changed.names, run);
        let mut setting = CellSetting {
            types: &types,
            disputed: &[],
            items,
            stale_impls: &stale_impls,
            fallible,
        };
        let complete =
            |prepared: PreparedSource| prepared.dropping(dropped.clone()).sharing(&statics);
        let mut prepared = complete(prepare(source, &setting));
        let mut result = self.eval(&prepared, state.clone(), &outcome);
        let disputed = diagnostics::disputed_types(&result, &prepared);
        let plain = complete(PreparedSource::typed(source, &setting));
        if !disputed.is_empty() {
            // The user sees the error of the original code, or of a variable that is not kept.
            setting.disputed = &disputed;
            prepared = complete(prepare(source, &setting));
            result = self.eval(&prepared, state, &outcome);
        } else if diagnostics::is_shown_by_value(&result) && plain.text != prepared.text {
            // `evcxr_display` takes the type by value, but is called with a reference.
            if self.eval(&plain, state, &outcome).is_ok() {
                result = Ok(());
            }
        }
        self.types.update();
        result.map_err(|error| {
            let failure = diagnostics::failure(error, &prepared);
            error_hints::explain_items(failure, &prepared, &base.variables)
        })?;
        let (cell, generated) = (self.relay.last(), self.relay.generated());
        let outcome_of_run = self.relay.outcome();
        self.forget(&self.relay.unkept())?;
        let all = variables::all(self.context.variables_and_types());
        let mut definitions = base.definitions.as_ref().clone();
        definitions.add(source);
        let mut impls = base.impls.as_ref().clone();
        impls.add(source);
        let namespace = Namespace {
            state: (self.methods.state)(&self.context),
            definitions: Arc::new(definitions),
            impls: Arc::new(impls),
            shape: match cell {
                Some(_) => base.shape.after(&generated, source, &all),
                None => base.shape.after_failure(&all),
            }
            .sharing(&statics),
            variables: all,
            externs,
        };
        if let (Outcome::Completed, Some(cell)) = (outcome, &cell) {
            let shapes = (&base.shape, &namespace.shape);
            let cell = cell.clone();
            self.compile_cache.insert(shapes, source, &generated, cell);
        }
        let moved = variables::moved(
            &base.variables,
            &namespace.variables,
            outcome_of_run.as_ref(),
        );
        let compiled = Compiled {
            cell,
            variables: variables::shown(&namespace.variables),
            moved: moved
                .into_iter()
                .filter(|name| !dropped.names.contains(name))
                .collect(),
            types: types::declared(source, &namespace.variables),
            unchanged: false,
            packages: self.changed_packages(),
            misfits: inference::misfits(namespace.shape.items(), &redefined),
        };
        self.states.insert(next, Arc::new(namespace));
        Ok(EvaluatorReply::Compiled(Box::new(compiled)))
    }

    /// The packages that cells depend on, if they have changed since the last reply.
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

    /// A namespace's state without variables that are to be dropped.
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
            .expect(RelayAnswers::Assume(outcome.clone()), source);
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

/// A number for the compilation of a cell in a state, the same every time.
fn run_of(base: &StateId, source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (base.to_string(), source).hash(&mut hasher);
    hasher.finish()
}

impl<S: Clone> Evaluate for Engines<S> {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn answer(&mut self, request: EvaluatorRequest) -> Result<EvaluatorReply, Failure> {
        match request {
            EvaluatorRequest::Compile {
                source,
                base,
                next,
                outcome,
                rebuilt,
                types,
                ..
            } => self.compile(&source, &base, next, &outcome, &rebuilt, types.as_deref()),
            EvaluatorRequest::AddDependency { spec, .. } => self.add_dependency(&spec),
            other => Err(EvcxrError::Request {
                evaluator: "engines' evaluator",
                request: Box::new(other),
            }
            .into()),
        }
    }
}
