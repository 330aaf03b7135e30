//! The reply to a reloaded page: the states of all widgets in one message.

use super::Comm;
use phalanx_protocol::comm::{Buffer, WIDGET_TARGET};
use phalanx_protocol::id::CommId;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The comm target of the request for all states, used by ipywidgets since version 7.6.
pub(super) const CONTROL_TARGET: &str = "jupyter.widget.control";

/// Returns the data and buffers of an `update_states` message.
pub(super) fn update_states(comms: &BTreeMap<CommId, Comm>) -> (Map<String, Value>, Vec<Buffer>) {
    let mut states = Map::new();
    let mut paths = Vec::new();
    let mut buffers = Vec::new();
    for (id, comm) in comms
        .iter()
        .filter(|(_, comm)| comm.open && comm.target == WIDGET_TARGET)
    {
        let state = &comm.model.state;
        states.insert(
            id.to_string(),
            json!({
                "model_name": state.get("_model_name"),
                "model_module": state.get("_model_module"),
                "model_module_version": state.get("_model_module_version"),
                "state": state,
            }),
        );
        for path in comm.model.paths() {
            let mut full = vec![json!(id), json!("state")];
            full.extend_from_slice(path);
            paths.push(Value::Array(full));
        }
        buffers.extend(comm.model.frames());
    }
    let data = Map::from_iter([
        ("method".to_owned(), json!("update_states")),
        ("states".to_owned(), Value::Object(states)),
        ("buffer_paths".to_owned(), Value::Array(paths)),
    ]);
    (data, buffers)
}
