//! Widgets of an engine, which are not connected to a frontend: their state is in the engine's
//! process, and they are shown as a display of their static fallback, updated when they change.

use super::listeners;
use super::model::show;
use phalanx_protocol::comm::{CommMessage, CommRequest};
use phalanx_protocol::host::HostReply;
use phalanx_protocol::id::CommId;
use phalanx_protocol::output::Display;
use phalanx_protocol::widget::{WidgetDisplays, WidgetModel};
use std::collections::BTreeMap;
use std::time::Instant;

/// The widgets of this process.
pub(crate) struct EngineWidgets {
    models: BTreeMap<CommId, WidgetModel>,
    displays: WidgetDisplays,
}

impl Default for EngineWidgets {
    fn default() -> Self {
        Self {
            models: BTreeMap::new(),
            displays: WidgetDisplays::new(false),
        }
    }
}

impl EngineWidgets {
    /// Implements requests about widgets, as far as possible without a frontend.
    fn handle(&mut self, request: CommRequest, now: Instant) -> HostReply {
        match request {
            CommRequest::Open { comms, .. } => {
                for CommMessage {
                    comm_id,
                    data,
                    buffers,
                    ..
                } in comms
                {
                    self.models.insert(comm_id, WidgetModel::of(&data, buffers));
                }
            }
            CommRequest::Send(message) => {
                if let Some(known) = self.models.get_mut(&message.comm_id) {
                    known.merge(WidgetModel::of(&message.data, message.buffers));
                    self.displays.changed(&message.comm_id);
                }
            }
            CommRequest::State(id) => {
                let model = self.models.get(&id);
                return HostReply::CommState(model.map(|model| model.state.clone()));
            }
            CommRequest::Buffers(id) => {
                let model = self.models.get(&id);
                let buffers = model.map(WidgetModel::buffers);
                return HostReply::CommBuffers(buffers.unwrap_or_default());
            }
            CommRequest::Display(id) => {
                let models = |id: &CommId| self.models.get(id);
                if let Some(display) = self.displays.display(&id, &models, now) {
                    return HostReply::CommDisplay(display);
                }
            }
            CommRequest::Close(ids) => {
                for id in ids {
                    self.models.remove(&id);
                    self.displays.remove(&id);
                }
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

    /// Returns the updates of displays whose widgets have changed.
    fn updates(&mut self, now: Instant) -> Vec<Display> {
        let models = |id: &CommId| self.models.get(id);
        self.displays.updates(&models, now)
    }
}

/// Replies in place of the kernel; displayed widgets that have changed are updated, at most as often
/// as bars.
pub(super) fn handle(request: CommRequest) -> Option<HostReply> {
    if matches!(request, CommRequest::Observe(_)) {
        eprintln!(
            "phalanx: a widget on an engine is only shown; one that users operate must be created in the notebook's own cells, without %%px"
        );
    }
    let closes = matches!(request, CommRequest::Close(_));
    let now = Instant::now();
    let (reply, updates) = {
        let mut widgets = listeners::engine_widgets()?;
        let mut updates = match closes {
            true => widgets.updates(now),
            false => Vec::new(),
        };
        let reply = widgets.handle(request, now);
        if widgets.displays.due().is_some_and(|due| now >= due) {
            updates.extend(widgets.updates(now));
        }
        (reply, updates)
    };
    updates.into_iter().for_each(show);
    Some(reply)
}

/// Updates the displays of all widgets that have changed. Called at the end of every cell and call.
pub(crate) fn settle() {
    if crate::engine_id().is_none() {
        return;
    }
    let updates = listeners::engine_widgets().map(|mut widgets| widgets.updates(Instant::now()));
    updates.into_iter().flatten().for_each(show);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widgets::model::object;
    use phalanx_protocol::comm::Buffer;
    use serde_json::{Map, Value, json};

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
        let now = Instant::now();
        let open = |comms| CommRequest::Open {
            target: "jupyter.widget".to_owned(),
            comms,
        };
        let opened = message("a", json!({"state": {"value": 1, "max": 9}}));
        widgets.handle(open(vec![opened]), now);
        let update = json!({"method": "update", "state": {"value": 2}});
        widgets.handle(CommRequest::Send(message("a", update.clone())), now);
        widgets.handle(CommRequest::Send(message("unknown", update)), now);
        let state = |widgets: &mut EngineWidgets| {
            let request = CommRequest::State(CommId::new("a"));
            match widgets.handle(request, now) {
                HostReply::CommState(state) => state,
                other => panic!("{other:?}"),
            }
        };
        let expected = object(json!({"value": 2, "max": 9}));
        assert_eq!(state(&mut widgets), Some(expected));
        widgets.handle(CommRequest::Close(vec![CommId::new("a")]), now);
        assert_eq!(state(&mut widgets), None);
    }

    #[test]
    fn displays_follow_the_state_without_a_view() {
        let mut widgets = EngineWidgets::default();
        let now = Instant::now();
        let state = json!({"_model_name": "ImageModel", "format": "gif"});
        let image = |data, bytes: &[u8]| CommMessage {
            buffers: vec![Buffer(bytes.to_vec())],
            ..message("a", data)
        };
        let opened = json!({"state": state, "buffer_paths": [["value"]]});
        let open = CommRequest::Open {
            target: "jupyter.widget".to_owned(),
            comms: vec![image(opened, b"GIF")],
        };
        widgets.handle(open, now);
        let HostReply::CommDisplay(shown) =
            widgets.handle(CommRequest::Display(CommId::new("a")), now)
        else {
            panic!("a display");
        };
        let types: Vec<&String> = shown.data.0.keys().collect();
        assert_eq!(types, ["text/html", "text/plain"]);
        assert!(widgets.updates(now).is_empty());
        let update = json!({"method": "update", "state": {}, "buffer_paths": [["value"]]});
        widgets.handle(CommRequest::Send(image(update, b"GIF89a")), now);
        let updates = widgets.updates(now);
        assert_eq!(updates[0].data.text(), Some("image/gif, 6 bytes"));
        assert_eq!(updates[0].display_id, shown.display_id);
    }
}
