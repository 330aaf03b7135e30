//! Errors of calls of functions and of the library's other requests, with their texts.

use crate::cell::VariableNameError;
use crate::magic::MAX_ENGINES;
use phalanx_client::HubError;
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::Signal;
use std::io;

/// A request of the library that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum FunctionsError {
    /// There is no cluster.
    #[error("no cluster is running")]
    NoCluster,
    /// A cluster of this size cannot be started.
    #[error("`{0}` is not a number of engines")]
    EngineCount(usize),
    /// A request names no engine, though there are some.
    #[error("the call selects no engine")]
    NoneSelected {
        /// The engines that could be selected.
        there: Vec<EngineId>,
    },
    /// The arguments in shared memory cannot be mapped here.
    #[error("the arguments cannot be taken over from the process that runs cells: {0}")]
    Arguments(#[source] io::Error),
    /// A call was made before the evaluator had started.
    #[error("a function was called before the evaluator had started")]
    NotStarted,
    /// There are neither as many arguments as tasks nor one for all.
    #[error("{arguments} arguments for {tasks} tasks")]
    Count {
        /// The number of arguments.
        arguments: usize,
        /// The number of tasks.
        tasks: usize,
    },
    /// A signal does not exist, or cannot be sent.
    #[error("{0} is not a signal that can be sent")]
    Signal(i32),
    /// A request for results names no task.
    #[error("no such task: the list of message ids is empty")]
    NoTasks,
    /// The name of a pushed value, or one that a function refers to, cannot be that of a variable.
    #[error("{0}")]
    Name(#[from] VariableNameError),
    /// A name or expression that a function refers to does not compile on the engines.
    #[error("the engines cannot evaluate `{reference}`: {why}")]
    Reference {
        /// The name or expression.
        reference: String,
        /// The first error of rustc.
        why: String,
    },
    /// A pushed value has a type that is not defined on the engines.
    #[error("the pushed `{name}`, a `{type_name}`, cannot become a variable on the engines: {why}")]
    Pushed {
        /// The name of the value.
        name: String,
        /// Its type.
        type_name: String,
        /// The first error of rustc.
        why: String,
    },
    /// The controller refused a request or did not reply.
    #[error("{}{}", prefix(.0), .0)]
    Hub(#[from] HubError),
}

impl FunctionsError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoCluster
            | Self::EngineCount(_)
            | Self::NoneSelected { .. }
            | Self::NoTasks
            | Self::Signal(_)
            | Self::Name(_)
            | Self::Reference { .. }
            | Self::Pushed { .. }
            | Self::Hub(HubError::Refused { .. }) => FailureKind::Usage,
            Self::NotStarted | Self::Count { .. } => FailureKind::Internal,
            Self::Hub(HubError::NoReply) => FailureKind::Timeout,
            Self::Arguments(_) | Self::Hub(_) => FailureKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoCluster => {
                "`%cluster start -n 4` starts one, as does `Cluster::builder().n(4).start_and_connect()?`"
            }
            Self::EngineCount(_) => return Some(format!("a number from 1 to {MAX_ENGINES}")),
            Self::Signal(_) => {
                return Some(format!(
                    "a number from 0 (nothing) to {}, such as 2 (SIGINT) or 9 (SIGKILL)",
                    Signal::LAST
                ));
            }
            Self::NoneSelected { there } => {
                return Some(format!("the engines are {}", list(there)));
            }
            Self::NoTasks => {
                "`ar.msg_ids()` is empty once the kernel does not hold `ar` any more; `rc.hub_history()?` lists the hub's tasks"
            }
            Self::Arguments(_) => {
                "each large argument takes a file descriptor until its tasks have ended: see `ulimit -n`"
            }
            Self::Name(error) => return Some(error.hint()),
            Self::Reference { why, .. } | Self::Pushed { why, .. }
                if type_remedy(why).is_some() =>
            {
                return type_remedy(why);
            }
            Self::Reference { .. } => {
                "a `%%px` cell defines it, and its type derives Serialize and Deserialize"
            }
            Self::Pushed { name, .. } => {
                return Some(format!(
                    "define the type in a `%%px` cell first, or read it with `let {name}: … = phalanx::namespace::get(\"{name}\")?;`"
                ));
            }
            Self::NotStarted | Self::Count { .. } | Self::Hub(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<FunctionsError> for Failure {
    fn from(error: FunctionsError) -> Self {
        Self::new(error.kind(), &error, error.hint())
    }
}

/// Returns the remedy for a type of the notebook that engines do not have, or that serde cannot send,
/// from the first error of rustc.
fn type_remedy(why: &str) -> Option<String> {
    let name = why.split('`').nth(1)?;
    let again = "run the cell that declares it again, with `%%px --local` as its first line";
    if why.starts_with("cannot find type `") {
        return Some(format!("engines do not have `{name}`: {again}"));
    }
    if !why.starts_with("values of type `") {
        return None;
    }
    let is_whole = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let whose = match is_whole {
        true => format!("`{name}`"),
        false => format!("the notebook's own type in `{name}`"),
    };
    Some(format!(
        "add `#[derive(Serialize, Deserialize)]` to {whose}, and {again}"
    ))
}

fn list(engines: &[EngineId]) -> String {
    let ids: Vec<String> = engines.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

fn prefix(error: &HubError) -> &'static str {
    match error {
        HubError::Refused { .. } => "the controller reports ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_cannot_be_sent_is_refused_with_those_that_can() {
        let Failure::Usage { message, hint } = FunctionsError::Signal(999).into() else {
            panic!("not a usage error")
        };
        assert_eq!(message, "999 is not a signal that can be sent");
        assert!(hint.unwrap().starts_with("a number from 0 (nothing) to 31"));
    }

    #[test]
    fn a_type_that_engines_lack_or_cannot_send_is_named_with_the_remedy() {
        let pushed = |why: &str| {
            let error = FunctionsError::Pushed {
                name: "p".to_owned(),
                type_name: "Point".to_owned(),
                why: why.to_owned(),
            };
            error.hint().unwrap()
        };
        let again = "run the cell that declares it again, with `%%px --local` as its first line";
        assert_eq!(
            pushed("cannot find type `Point` in this scope"),
            format!("engines do not have `Point`: {again}")
        );
        assert_eq!(
            pushed("values of type `Point` cannot travel to engines and back"),
            format!("add `#[derive(Serialize, Deserialize)]` to `Point`, and {again}")
        );
        let inside = pushed("values of type `Vec<Point>` cannot travel to engines and back");
        assert!(
            inside.contains("to the notebook's own type in `Vec<Point>`, and run"),
            "{inside}"
        );
        assert!(pushed("mismatched types").starts_with("define the type in a `%%px` cell"));
        let reference = FunctionsError::Reference {
            reference: "p".to_owned(),
            why: "values of type `Point` cannot be sent to engines".to_owned(),
        };
        assert!(reference.hint().unwrap().contains("to `Point`"));
    }
}
