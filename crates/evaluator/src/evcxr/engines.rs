//! The engines' namespaces: one evcxr context, and a state for every point a namespace has reached.
//!
//! evcxr's own committed state is never relied on: every cell is compiled from a state of ours.

use super::diagnostics;
use super::relay::{Answering, Relay};
use super::source::{Prepared, prepare};
use super::variables::{self, Variables};
use crate::process::{Evaluate, Work};
use evcxr::{Error, EvalContext, EvalOutputs};
use phalanx_protocol::evaluator::{Answer, Compiled, EvaluatorRequest, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::StateId;
use phalanx_protocol::runtime::Outcome;
use std::collections::{BTreeMap, HashMap};

/// What a context can do with a state. evcxr's state type is public but has no name outside, so
/// everything here is generic over it.
pub(super) struct Methods<S> {
    pub(super) state: fn(&EvalContext) -> S,
    pub(super) eval: fn(&mut EvalContext, &str, S) -> Result<EvalOutputs, Error>,
    pub(super) add_dep: fn(&mut S, &str, &str) -> Result<(), Error>,
}

pub(super) struct Engines<S> {
    relay: Relay,
    toolchain: Toolchain,
    context: EvalContext,
    methods: Methods<S>,
    states: HashMap<StateId, Namespace<S>>,
    /// Dependencies that every state gets before its next cell.
    dependencies: BTreeMap<String, String>,
}

/// One state of a namespace.
struct Namespace<S> {
    state: S,
    variables: Variables,
}

impl<S: Clone> Engines<S> {
    pub(super) fn new(
        context: EvalContext,
        relay: Relay,
        toolchain: Toolchain,
        methods: Methods<S>,
    ) -> Self {
        let first = Namespace {
            state: (methods.state)(&context),
            variables: Vec::new(),
        };
        Self {
            relay,
            toolchain,
            context,
            methods,
            states: HashMap::from([(StateId::empty(), first)]),
            dependencies: BTreeMap::new(),
        }
    }

    fn compile(
        &mut self,
        source: &str,
        base: &StateId,
        next: StateId,
        outcome: &Outcome,
    ) -> Result<Answer, Failure> {
        let namespace = self.states.get(base).ok_or_else(|| Failure::Internal {
            message: format!("no namespace is known in state {base}"),
        })?;
        let names = || {
            namespace
                .variables
                .iter()
                .map(|(name, _)| name.clone())
                .collect()
        };
        // A runtime that died has no variables left; its items are where they were before the cell.
        let (source, outcome) = match outcome {
            Outcome::Died { .. } => ("();", Outcome::VariablesLost(names())),
            other => (source, other.clone()),
        };
        let state = namespace.state.clone();
        let before = namespace.variables.clone();
        let prepared = prepare(source);
        let mut result = self.eval(&prepared, state.clone(), &outcome);
        if let (Err(Error::CompilationErrors(_)), true) = (&result, prepared.text != source) {
            // Types whose `evcxr_display` takes them by value are not found behind a reference.
            if self
                .eval(&Prepared::unchanged(source), state, &outcome)
                .is_ok()
            {
                result = Ok(());
            }
        }
        result.map_err(|error| diagnostics::failure(error, &prepared))?;
        let variables = variables::shown(self.context.variables_and_types());
        let moved = variables::moved(&before, &variables, self.relay.outcome().as_ref());
        let namespace = Namespace {
            state: (self.methods.state)(&self.context),
            variables: variables.clone(),
        };
        self.states.insert(next, namespace);
        Ok(Answer::Compiled(Compiled {
            cell: self.relay.last(),
            variables,
            moved,
        }))
    }

    fn eval(&mut self, source: &Prepared, mut state: S, outcome: &Outcome) -> Result<(), Error> {
        for (name, config) in &self.dependencies {
            (self.methods.add_dep)(&mut state, name, config)?;
        }
        self.relay
            .expect(Answering::Assume(outcome.clone()), source);
        (self.methods.eval)(&mut self.context, &source.text, state).map(drop)
    }

    /// Takes the text after `:dep` the way evcxr does: `name`, `name = config` or a path.
    fn add_dependency(&mut self, spec: &str) -> Result<Answer, Failure> {
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
            .map_err(|error| diagnostics::failure(error, &Prepared::unchanged(spec)))?;
        self.dependencies.insert(name, config);
        Ok(Answer::Added)
    }
}

impl<S: Clone> Evaluate for Engines<S> {
    fn toolchain(&self) -> Toolchain {
        self.toolchain.clone()
    }

    fn warm_up(&mut self) {
        super::start::warm_up(&mut self.context, &self.relay);
    }

    fn answer(&mut self, work: Work) -> Result<Answer, Failure> {
        match work {
            EvaluatorRequest::Compile {
                source,
                base,
                next,
                outcome,
                ..
            } => self.compile(&source, &base, next, &outcome),
            EvaluatorRequest::AddDependency { spec, .. } => self.add_dependency(&spec),
            other => Err(Failure::Internal {
                message: format!("the engines' evaluator does not answer {other:?}"),
            }),
        }
    }
}
