//! Requests to the hub, from engines and clients.

use super::content::Content;
use super::control::ShutdownRequest;
use super::message::{Message, MessageError, MessageRef};
use super::query::{
    DbRequest, HistoryRequest, LoadRequest, PurgeRequest, QueueRequest, ResubmitRequest,
    ResultRequest,
};
use super::registration::{ConnectionRequest, RegistrationRequest, UnregistrationRequest};
use super::vitals::EnginesRequest;

/// A message to the hub's registration socket.
#[derive(Clone, Debug, PartialEq)]
pub enum HubRequest {
    /// An engine joins.
    Register(RegistrationRequest),
    /// An engine leaves. There is no reply.
    Unregister(UnregistrationRequest),
    /// Requests the list of engines.
    Connection,
    /// Requests the tasks of each engine.
    Queue(QueueRequest),
    /// Requests the number of tasks of each engine.
    Load(LoadRequest),
    /// Requests the state of the engines.
    Engines,
    /// Requests the msg_ids of all recorded tasks.
    History,
    /// Requests the results of tasks.
    Results(ResultRequest),
    /// Requests the records of tasks.
    Db(DbRequest),
    /// Deletes results.
    Purge(PurgeRequest),
    /// Resubmits tasks.
    Resubmit(ResubmitRequest),
    /// Shuts the controller down.
    Shutdown,
    /// A type of message that the hub does not serve.
    Unknown,
}

impl HubRequest {
    /// `header.msg_type`; empty for a request of an unknown type.
    pub fn msg_type(&self) -> &'static str {
        match self {
            Self::Register(_) => RegistrationRequest::MSG_TYPE,
            Self::Unregister(_) => UnregistrationRequest::MSG_TYPE,
            Self::Connection => ConnectionRequest::MSG_TYPE,
            Self::Queue(_) => QueueRequest::MSG_TYPE,
            Self::Load(_) => LoadRequest::MSG_TYPE,
            Self::Engines => EnginesRequest::MSG_TYPE,
            Self::History => HistoryRequest::MSG_TYPE,
            Self::Results(_) => ResultRequest::MSG_TYPE,
            Self::Db(_) => DbRequest::MSG_TYPE,
            Self::Purge(_) => PurgeRequest::MSG_TYPE,
            Self::Resubmit(_) => ResubmitRequest::MSG_TYPE,
            Self::Shutdown => ShutdownRequest::MSG_TYPE,
            Self::Unknown => "",
        }
    }

    /// Decodes a request. The content of a request without parameters is not read: clients differ
    /// in it.
    ///
    /// # Errors
    /// `MessageError::Content` if the content does not match the type of the message.
    pub fn decode(message: MessageRef<'_>) -> Result<Self, MessageError> {
        Ok(match message.msg_type {
            RegistrationRequest::MSG_TYPE => Self::Register(message.content()?),
            UnregistrationRequest::MSG_TYPE => Self::Unregister(message.content()?),
            ConnectionRequest::MSG_TYPE => Self::Connection,
            QueueRequest::MSG_TYPE => Self::Queue(message.content()?),
            LoadRequest::MSG_TYPE => Self::Load(message.content()?),
            EnginesRequest::MSG_TYPE => Self::Engines,
            HistoryRequest::MSG_TYPE => Self::History,
            ResultRequest::MSG_TYPE => Self::Results(message.content()?),
            DbRequest::MSG_TYPE => Self::Db(message.content()?),
            PurgeRequest::MSG_TYPE => Self::Purge(message.content()?),
            ResubmitRequest::MSG_TYPE => Self::Resubmit(message.content()?),
            ShutdownRequest::MSG_TYPE => Self::Shutdown,
            _ => Self::Unknown,
        })
    }

    /// Encodes the request.
    pub fn encode(&self) -> Message {
        match self {
            Self::Register(content) => Message::of(content),
            Self::Unregister(content) => Message::of(content),
            Self::Connection => Message::of(&ConnectionRequest {}),
            Self::Queue(content) => Message::of(content),
            Self::Load(content) => Message::of(content),
            Self::Engines => Message::of(&EnginesRequest {}),
            Self::History => Message::of(&HistoryRequest {}),
            Self::Results(content) => Message::of(content),
            Self::Db(content) => Message::of(content),
            Self::Purge(content) => Message::of(content),
            Self::Resubmit(content) => Message::of(content),
            Self::Shutdown => Message::of(&ShutdownRequest::default()),
            Self::Unknown => Message::new("", serde_json::json!({})),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EngineSelector, Purged};
    use super::*;
    use crate::id::{EngineId, EngineUuid, MsgId};
    use serde_json::{Map, json};

    #[test]
    fn requests_survive_encoding() {
        let msg_ids = vec![MsgId::new("a")];
        let targets = Some(vec![EngineSelector::Id(EngineId(0))]);
        for request in [
            HubRequest::Register(RegistrationRequest {
                uuid: EngineUuid::new("u"),
                id: None,
                phalanx_batches: true,
            }),
            HubRequest::Unregister(UnregistrationRequest { id: EngineId(0) }),
            HubRequest::Connection,
            HubRequest::Queue(QueueRequest {
                targets: targets.clone(),
                verbose: true,
            }),
            HubRequest::Load(LoadRequest { targets }),
            HubRequest::Engines,
            HubRequest::History,
            HubRequest::Results(ResultRequest {
                msg_ids: msg_ids.clone(),
                status_only: true,
            }),
            HubRequest::Db(DbRequest::default()),
            HubRequest::Purge(PurgeRequest {
                msg_ids: Some(Purged::Ids(msg_ids.clone())),
                engine_ids: None,
            }),
            HubRequest::Resubmit(ResubmitRequest { msg_ids }),
            HubRequest::Shutdown,
        ] {
            let message = request.encode();
            assert_eq!(message.msg_type, request.msg_type());
            assert_eq!(HubRequest::decode(message.as_ref()).unwrap(), request);
        }
    }

    /// A stock client sends more or less than we do.
    #[test]
    fn requests_without_parameters_have_any_content() {
        let metadata = Map::new();
        for (msg_type, content, decoded) in [
            ("shutdown_request", json!(null), HubRequest::Shutdown),
            ("connection_request", json!([1]), HubRequest::Connection),
            ("no_request", json!({}), HubRequest::Unknown),
        ] {
            let message = MessageRef {
                msg_type,
                metadata: &metadata,
                content: &content,
                buffers: &[],
            };
            assert_eq!(HubRequest::decode(message).unwrap(), decoded);
        }
    }
}
