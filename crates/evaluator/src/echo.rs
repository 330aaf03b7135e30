//! The evaluator's twin for tests: compiles a few keywords in no time, with all possible outcomes.

use crate::evaluate::Evaluate;
use crate::kernel_link::KernelLink;
use phalanx_analysis::process::Analyze;
use phalanx_protocol::analysis::{
    AnalysisReply, AnalysisRequest, Completion, Completions, Documentation,
};
use phalanx_protocol::evaluator::DroppedVariables;
use phalanx_protocol::evaluator::{
    Compiled, CompiledCell, Evaluated, EvaluatorReply, EvaluatorRequest, Toolchain,
};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure, FailureKind};
use phalanx_protocol::id::StateId;
use phalanx_protocol::output::MimeBundle;
use phalanx_protocol::runtime::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The keywords with which a line of a cell may begin; their meanings are documented in the
/// runtime.
const WORDS: &[&str] = &[
    "print",
    "write",
    "eprint",
    "result",
    "html",
    "panic",
    "error",
    "sleep",
    "exit",
    "abort",
    "let",
    "show",
    "move",
    "lost",
    "magic",
    "pid",
    "client",
    "cell-request",
    "comm",
    "fn",
    "call",
    "lines",
    "read",
    "request",
    "ask",
    "fault",
    "overflow",
    "spin",
    "allocate",
    "rest",
    "work",
    "start",
    "wait",
    "open",
    "close",
    "until-interrupted",
];

type EchoVariables = BTreeMap<String, String>;

struct Echo {
    link: Arc<KernelLink>,
    folder: TempDir,
    artifacts: u32,
    local: EchoVariables,
    states: BTreeMap<StateId, EchoVariables>,
    /// The functions of each state.
    functions: BTreeMap<StateId, BTreeSet<String>>,
    libstd: std::path::PathBuf,
    /// The arguments of `:dep`.
    dependencies: Vec<String>,
    /// The number of those that were built.
    built: usize,
}

pub(crate) fn start(link: &Arc<KernelLink>) -> Result<Box<dyn Evaluate>, Failure> {
    let folder = TempDir::with_prefix("phalanx-echo-").map_err(EchoError::from)?;
    let libstd = folder.path().join("libstd");
    fs::write(&libstd, "#!echo\n").map_err(EchoError::from)?;
    Ok(Box::new(Echo {
        link: Arc::clone(link),
        folder,
        artifacts: 0,
        local: EchoVariables::new(),
        states: BTreeMap::from([(StateId::empty(), EchoVariables::new())]),
        functions: BTreeMap::new(),
        libstd,
        dependencies: Vec::new(),
        built: 0,
    }))
}

impl Evaluate for Echo {
    fn toolchain(&self) -> Toolchain {
        Toolchain {
            rustc: "echo 1.0".into(),
            target: "echo".into(),
            libstd: self.libstd.clone(),
        }
    }

    fn handle(&mut self, request: EvaluatorRequest) -> Result<EvaluatorReply, Failure> {
        match request {
            EvaluatorRequest::Evaluate { source, .. } => self.evaluate(&source),
            EvaluatorRequest::Compile {
                source,
                base,
                next,
                outcome,
                ..
            } => self.compile(&source, &base, next, &outcome),
            EvaluatorRequest::AddDependency { spec, .. } => {
                self.dependencies.push(spec);
                Ok(EvaluatorReply::Added)
            }
            EvaluatorRequest::Ran { .. } | EvaluatorRequest::Interrupt => {
                Err(EchoError::Request.into())
            }
        }
    }
}

impl Echo {
    fn evaluate(&mut self, source: &str) -> Result<EvaluatorReply, Failure> {
        if let Some(command) = source.trim().strip_prefix(':') {
            if matches!(command, "clear" | "restart") {
                self.local.clear();
            }
            return Ok(EvaluatorReply::Evaluated(Evaluated {
                command_output: MimeBundle::plain(format!("command: {command}")),
                variables: self.local.clone().into_iter().collect(),
                ..Evaluated::default()
            }));
        }
        let mut moved = Vec::new();
        let mut lines = parse(source)?;
        loop {
            let cell = self.artifact(&lines)?;
            let outcome = self.link.run(cell).map_err(EchoError::from)?;
            match &outcome {
                Outcome::VariablesLost(_) => {
                    lines.retain(|line| !line.starts_with("lost"));
                    continue;
                }
                Outcome::Died { .. } => self.local.clear(),
                Outcome::Completed => {
                    moved = take_moved(&mut self.local, &lines);
                    self.local.extend(defined(&lines));
                }
                Outcome::Panicked(_)
                | Outcome::Errored { .. }
                | Outcome::Returned
                | Outcome::Abandoned { .. } => {}
            }
            return Ok(EvaluatorReply::Evaluated(Evaluated {
                variables: self.local.clone().into_iter().collect(),
                moved,
                ..Evaluated::default()
            }));
        }
    }

    fn compile(
        &mut self,
        source: &str,
        base: &StateId,
        next: StateId,
        outcome: &Outcome,
    ) -> Result<EvaluatorReply, Failure> {
        let mut variables = self
            .states
            .get(base)
            .cloned()
            .ok_or_else(|| EchoError::State(base.clone()))?;
        self.build()?;
        let mut lines = parse(source)?;
        let mut functions = self.functions.get(base).cloned().unwrap_or_default();
        functions.extend(lines.iter().filter_map(|line| function(line, "fn ")));
        for (number, line) in source.lines().enumerate() {
            if let Some(name) = function(line.trim(), "call ").filter(|n| !functions.contains(n)) {
                let message = format!("cannot find function `{name}`");
                return Err(Failure::Compile {
                    diagnostics: vec![diagnostic(message, number + 1, line)],
                });
            }
        }
        for (number, line) in source.lines().enumerate() {
            if let Some(name) = function(line.trim(), "uses ")
                && !self.dependencies.iter().any(|spec| spec.starts_with(&name))
            {
                let message = format!("cannot find module or crate `{name}` in this scope");
                return Err(Failure::Compile {
                    diagnostics: vec![diagnostic(message, number + 1, line)],
                });
            }
        }
        let mut moved = Vec::new();
        match outcome {
            Outcome::Completed => {
                moved = take_moved(&mut variables, &lines);
                variables.extend(defined(&lines));
            }
            Outcome::VariablesLost(names) => {
                lines.retain(|line| !line.starts_with("lost"));
                variables.retain(|name, _| !names.contains(name));
                variables.extend(defined(&lines));
            }
            Outcome::Died { .. } => variables.clear(),
            Outcome::Panicked(_)
            | Outcome::Errored { .. }
            | Outcome::Returned
            | Outcome::Abandoned { .. } => {}
        }
        let cell = Some(self.artifact(&lines)?).filter(|_| !lines.is_empty());
        self.functions.insert(next.clone(), functions);
        self.states.insert(next, variables.clone());
        Ok(EvaluatorReply::Compiled(Box::new(Compiled {
            cell,
            variables: variables.into_iter().collect(),
            moved,
            types: Vec::new(),
            unchanged: false,
            packages: None,
            misfits: Vec::new(),
        })))
    }

    /// Fails if the folder of a dependency that was not built before is missing.
    fn build(&mut self) -> Result<(), Failure> {
        for spec in &self.dependencies[self.built..] {
            let path = spec
                .split_once("path")
                .and_then(|(_, path)| path.split('"').nth(1));
            if path.is_some_and(|path| !std::path::Path::new(path).exists()) {
                return Err(Failure::Compile {
                    diagnostics: vec![Diagnostic {
                        message: format!("failed to load `{spec}`"),
                        code: None,
                        spans: Vec::new(),
                        help: Vec::new(),
                        rendered: None,
                        earlier: None,
                    }],
                });
            }
        }
        self.built = self.dependencies.len();
        Ok(())
    }

    fn artifact(&mut self, lines: &[String]) -> Result<CompiledCell, Failure> {
        self.artifacts += 1;
        let artifact = self.folder.path().join(format!("cell{}", self.artifacts));
        fs::write(&artifact, format!("#!echo\n{}\n", lines.join("\n"))).map_err(EchoError::from)?;
        Ok(CompiledCell {
            artifact,
            entry: format!("run_{}", self.artifacts),
            has_result: lines.iter().any(|line| line.starts_with("result")),
            lines: Vec::new(),
            dropped: DroppedVariables::default(),
            unkept: Vec::new(),
        })
    }
}

/// A request that the twin cannot carry out.
#[derive(Debug, thiserror::Error)]
enum EchoError {
    /// A request without a reply.
    #[error("not a request to be worked on")]
    Request,
    /// A cell starts from a state that is unknown here.
    #[error("no state {0}")]
    State(StateId),
    /// A folder, a file or the kernel is gone.
    #[error("the echo evaluator: {0}")]
    Io(#[from] std::io::Error),
}

impl From<EchoError> for Failure {
    fn from(error: EchoError) -> Self {
        let kind = match error {
            EchoError::Io(_) => FailureKind::Environment,
            EchoError::Request | EchoError::State(_) => FailureKind::Internal,
        };
        Self::new(kind, error, None)
    }
}

fn parse(source: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let mut diagnostics = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let text = line.trim();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        if text.is_empty() || text.starts_with("//") || text == "();" || word == "uses" {
            continue;
        }
        if word == "compile-sleep" {
            std::thread::sleep(Duration::from_secs_f64(rest.parse().unwrap_or(0.0)));
            continue;
        }
        if WORDS.contains(&word) {
            lines.push(text.to_owned());
            continue;
        }
        let message = if word == "compile-error" {
            rest.to_owned()
        } else {
            format!("cannot find word `{word}`")
        };
        diagnostics.push(diagnostic(message, number + 1, line));
    }
    if diagnostics.is_empty() {
        Ok(lines)
    } else {
        Err(Failure::Compile { diagnostics })
    }
}

fn diagnostic(message: String, line: usize, text: &str) -> Diagnostic {
    Diagnostic {
        message,
        code: Some("E0425".into()),
        spans: vec![DiagnosticSpan {
            start_line: line,
            start_column: 1,
            end_line: line,
            end_column: text.chars().count() + 1,
            label: "here".into(),
            primary: true,
        }],
        help: vec!["use an instruction of the echo evaluator".into()],
        rendered: None,
        earlier: None,
    }
}

fn defined(lines: &[String]) -> EchoVariables {
    let lets = lines.iter().filter_map(|line| line.strip_prefix("let "));
    lets.filter_map(|rest| rest.split_once('='))
        .map(|(name, _)| (name.trim().to_owned(), "text".to_owned()))
        .collect()
}

/// Removes the variables that a cell moves; returns their names.
fn take_moved(variables: &mut EchoVariables, lines: &[String]) -> Vec<String> {
    let names = lines.iter().filter_map(|line| line.strip_prefix("move "));
    let moved = names.filter(|name| variables.remove(*name).is_some());
    moved.map(str::to_owned).collect()
}

/// Returns the function that a line beginning with `word` refers to.
fn function(line: &str, word: &str) -> Option<String> {
    let name = line.strip_prefix(word)?;
    let end = name.find(|c: char| !c.is_alphanumeric());
    Some(name[..end.unwrap_or(name.len())].to_owned())
}

/// Returns the word that ends at an offset, with its start.
fn word_at(source: &str, offset: usize) -> (usize, &str) {
    let before = source.get(..offset).unwrap_or(source);
    let start = before
        .rfind(|c: char| !c.is_alphanumeric())
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(0, char::len_utf8)
        });
    (start, &before[start..])
}

/// The analysis twin: it completes the keywords.
pub(crate) struct Analyst;

impl Analyze for Analyst {
    fn answer(&mut self, request: AnalysisRequest) -> Option<AnalysisReply> {
        Some(match request {
            AnalysisRequest::Load { .. } => return None,
            AnalysisRequest::Types { .. } => AnalysisReply::Unknown,
            AnalysisRequest::Complete { cell, offset } => {
                AnalysisReply::Completions(complete(&cell.source, offset))
            }
            AnalysisRequest::Inspect { cell, offset } => {
                AnalysisReply::Inspected(inspect(&cell.source, offset))
            }
        })
    }
}

fn complete(source: &str, offset: usize) -> Completions {
    let (start, prefix) = word_at(source, offset);
    let items = WORDS.iter().filter(|word| word.starts_with(prefix));
    Completions {
        start,
        end: start + prefix.len(),
        items: items
            .map(|word| Completion {
                code: (*word).to_owned(),
                kind: "keyword".to_owned(),
                label: (*word).to_owned(),
            })
            .collect(),
    }
}

fn inspect(source: &str, offset: usize) -> Option<Documentation> {
    let rest = source.get(offset..).unwrap_or_default();
    let end = rest.find(|c: char| !c.is_alphanumeric());
    let (_, word) = word_at(source, end.map_or(source.len(), |end| offset + end));
    let known = WORDS.contains(&word);
    known.then(|| Documentation {
        plain: format!("the echo word {word}"),
        markdown: format!("the echo word `{word}`"),
    })
}
