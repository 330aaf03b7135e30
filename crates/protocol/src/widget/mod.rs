//! Widgets as their owner holds them: their states, and how they are displayed.
//!
//! The kernel holds those of the notebook's cells, an engine's process its own. Source: ipywidgets,
//! `packages/schema/messages.md`.
//!
//! | file | contents |
//! |---|---|
//! | `fallback.rs` | the representation for frontends without widget support |
//! | `displays.rs` | the displays of widgets, whose representations follow their states |

mod displays;
mod fallback;

pub use displays::WidgetDisplays;

use crate::comm::Buffer;
use crate::id::CommId;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The MIME type of a widget view.
pub const VIEW_MIME: &str = "application/vnd.jupyter.widget-view+json";

/// The prefix of a reference to a model.
const REFERENCE: &str = "IPY_MODEL_";

/// Returns the reference by which other models refer to a model.
pub fn reference(id: &CommId) -> String {
    format!("{REFERENCE}{id}")
}

/// Returns the model that a reference names.
pub fn referred(reference: &str) -> Option<CommId> {
    reference.strip_prefix(REFERENCE).map(CommId::new)
}

/// Finds the models of widgets, a widget's parts included.
pub type FindModel<'a> = dyn Fn(&CommId) -> Option<&'a WidgetModel> + 'a;

/// The state of a widget, as ipywidgets' `get_state` returns it.
///
/// Binary values are not part of the state; each is a buffer with a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WidgetModel {
    /// The values by name, without the binary ones.
    pub state: Map<String, Value>,
    /// Paths (keys and indices) and buffers, by the path as JSON text.
    buffers: BTreeMap<String, (Vec<Value>, Buffer)>,
}

impl WidgetModel {
    /// Returns the model described by the data of an `update` or a `comm_open`.
    pub fn of(data: &Map<String, Value>, buffers: Vec<Buffer>) -> Self {
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
    pub fn merge(&mut self, update: Self) {
        for (key, value) in update.state {
            self.forget(&key);
            self.state.insert(key, value);
        }
        self.buffers.extend(update.buffers);
    }

    /// Removes one key.
    pub fn forget(&mut self, key: &str) {
        self.state.remove(key);
        self.buffers
            .retain(|_, (path, _)| path.first().and_then(Value::as_str) != Some(key));
    }

    /// Returns the data of a message with this method, and its buffers.
    pub fn message(&self, method: &str) -> (Map<String, Value>, Vec<Buffer>) {
        let data = Map::from_iter([
            ("method".to_owned(), json!(method)),
            ("state".to_owned(), json!(self.state)),
            ("buffer_paths".to_owned(), json!(self.paths())),
        ]);
        (data, self.frames())
    }

    /// Returns the paths of the binary values, in the order of [`Self::frames`].
    pub fn paths(&self) -> Vec<&[Value]> {
        self.buffers
            .values()
            .map(|(path, _)| path.as_slice())
            .collect()
    }

    /// Returns the binary values with their paths.
    pub fn buffers(&self) -> Vec<(Vec<Value>, Buffer)> {
        self.buffers.values().cloned().collect()
    }

    /// Returns the binary values.
    pub fn frames(&self) -> Vec<Buffer> {
        self.buffers
            .values()
            .map(|(_, buffer)| buffer.clone())
            .collect()
    }

    /// Returns the binary value of a key; empty if it has none.
    fn bytes(&self, key: &str) -> &[u8] {
        let buffer = self.buffers.get(&json!([key]).to_string());
        buffer.map_or(&[], |(_, Buffer(bytes))| bytes)
    }

    /// Returns the children of a box, in order.
    fn children(&self) -> impl Iterator<Item = CommId> {
        let children = self.state.get("children").and_then(Value::as_array);
        let children = children.into_iter().flatten();
        children.filter_map(|child| referred(child.as_str()?))
    }
}
