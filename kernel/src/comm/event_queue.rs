//! The queue of frontends' actions that the code has not handled yet.

use phalanx_protocol::comm::{CommEvent, CommMessage};
use phalanx_protocol::widget::WidgetModel;
use serde_json::Value;
use std::collections::VecDeque;

/// The largest number of queued events; if the code does not read them, the oldest is dropped.
const LIMIT: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct EventQueue(VecDeque<CommEvent>);

impl EventQueue {
    /// Queues an event; returns false if it was merged with the last one. Consecutive updates of a
    /// widget are merged, so that a slider dragged while a cell runs yields its final position
    /// alone.
    pub(super) fn push(&mut self, event: CommEvent) -> bool {
        if let (CommEvent::Message(new), Some(CommEvent::Message(last))) =
            (&event, self.0.back_mut())
            && new.comm_id == last.comm_id
            && is_update(new)
            && is_update(last)
        {
            let mut model = WidgetModel::of(&last.data, std::mem::take(&mut last.buffers));
            model.merge(WidgetModel::of(&new.data, new.buffers.clone()));
            (last.data, last.buffers) = model.message("update");
            return false;
        }
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(event);
        true
    }

    pub(super) fn pop(&mut self) -> Option<CommEvent> {
        self.0.pop_front()
    }
}

/// Returns true if a message changes the state of a widget.
pub(super) fn is_update(message: &CommMessage) -> bool {
    message.data.get("method").and_then(Value::as_str) == Some("update")
}
