//! Errors in ipyparallel's form.

use super::message::value;
use crate::failure::RemoteFailure;
use crate::id::{EngineId, EngineUuid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The content of an error reply, or of an `error` on iopub. Fields that are missing or of another
/// type are read as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorContent {
    /// The name of the error: `EngineError`, `KeyError`, …
    #[serde(deserialize_with = "or_default")]
    pub ename: String,
    /// The message.
    #[serde(deserialize_with = "or_default")]
    pub evalue: String,
    /// The lines of the traceback.
    #[serde(deserialize_with = "or_default")]
    pub traceback: Vec<String>,
    /// The engine that raised it; empty if no engine did.
    #[serde(deserialize_with = "or_default")]
    pub engine_info: EngineInfo,
}

/// The engine that raised an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Its uuid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_uuid: Option<EngineUuid>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_id: Option<EngineId>,
    /// `execute` or `apply`; stock engines omit it from the metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

impl ErrorContent {
    /// Creates an error that no engine raised, with its message as traceback.
    pub fn new(ename: impl Into<String>, evalue: impl Into<String>) -> Self {
        let (ename, evalue) = (ename.into(), evalue.into());
        Self {
            traceback: vec![format!("{ename}: {evalue}")],
            ename,
            evalue,
            engine_info: EngineInfo::default(),
        }
    }

    /// Converts it into the content of a reply.
    pub fn reply(&self) -> Value {
        let mut content = value(self);
        content["status"] = json!("error");
        content
    }

    /// Converts it into the content of an engine's reply, or of its `error` on iopub, which include
    /// the execution count as a kernel's do.
    pub(super) fn counted(&self, execution_count: u32) -> Value {
        let mut content = self.reply();
        content["execution_count"] = json!(execution_count);
        content["user_expressions"] = json!({});
        content["payload"] = json!([]);
        content
    }
}

impl From<ErrorContent> for RemoteFailure {
    fn from(error: ErrorContent) -> Self {
        Self {
            ename: error.ename,
            evalue: error.evalue,
            traceback: error.traceback,
            engine: error.engine_info.engine_id,
            msg_id: None,
            // If missing, the caller derives it from the task.
            method: error.engine_info.method.unwrap_or_default(),
        }
    }
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_of_an_error_is_readable_is_read() {
        let read = |content: Value| serde_json::from_value::<ErrorContent>(content).unwrap();
        let stock = read(
            json!({"status": "error", "ename": "ZeroDivisionError", "evalue": "by zero",
            "traceback": ["…"], "engine_info": {"engine_id": 1, "method": "execute"}}),
        );
        let failure = RemoteFailure::from(stock);
        assert_eq!(
            (failure.engine, failure.method.as_str()),
            (Some(EngineId(1)), "execute")
        );
        let odd = read(json!({"ename": "E", "evalue": null, "traceback": "t", "engine_info": []}));
        let bare = ErrorContent {
            ename: "E".to_owned(),
            ..ErrorContent::default()
        };
        assert_eq!(odd, bare);
    }

    #[test]
    fn an_error_of_no_engine_looks_as_a_stock_scheduler_s() {
        let error = ErrorContent::new("EngineError", "gone");
        let wanted = json!({"status": "error", "ename": "EngineError", "evalue": "gone",
            "traceback": ["EngineError: gone"], "engine_info": {}});
        assert_eq!(error.reply(), wanted);
    }
}
