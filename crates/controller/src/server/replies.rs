//! Replies made on behalf of an engine.

use super::state::ServerState;
use crate::error::ReplyFailure;
use crate::scheduler::{FailReason, Impossible, Language};
use bytes::Bytes;
use phalanx_protocol::date;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::ErrorContent;
use phalanx_transport::{RawMessage, WireError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The fields of a header that are used here.
#[derive(Debug, Deserialize)]
pub(super) struct HeaderFields<'a> {
    #[serde(borrow)]
    pub msg_id: Cow<'a, str>,
    #[serde(borrow)]
    pub msg_type: Cow<'a, str>,
}

impl<'a> HeaderFields<'a> {
    pub fn of(bytes: &'a [u8]) -> Result<Self, WireError> {
        serde_json::from_slice(bytes).map_err(|error| WireError::Malformed {
            part: "header",
            error,
        })
    }

    pub fn id(&self) -> MsgId {
        MsgId::new(self.msg_id.as_ref())
    }
}

impl ReplyFailure {
    /// The failure of a load-balanced task; `departed` contains the ids of engines that have left.
    /// `None` if the task was aborted.
    pub fn of_task<'a>(
        reason: &FailReason,
        task: &MsgId,
        departed: impl IntoIterator<Item = &'a (EngineUuid, EngineId)>,
    ) -> Option<Self> {
        let task = task.clone();
        Some(match reason {
            FailReason::EngineDied(uuid) => {
                let mut departed = departed.into_iter();
                match departed.find(|(engine, _)| engine == uuid) {
                    Some((_, id)) => Self::EngineDied { engine: *id, task },
                    None => Self::ForgottenEngineDied {
                        engine: uuid.clone(),
                        task,
                    },
                }
            }
            FailReason::Timeout => Self::Timeout(task),
            FailReason::ImpossibleDependency(Impossible::Unmet(reason)) => Self::Unmet {
                task,
                reason: reason.clone(),
            },
            FailReason::ImpossibleDependency(Impossible::Ended) => Self::DependencyEnded(task),
            FailReason::ImpossibleDependency(Impossible::Language(Language::Rust)) => {
                Self::NoRustEngine(task)
            }
            FailReason::ImpossibleDependency(Impossible::Language(Language::Python)) => {
                Self::NoPythonEngine(task)
            }
            FailReason::ImpossibleDependency(Impossible::Nowhere) => Self::NoTarget(task),
            FailReason::InvalidDependency => Self::InvalidDependency(task),
            FailReason::NoEngines => Self::NoEngines(task),
            FailReason::Aborted | FailReason::ClientLeft => return None,
        })
    }

    /// The content of the reply.
    pub fn content(&self) -> Value {
        ErrorContent::new(self.ename(), self.to_string()).reply()
    }
}

impl ServerState {
    /// Builds a signed reply to a request from its header.
    pub(super) fn build_reply(
        &self,
        identities: Vec<Bytes>,
        request: &Bytes,
        msg_type: &str,
        engine: Option<&EngineUuid>,
        content: &Value,
    ) -> RawMessage {
        let reply_type = match msg_type.strip_suffix("_request") {
            Some(kind) => format!("{kind}_reply"),
            None => "error".to_owned(),
        };
        let header = self.session.header(&reply_type);
        let metadata = json!({
            "status": content.get("status"), "engine": engine, "date": date::to_text(&header.date),
            "dependencies_met": true,
        });
        let json = |value: serde_json::Result<Vec<u8>>| Bytes::from(value.unwrap_or_default());
        let parts = [
            json(serde_json::to_vec(&header)),
            request.clone(),
            json(serde_json::to_vec(&metadata)),
            json(serde_json::to_vec(content)),
        ];
        RawMessage::sign(identities, parts, vec![], self.session.key())
    }
}
