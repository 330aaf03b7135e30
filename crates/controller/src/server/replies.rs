//! Replies made on behalf of an engine.

use super::state::ServerState;
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

/// The error in a reply.
#[derive(Clone, Debug)]
pub(super) struct ReplyFailure {
    pub ename: &'static str,
    pub evalue: String,
}

impl ReplyFailure {
    pub fn engine_died(id: EngineId, task: &MsgId) -> Self {
        Self {
            ename: "EngineError",
            evalue: format!("Engine {id} died while running task '{task}'"),
        }
    }

    /// The failure of a load-balanced task; `departed` contains the ids of engines that have left.
    pub fn of_task<'a>(
        reason: &FailReason,
        task: &MsgId,
        departed: impl IntoIterator<Item = &'a (EngineUuid, EngineId)>,
    ) -> Option<Self> {
        let (ename, evalue) = match reason {
            FailReason::EngineDied(uuid) => {
                let mut departed = departed.into_iter();
                return Some(match departed.find(|(engine, _)| engine == uuid) {
                    Some((_, id)) => Self::engine_died(*id, task),
                    None => Self {
                        ename: "EngineError",
                        evalue: format!("Engine '{uuid}' died while running task '{task}'"),
                    },
                });
            }
            FailReason::Timeout => (
                "TaskTimeout",
                format!("task '{task}' was not begun in time"),
            ),
            FailReason::ImpossibleDependency(why) => (
                "ImpossibleDependency",
                match why {
                    Impossible::Unmet(why) => {
                        format!("no engine has what task '{task}' requires: {why}")
                    }
                    Impossible::Ended => format!(
                        "task '{task}' can never run: a task that it depends on has ended otherwise than it asks"
                    ),
                    Impossible::Language(Language::Rust) => format!(
                        "task '{task}' can never run: it is a Rust function, and there are only Python engines"
                    ),
                    Impossible::Language(Language::Python) => format!(
                        "task '{task}' can never run: it is a Python function, and there are only Rust engines"
                    ),
                    Impossible::Nowhere => format!(
                        "task '{task}' can never run: no engine that it may run on is there"
                    ),
                },
            ),
            FailReason::InvalidDependency => (
                "InvalidDependency",
                format!("task '{task}' depends on a task that is unknown, or on itself"),
            ),
            FailReason::NoEngines => (
                "NoEngines",
                format!("no engine is left to run task '{task}': start engines and send it again"),
            ),
            FailReason::Aborted | FailReason::ClientLeft => return None,
        };
        Some(Self { ename, evalue })
    }

    pub fn content(&self) -> Value {
        ErrorContent::new(self.ename, self.evalue.as_str()).reply()
    }
}

impl ServerState {
    /// Builds a signed reply to a request from its header.
    pub(super) fn made_reply(
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
