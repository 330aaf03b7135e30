//! The work of an engine: cells and calls.

use super::event::Shipment;
use super::failure::EngineFailure;
use bytes::Bytes;
use phalanx_protocol::id::ArtifactHash;
use phalanx_protocol::native::{CallFailure, value};
use phalanx_protocol::parallel::{CallMetadata, CellMetadata, EngineRequest, NotRunnable};
use phalanx_protocol::payload::Payload;
use std::fmt;
use std::sync::Arc;

/// The kinds of work; the text is the noun for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkKind {
    Cell,
    Call,
}

impl fmt::Display for WorkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cell => "cell",
            Self::Call => "call",
        })
    }
}

/// A cell or a call.
#[derive(Debug)]
pub(super) enum TaskWork {
    Cell {
        code: String,
        silent: bool,
        cell: CellMetadata,
    },
    Call {
        call: Arc<CallMetadata>,
        args: Payload,
        /// The return value, once the call has returned.
        value: Payload,
    },
}

impl TaskWork {
    /// Returns the compiler of its code.
    pub(super) fn abi(&self) -> &str {
        match self {
            Self::Cell { cell, .. } => &cell.abi,
            Self::Call { call, .. } => &call.abi,
        }
    }

    pub(super) fn kind(&self) -> WorkKind {
        match self {
            Self::Cell { .. } => WorkKind::Cell,
            Self::Call { .. } => WorkKind::Call,
        }
    }

    /// Returns its artifacts and arguments, and how they are sent.
    pub(super) fn shipment(&self) -> Shipment {
        match self {
            Self::Cell { cell, .. } => Shipment {
                host: cell.host.clone(),
                artifacts: cell.artifacts.clone(),
                paths: cell.paths.clone(),
                buffers: cell.buffers.clone(),
                args: None,
            },
            Self::Call { call, args, .. } => Shipment {
                host: call.host.clone(),
                artifacts: call.artifacts.clone(),
                paths: call.paths.clone(),
                buffers: call.buffers.clone(),
                args: args.segment().cloned(),
            },
        }
    }

    /// Returns its libraries, in load order.
    pub(super) fn artifacts(&self) -> &[ArtifactHash] {
        match self {
            Self::Cell { cell, .. } => &cell.artifacts,
            Self::Call { call, .. } => &call.artifacts,
        }
    }

    /// Returns the library that contains its code; its dependencies precede it.
    pub(super) fn library(&self) -> Option<&ArtifactHash> {
        self.artifacts().last()
    }

    /// Returns true if there is nothing to run.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Cell { cell, .. } => cell.entry.is_none(),
            Self::Call { call, .. } => call.offset.is_none(),
        }
    }

    /// Returns true if its result is not published.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::Cell { silent, .. } => *silent,
            Self::Call { .. } => true,
        }
    }
}

/// Returns the work of a request, and the buffers of its artifacts; `None` if it has no work.
pub(super) fn accept(
    request: EngineRequest,
) -> Option<Result<(TaskWork, Vec<Bytes>), NotRunnable>> {
    match request {
        EngineRequest::Execute { code, silent, cell } => Some(cell.map(|sent| {
            let cell = *sent.metadata;
            (TaskWork::Cell { code, silent, cell }, sent.artifacts)
        })),
        EngineRequest::Apply(call) => Some(call.map(|sent| {
            let work = TaskWork::Call {
                call: sent.metadata,
                args: sent.args,
                value: Payload::default(),
            };
            (work, sent.artifacts)
        })),
        _ => None,
    }
}

/// Returns the failure of a call that has returned without a value.
pub(super) fn raised(work: &TaskWork) -> Option<EngineFailure> {
    let TaskWork::Call {
        value: given, call, ..
    } = work
    else {
        return None;
    };
    // The errors of functions are small.
    let Payload::Inline(given) = given else {
        return None;
    };
    match given.split_first() {
        Some((&value::RAISED, raised)) => {
            Some(match serde_json::from_slice::<CallFailure>(raised) {
                Ok(raised) => EngineFailure::Raised(raised),
                Err(error) => EngineFailure::Unreadable(error.to_string()),
            })
        }
        Some(_) => None,
        None if call.offset.is_none() => None,
        None => Some(EngineFailure::NothingReturned),
    }
}
