//! An engine's reply to a cell, as a value.

use crate::id::EngineId;
use crate::output::MimeBundle;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// An engine's reply to a cell; displayed as `<ExecuteReply[3]: 42>`.
#[derive(Clone, PartialEq)]
pub struct ExecuteReply {
    /// The engine.
    pub engine_id: Option<EngineId>,
    /// The execution count of the cell on its engine.
    pub execution_count: u32,
    /// The value of the last expression.
    pub execute_result: Option<MimeBundle>,
}

/// The serialized form.
#[derive(Serialize, Deserialize)]
struct ExecuteReplyFields {
    engine_id: Option<EngineId>,
    execution_count: u32,
    execute_result: Option<MimeBundle>,
}

/// In a format that is not self-describing, it is a JSON string, since a bundle holds arbitrary
/// values.
impl Serialize for ExecuteReply {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let value = self.to_json().map_err(S::Error::custom)?;
        match to.is_human_readable() {
            true => value.serialize(to),
            false => to.serialize_str(&value.to_string()),
        }
    }
}

/// Compiled in every cell that reads one, so the parts without type parameters are separate
/// functions.
impl<'de> Deserialize<'de> for ExecuteReply {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = match from.is_human_readable() {
            true => Self::from_json(Value::deserialize(from)?),
            false => Self::from_text(&String::deserialize(from)?),
        };
        read.map_err(D::Error::custom)
    }
}

impl ExecuteReply {
    fn to_json(&self) -> Result<Value, String> {
        let fields = ExecuteReplyFields {
            engine_id: self.engine_id,
            execution_count: self.execution_count,
            execute_result: self.execute_result.clone(),
        };
        serde_json::to_value(fields).map_err(|error| error.to_string())
    }

    #[inline(never)]
    fn from_json(value: Value) -> Result<Self, String> {
        let fields = serde_json::from_value::<ExecuteReplyFields>(value);
        let fields = fields.map_err(|error| error.to_string())?;
        Ok(Self {
            engine_id: fields.engine_id,
            execution_count: fields.execution_count,
            execute_result: fields.execute_result,
        })
    }

    #[inline(never)]
    fn from_text(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str(text);
        value
            .map_err(|error| error.to_string())
            .and_then(Self::from_json)
    }
}

impl fmt::Debug for ExecuteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<ExecuteReply[{}]", self.execution_count)?;
        if let Some(text) = self.execute_result.as_ref().and_then(MimeBundle::text) {
            let short: String = text.chars().take(29).collect();
            let dots = if text.chars().nth(29).is_some() {
                "..."
            } else {
                ""
            };
            write!(f, ": {short}{dots}")?;
        }
        f.write_str(">")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_an_object_in_json() {
        let reply = ExecuteReply {
            engine_id: Some(EngineId(1)),
            execution_count: 3,
            execute_result: Some(MimeBundle::plain("42")),
        };
        let json = serde_json::to_value(&reply).unwrap();
        let wanted = serde_json::json!({
            "engine_id": 1, "execution_count": 3, "execute_result": {"text/plain": "42"}
        });
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_value::<ExecuteReply>(json).unwrap(), reply);
        assert!(serde_json::from_str::<ExecuteReply>("{}").is_err());
        assert_eq!(format!("{reply:?}"), "<ExecuteReply[3]: 42>");
    }
}
