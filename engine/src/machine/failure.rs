//! The failures of cells that this engine reports.

use super::event::Identity;
use phalanx_protocol as protocol;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::host::MAGIC_FAILED;
use phalanx_protocol::parallel::Signal;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The reason the kernel's part of the `phalanx` library does not work in a cell here, and the remedy.
pub(crate) const NOT_ON_ENGINES: (&str, &str) = (
    "magics and AsyncResults do not work on an engine",
    "use them in the notebook's own cells, without %%px",
);

/// The reason nobody is asked for input in a cell here, and the remedy.
pub(crate) const NOBODY_TO_ASK: (&str, &str) = (
    "an engine takes no input: nobody sits in front of it",
    "ask in the notebook, and give the engines the answer: as an argument, or by `push`",
);

/// A failure as it goes into replies and `error` messages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub ename: Cow<'static, str>,
    pub evalue: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(ename: impl Into<Cow<'static, str>>, evalue: impl Into<String>) -> Self {
        Self {
            ename: ename.into(),
            evalue: evalue.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The content of an error reply; of an `error` message too, which needs less of it.
    pub fn content(&self, identity: &Identity, method: &str, execution_count: u32) -> Value {
        let mut traceback = vec![format!("{}: {}", self.ename, self.evalue)];
        traceback.extend(self.hint.iter().map(|hint| format!("  {hint}")));
        json!({
            "status": "error",
            "ename": self.ename,
            "evalue": self.evalue,
            "traceback": traceback,
            "execution_count": execution_count,
            "engine_info": identity.info(method),
            "user_expressions": {},
            "payload": [],
        })
    }
}

pub(super) fn panicked(panic: Panic) -> Failure {
    // That is how the library ends a cell whose call the owner refused, and an engine refuses all.
    if panic.message == MAGIC_FAILED {
        return Failure::new("UsageError", NOT_ON_ENGINES.0).hint(NOT_ON_ENGINES.1);
    }
    let failure = Failure::new("Panic", panic.message);
    match panic.location {
        Some(location) => failure.hint(format!("at {location}")),
        None => failure,
    }
}

/// An error left a cell through `?`; `known` is what it is where it was the library's.
pub(super) fn errored(message: String, known: Option<&protocol::failure::Failure>) -> Failure {
    match known {
        Some(protocol::failure::Failure::Usage { message, hint }) => Failure {
            hint: hint.clone(),
            ..Failure::new("UsageError", message.as_str())
        },
        _ => Failure::new("Error", message),
    }
}

/// The variables an engine has left when the process that had them has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A snapshot took over: all from before the cell.
    All,
    Nothing,
}

impl Left {
    fn told(self, failure: Failure) -> Failure {
        match self {
            Self::All => failure,
            Self::Nothing => failure
                .hint("a new runtime is started: run the cells that define the variables again"),
        }
    }

    fn words(self, what: &str) -> String {
        match self {
            Self::All => format!("every variable from before the {what} is kept"),
            Self::Nothing => "every variable it held is lost".to_owned(),
        }
    }
}

pub(super) fn died(identity: &Identity, what: &str, status: &str, left: Left) -> Failure {
    let (id, words) = (identity.id, left.words(what));
    let text = format!("the {what} ended the runtime of engine {id} ({status}); {words}");
    left.told(Failure::new("RuntimeDied", text))
}

pub(super) fn interrupted(identity: &Identity, what: &str, left: Left) -> Failure {
    let (id, words) = (identity.id, left.words(what));
    let text = format!("the {what} was interrupted on engine {id}; {words}");
    left.told(Failure::new("Interrupted", text))
}

pub(super) fn not_for_us(identity: &Identity, why: &str) -> Failure {
    Failure::new(
        "UsageError",
        format!(
            "engine {} is a Rust engine and runs compiled cells: {why}",
            identity.id
        ),
    )
    .hint("send the cell from a Phalanx notebook with %%px, or use Python engines for Python code")
}

pub(super) fn wrong_abi(identity: &Identity, loaded: &str, wanted: &str) -> Failure {
    Failure::new(
        "UsageError",
        format!(
            "engine {} has loaded code of `{loaded}`, this cell was built by `{wanted}`",
            identity.id
        ),
    )
    .hint("restart the engines to change the toolchain")
}

pub(super) fn unknown_signal(signal: &Signal) -> Failure {
    let name = match signal {
        Signal::Number(number) => number.to_string(),
        Signal::Name(name) => name.clone(),
    };
    Failure::new("UsageError", format!("there is no signal {name}"))
}
