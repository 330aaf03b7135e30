//! Registration and connection of engines and clients, and the hub's notifications.

use super::Content;
use super::error::ErrorContent;
use crate::id::{EngineId, EngineUuid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! content {
    ($($type:ty = $name:literal;)*) => {
        $(impl Content for $type { const MSG_TYPE: &'static str = $name; })*
    };
}
pub(super) use content;

/// A request of an engine to join. Its routing identity is its uuid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// The engine's uuid, which is also its session.
    pub uuid: EngineUuid,
    /// The id it requests (after a restart, the previous one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EngineId>,
    /// True if it supports several tasks in one message ([`BATCH`](super::BATCH)).
    #[serde(default, skip_serializing_if = "is_false")]
    pub phalanx_batches: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// The reply to [`RegistrationRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum RegistrationReply {
    /// The engine may connect its channels.
    Ok {
        /// The id assigned to the engine.
        id: EngineId,
        /// The time between two heartbeats, in milliseconds.
        hb_period: u64,
        /// The ports of the engine's connection file, repeated.
        #[serde(default)]
        connection_info: serde_json::Value,
    },
    /// The request was refused.
    Error(ErrorContent),
}

/// A message that an engine leaves, sent by itself or by its nanny. There is no reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnregistrationRequest {
    /// The engine's id.
    pub id: EngineId,
}

/// A client's request for the list of engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRequest {}

/// The reply to [`ConnectionRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum ConnectionReply {
    /// The list of engines.
    Ok {
        /// The engines' uuids by id, which is a string in JSON.
        #[serde(deserialize_with = "ids_from_text")]
        engines: BTreeMap<EngineId, EngineUuid>,
        /// True if the scheduler supports several tasks in one message ([`BATCH`](super::BATCH)).
        #[serde(default, skip_serializing_if = "is_false")]
        phalanx_batches: bool,
    },
    /// The request was refused.
    Error(ErrorContent),
}

/// Parses the keys, which serde passes as strings for maps in tagged enums, not as numbers.
fn ids_from_text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<EngineId, EngineUuid>, D::Error> {
    BTreeMap::<String, EngineUuid>::deserialize(deserializer)?
        .into_iter()
        .map(|(id, uuid)| match id.parse() {
            Ok(id) => Ok((EngineId(id), uuid)),
            Err(_) => Err(serde::de::Error::custom(format!("`{id}` is no engine id"))),
        })
        .collect()
}

/// An engine has joined; published to all clients, and again for each new subscriber, so that late
/// subscribers are notified as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegistrationNotification {
    /// Its id.
    pub id: EngineId,
    /// Its uuid.
    pub uuid: EngineUuid,
}

/// An engine has left; published to all clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnregistrationNotification {
    /// The id it had.
    pub id: EngineId,
    /// Its uuid.
    pub uuid: EngineUuid,
}

/// The controller is shutting down; published to all clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShutdownNotification {}

content! {
    RegistrationRequest = "registration_request";
    RegistrationReply = "registration_reply";
    UnregistrationRequest = "unregistration_request";
    ConnectionRequest = "connection_request";
    ConnectionReply = "connection_reply";
    RegistrationNotification = "registration_notification";
    UnregistrationNotification = "unregistration_notification";
    ShutdownNotification = "shutdown_notification";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    fn both_ways<T: Content + PartialEq + std::fmt::Debug>(value: T, wire: Value) {
        assert_eq!(to_value(&value).unwrap(), wire);
        assert_eq!(from_value::<T>(wire).unwrap(), value);
    }

    /// Recorded between ipyparallel 9.2 and its engines.
    #[test]
    fn messages_look_as_ipyparallel_s() {
        let uuid = EngineUuid::new("9ff71e4a-bb7af82f8a3b2f02b53739d4");
        both_ways(
            RegistrationRequest {
                uuid: uuid.clone(),
                id: None,
                phalanx_batches: false,
            },
            json!({"uuid": "9ff71e4a-bb7af82f8a3b2f02b53739d4"}),
        );
        both_ways(
            RegistrationReply::Ok {
                id: EngineId(1),
                hb_period: 1000,
                connection_info: json!({"mux": 47473}),
            },
            json!({"id": 1, "status": "ok", "hb_period": 1000, "connection_info": {"mux": 47473}}),
        );
        both_ways(
            ConnectionReply::Ok {
                engines: [(EngineId(0), uuid.clone())].into(),
                phalanx_batches: false,
            },
            json!({"status": "ok", "engines": {"0": "9ff71e4a-bb7af82f8a3b2f02b53739d4"}}),
        );
        both_ways(
            RegistrationNotification {
                id: EngineId(1),
                uuid,
            },
            json!({"id": 1, "uuid": "9ff71e4a-bb7af82f8a3b2f02b53739d4"}),
        );
    }
}
