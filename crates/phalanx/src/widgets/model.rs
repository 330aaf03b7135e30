//! The handle on a widget's model: the kernel holds the state, and every read requests it.

use super::engine_widgets;
use super::listeners;
use crate::host;
use phalanx_protocol::comm::{Buffer, CommEvent, CommMessage, CommRequest, WIDGET_TARGET};
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::CommId;
use phalanx_protocol::output::{Display, Output};
use phalanx_protocol::widget::{reference, referred};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read;

/// The version of the widget message protocol.
const PROTOCOL_VERSION: &str = "2.1.0";

/// The kernel's model of a widget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelHandle {
    id: CommId,
}

/// A callback for messages.
type OnMessage = Box<dyn FnMut(&CommMessage) + Send>;

/// A model to be opened.
pub(super) struct NewModel {
    pub(super) id: CommId,
    pub(super) state: Map<String, Value>,
    /// The binary values of the state.
    pub(super) bytes: Vec<(&'static str, Vec<u8>)>,
}

impl NewModel {
    pub(super) fn new(state: Map<String, Value>) -> Self {
        Self {
            id: fresh_id(),
            state,
            bytes: Vec::new(),
        }
    }

    /// Returns the reference by which other models refer to this one.
    pub(super) fn reference(&self) -> String {
        reference(&self.id)
    }
}

impl ModelHandle {
    /// Opens models in this order; the last one is the widget, the others are its parts.
    pub(super) fn open(openings: Vec<NewModel>) -> Self {
        let id = openings.last().map(|opening| opening.id.clone());
        let comms = openings.into_iter().map(|opening| {
            let (paths, buffers) = binary(opening.bytes);
            CommMessage {
                comm_id: opening.id,
                data: object(json!({"state": opening.state, "buffer_paths": paths})),
                metadata: object(json!({"version": PROTOCOL_VERSION})),
                buffers,
            }
        });
        ask(CommRequest::Open {
            target: WIDGET_TARGET.to_owned(),
            comms: comms.collect(),
        });
        Self {
            id: id.unwrap_or_else(fresh_id),
        }
    }

    /// Returns the reference by which other models refer to this one.
    pub(super) fn reference(&self) -> String {
        reference(&self.id)
    }

    /// Returns the whole state.
    pub(super) fn state(&self) -> Map<String, Value> {
        match ask(CommRequest::State(self.id.clone())) {
            Some(HostReply::CommState(state)) => state.unwrap_or_default(),
            _ => Map::new(),
        }
    }

    /// Returns the binary values of the state, each with its path.
    pub(super) fn buffers(&self) -> Vec<(Vec<Value>, Buffer)> {
        match ask(CommRequest::Buffers(self.id.clone())) {
            Some(HostReply::CommBuffers(buffers)) => buffers,
            _ => Vec::new(),
        }
    }

    /// Returns one value of the state.
    pub(super) fn get(&self, key: &str) -> Value {
        self.state().remove(key).unwrap_or_default()
    }

    /// Changes one value.
    pub(super) fn set(&self, key: &str, value: Value) {
        self.update(Map::from_iter([(key.to_owned(), value)]));
    }

    /// Changes several values at once.
    pub(super) fn update(&self, state: Map<String, Value>) {
        self.send(state, Vec::new());
    }

    /// Changes one binary value.
    pub(super) fn set_bytes(&self, key: &'static str, value: &[u8]) {
        self.send(Map::new(), vec![(key, value.to_owned())]);
    }

    fn send(&self, state: Map<String, Value>, bytes: Vec<(&'static str, Vec<u8>)>) {
        let (paths, buffers) = binary(bytes);
        let data = json!({"method": "update", "state": state, "buffer_paths": paths});
        ask(CommRequest::Send(CommMessage {
            comm_id: self.id.clone(),
            data: object(data),
            metadata: Map::new(),
            buffers,
        }));
    }

    /// Changes a value of the widget's layout or style, whose key is `part`.
    pub(super) fn set_part(&self, part: &str, key: &str, value: Value) {
        if let Some(id) = self.get(part).as_str().and_then(referred) {
            Self { id }.set(key, value);
        }
    }

    /// Registers a callback for all messages from frontends.
    pub(super) fn on_message(&self, mut callback: OnMessage) {
        listeners::listen(
            self.id.as_str(),
            Box::new(move |event| {
                if let CommEvent::Message(message) = event {
                    callback(message);
                }
            }),
        );
        ask(CommRequest::Observe(self.id.clone()));
    }

    /// Registers a callback for changes of a value by frontends.
    pub(super) fn on_change(&self, key: &'static str, mut callback: Box<dyn FnMut(&Value) + Send>) {
        self.on_message(Box::new(move |message| {
            let state = message.data.get("state").and_then(Value::as_object);
            if let Some(value) = state.and_then(|state| state.get(key)) {
                callback(value);
            }
        }));
    }

    /// Starts or stops capturing the output of the running cell.
    pub(super) fn capture(&self, on: bool) {
        let comm_id = self.id.clone();
        ask(CommRequest::Capture { comm_id, on });
    }

    /// Removes the widget from all frontends, with its layout and style.
    pub(super) fn close(&self) {
        let state = self.state();
        let parts = ["layout", "style"].map(|part| state.get(part).and_then(Value::as_str));
        let mut ids = vec![self.id.clone()];
        ids.extend(parts.into_iter().flatten().filter_map(referred));
        ask(CommRequest::Close(ids));
        listeners::forget(self.id.as_str());
    }

    /// Shows the widget under the cell: as a view of the model in frontends with widget support, and
    /// as text and HTML elsewhere. The owner updates these when the widget changes.
    pub(super) fn display(&self) {
        if let Some(HostReply::CommDisplay(display)) = ask(CommRequest::Display(self.id.clone())) {
            show(display);
        }
    }
}

/// Shows a display of a widget, or updates it. An error is printed to stderr, since callers cannot
/// handle it.
pub(super) fn show(display: Display) {
    if let Err(error) = crate::display::put(Output::Display(display)) {
        eprintln!("phalanx: {error:?}");
    }
}

/// Returns the paths of binary values, and their buffers.
pub(super) fn binary(bytes: Vec<(&'static str, Vec<u8>)>) -> (Vec<[&'static str; 1]>, Vec<Buffer>) {
    let bytes = bytes.into_iter();
    bytes.map(|(key, value)| ([key], Buffer(value))).unzip()
}

/// Sends a request to the kernel. An error is printed to stderr, since callers cannot handle it.
fn ask(request: CommRequest) -> Option<HostReply> {
    if crate::engine_id().is_some() {
        return engine_widgets::handle(request);
    }
    match host::call(&request.into()) {
        Ok(reply) => Some(reply),
        Err(error) => {
            eprintln!("phalanx: {error:?}");
            None
        }
    }
}

/// Returns a unique id.
fn fresh_id() -> CommId {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        return CommId::new(crate::display::fresh_id());
    }
    CommId::new(bytes.map(|byte| format!("{byte:02x}")).concat())
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
