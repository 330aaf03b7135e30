//! The state of one widget, with its binary values.

use phalanx_protocol::comm::Buffer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The state of a widget, as ipywidgets' `get_state` returns it.
///
/// Binary values are not part of the state; each is a buffer with a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) state: Map<String, Value>,
    /// Paths (keys and indices) and buffers, by the path as JSON text.
    buffers: BTreeMap<String, (Vec<Value>, Buffer)>,
}

impl Model {
    /// Returns the model described by the data of an `update` or a `comm_open`.
    pub(super) fn of(data: &Map<String, Value>, buffers: Vec<Buffer>) -> Self {
        let state = data.get("state").and_then(Value::as_object);
        let paths = data.get("buffer_paths").and_then(Value::as_array);
        let paths = paths.into_iter().flatten().filter_map(Value::as_array);
        Self {
            state: state.cloned().unwrap_or_default(),
            buffers: paths
                .zip(buffers)
                .map(|(path, buffer)| (json!(path).to_string(), (path.clone(), buffer)))
                .collect(),
        }
    }

    /// Replaces every key that an update contains.
    pub(super) fn merge(&mut self, update: Self) {
        for (key, value) in update.state {
            self.forget(&key);
            self.state.insert(key, value);
        }
        self.buffers.extend(update.buffers);
    }

    /// Removes one key.
    pub(super) fn forget(&mut self, key: &str) {
        self.state.remove(key);
        self.buffers
            .retain(|_, (path, _)| path.first().and_then(Value::as_str) != Some(key));
    }

    /// Returns the data of a message with this method, and its buffers.
    pub(super) fn message(&self, method: &str) -> (Map<String, Value>, Vec<Buffer>) {
        let data = Map::from_iter([
            ("method".to_owned(), json!(method)),
            ("state".to_owned(), json!(self.state)),
            ("buffer_paths".to_owned(), json!(self.paths())),
        ]);
        (data, self.frames())
    }

    /// Returns the paths of the binary values, in the order of [`Self::frames`].
    pub(super) fn paths(&self) -> Vec<&[Value]> {
        self.buffers
            .values()
            .map(|(path, _)| path.as_slice())
            .collect()
    }

    /// Returns the binary values with their paths.
    pub(super) fn buffers(&self) -> Vec<(Vec<Value>, Buffer)> {
        self.buffers.values().cloned().collect()
    }

    /// Returns the binary values.
    pub(super) fn frames(&self) -> Vec<Buffer> {
        self.buffers
            .values()
            .map(|(_, buffer)| buffer.clone())
            .collect()
    }
}
