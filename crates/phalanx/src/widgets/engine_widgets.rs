//! Widgets of an engine, which are not connected to a frontend: their state is in the engine's
//! process, and they are shown as a display of their static fallback, updated when they change.

use super::listeners;
use super::model::ModelHandle;
use crate::display::{fresh_id, put};
use phalanx_protocol::comm::{CommMessage, CommRequest};
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::CommId;
use phalanx_protocol::output::{Display, MimeBundle, Output};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The widgets of this process.
#[derive(Default)]
pub(crate) struct EngineWidgets {
    states: BTreeMap<CommId, Map<String, Value>>,
    shown: Vec<DisplayedWidget>,
}

/// A widget that is displayed.
#[derive(Clone)]
struct DisplayedWidget {
    widget: CommId,
    display: String,
    /// The representation shown last.
    bundle: MimeBundle,
}

impl EngineWidgets {
    /// Implements requests about widgets, as far as possible without a frontend.
    fn handle(&mut self, request: CommRequest) -> HostReply {
        match request {
            CommRequest::Open { comms, .. } => {
                for CommMessage { comm_id, data, .. } in comms {
                    self.states.insert(comm_id, state(data));
                }
            }
            CommRequest::Send(message) => {
                if let Some(known) = self.states.get_mut(&message.comm_id) {
                    known.extend(state(message.data));
                }
            }
            CommRequest::State(id) => return HostReply::CommState(self.states.get(&id).cloned()),
            // Uploads need a frontend.
            CommRequest::Buffers(_) => return HostReply::CommBuffers(Vec::new()),
            CommRequest::Close(ids) => {
                self.states.retain(|id, _| !ids.contains(id));
                self.shown.retain(|shown| !ids.contains(&shown.widget));
            }
            // A static picture cannot be clicked or moved, and the output of a cell is not
            // captured.
            CommRequest::Observe(_)
            | CommRequest::Accept(_)
            | CommRequest::NextEvent
            | CommRequest::Capture { .. } => {}
        }
        HostReply::Done
    }
}

fn state(mut data: Map<String, Value>) -> Map<String, Value> {
    match data.remove("state") {
        Some(Value::Object(state)) => state,
        _ => Map::new(),
    }
}

/// Replies in place of the kernel; displayed widgets that have changed are updated.
pub(super) fn handle(request: CommRequest) -> Option<HostReply> {
    let changes = matches!(request, CommRequest::Send(_));
    if matches!(request, CommRequest::Observe(_)) {
        eprintln!(
            "phalanx: a widget on an engine is only shown; one that users operate must be created in the notebook's own cells, without %%px"
        );
    }
    let reply = listeners::engine_widgets()?.handle(request);
    if changes {
        refresh();
    }
    Some(reply)
}

/// Shows a widget, and updates it when it changes.
pub(super) fn display(widget: &ModelHandle) {
    let shown = DisplayedWidget {
        widget: widget.id().clone(),
        display: fresh_id(),
        bundle: widget.bundle(),
    };
    send(&shown, false);
    if let Some(mut widgets) = listeners::engine_widgets() {
        widgets.shown.push(shown);
    }
}

fn refresh() {
    // Rendering a widget reads its state and its children's, so the lock must not be held.
    let Some(all) = listeners::engine_widgets().map(|widgets| widgets.shown.clone()) else {
        return;
    };
    for mut shown in all {
        let now = ModelHandle::of(shown.widget.clone()).bundle();
        if now == shown.bundle {
            continue;
        }
        shown.bundle = now;
        send(&shown, true);
        if let Some(mut widgets) = listeners::engine_widgets() {
            let mut known = widgets.shown.iter_mut();
            if let Some(known) = known.find(|known| known.display == shown.display) {
                *known = shown;
            }
        }
    }
}

fn send(shown: &DisplayedWidget, update: bool) {
    let output = Output::Display(Display {
        data: shown.bundle.clone(),
        display_id: Some(shown.display.clone()),
        update,
        ..Display::default()
    });
    if let Err(error) = put(output) {
        eprintln!("phalanx: {error:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widgets::model::object;
    use serde_json::json;

    fn message(id: &str, data: Value) -> CommMessage {
        CommMessage {
            comm_id: CommId::new(id),
            data: object(data),
            metadata: Map::new(),
            buffers: Vec::new(),
        }
    }

    #[test]
    fn state_is_the_last_update() {
        let mut widgets = EngineWidgets::default();
        widgets.handle(CommRequest::Open {
            target: "jupyter.widget".to_owned(),
            comms: vec![message("a", json!({"state": {"value": 1, "max": 9}}))],
        });
        let update = json!({"method": "update", "state": {"value": 2}});
        widgets.handle(CommRequest::Send(message("a", update.clone())));
        widgets.handle(CommRequest::Send(message("unknown", update)));
        let state = |widgets: &mut EngineWidgets| match widgets
            .handle(CommRequest::State(CommId::new("a")))
        {
            HostReply::CommState(state) => state,
            other => panic!("{other:?}"),
        };
        let expected = object(json!({"value": 2, "max": 9}));
        assert_eq!(state(&mut widgets), Some(expected));
        widgets.handle(CommRequest::Close(vec![CommId::new("a")]));
        assert_eq!(state(&mut widgets), None);
    }
}
