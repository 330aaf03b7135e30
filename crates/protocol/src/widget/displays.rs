//! The displays of widgets, whose representations follow their states.
//!
//! A frontend with widget support shows a view of the model, which follows it by itself; what it
//! saves, and what others show, is the representation that was sent last. Pure.

use super::fallback::{Fallback, fallback};
use super::{FindModel, VIEW_MIME};
use crate::id::CommId;
use crate::look::bar;
use crate::output::{Display, MimeBundle};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

/// The widgets that are displayed.
///
/// All displays of a widget have one id, its own, so that an update reaches each of them.
#[derive(Debug)]
pub struct WidgetDisplays {
    has_views: bool,
    /// The hash of the representation that was sent last, by widget.
    sent: BTreeMap<CommId, u64>,
    /// The models that have changed since.
    changed: BTreeSet<CommId>,
    /// The models that a user has changed: a new view would take them out of their hands.
    operated: BTreeSet<CommId>,
    /// The time at which a representation was sent.
    last: Option<Instant>,
}

impl WidgetDisplays {
    /// Creates the displays of widgets to which frontends have a comm, so that these can show views
    /// of them, or to which they have none.
    pub fn new(has_views: bool) -> Self {
        Self {
            has_views,
            sent: BTreeMap::new(),
            changed: BTreeSet::new(),
            operated: BTreeSet::new(),
            last: None,
        }
    }

    /// Returns a display of a widget; `None` for a widget without a model.
    pub fn display(
        &mut self,
        id: &CommId,
        models: &FindModel<'_>,
        now: Instant,
    ) -> Option<Display> {
        let fallback = fallback(id, models)?;
        self.sent.insert(id.clone(), hash(&fallback));
        self.last = Some(now);
        Some(self.display_of(id, fallback, false))
    }

    /// Records that a model has changed.
    pub fn changed(&mut self, id: &CommId) {
        if !self.sent.is_empty() {
            self.changed.insert(id.clone());
        }
    }

    /// Records that a user has changed a model, in a view that shows it.
    pub fn operated(&mut self, id: &CommId) {
        self.operated.insert(id.clone());
    }

    /// Removes a widget's displays: they remain as they are.
    pub fn remove(&mut self, id: &CommId) {
        self.sent.remove(id);
        self.operated.remove(id);
        self.changed.remove(id);
    }

    /// Returns the time at which updates are due for viewers that follow no model.
    pub fn due(&self) -> Option<Instant> {
        let last = self.last.filter(|_| !self.changed.is_empty())?;
        Some(last + bar::INTERVAL)
    }

    /// Returns the updates of displays whose widgets look different now, but for those that a user
    /// has operated.
    pub fn updates(&mut self, models: &FindModel<'_>, now: Instant) -> Vec<Display> {
        let changed = std::mem::take(&mut self.changed);
        if changed.is_empty() {
            return Vec::new();
        }
        self.last = Some(now);
        let mut updates = Vec::new();
        for (id, sent) in &mut self.sent {
            let has_part = |parts| has_part(id, parts, models, &mut Vec::new());
            if !has_part(&changed) || has_part(&self.operated) {
                continue;
            }
            let Some(fallback) = fallback(id, models) else {
                continue;
            };
            let hash = hash(&fallback);
            if std::mem::replace(sent, hash) != hash {
                updates.push((id.clone(), fallback));
            }
        }
        let update = |(id, fallback)| self.display_of(&id, fallback, true);
        updates.into_iter().map(update).collect()
    }

    fn display_of(&self, id: &CommId, fallback: Fallback, update: bool) -> Display {
        let mut data = MimeBundle::plain(fallback.plain).with("text/html", fallback.html);
        if self.has_views {
            let view = json!({"version_major": 2, "version_minor": 0, "model_id": id});
            data = data.with(VIEW_MIME, view);
        }
        match fallback.has_bar {
            true => bar::display(data, id.as_str(), update),
            false => Display {
                data,
                display_id: Some(id.to_string()),
                update,
                ..Display::default()
            },
        }
    }
}

/// Returns true if one of these models is a part of the widget, or the widget; `around` are the
/// boxes that it is in.
fn has_part(
    id: &CommId,
    parts: &BTreeSet<CommId>,
    models: &FindModel<'_>,
    around: &mut Vec<CommId>,
) -> bool {
    if parts.contains(id) {
        return true;
    }
    // A box may contain itself.
    let Some(model) = models(id).filter(|_| !around.contains(id)) else {
        return false;
    };
    around.push(id.clone());
    let mut children = model.children();
    let found = children.any(|child| has_part(&child, parts, models, around));
    around.pop();
    found
}

fn hash(fallback: &Fallback) -> u64 {
    let mut hasher = DefaultHasher::new();
    fallback.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::{WidgetModel, reference};
    use super::*;
    use serde_json::Value;

    struct Widgets(BTreeMap<CommId, WidgetModel>);

    impl Widgets {
        fn set(&mut self, id: &str, state: Value) {
            let data = json!({"state": state});
            let update = WidgetModel::of(data.as_object().unwrap(), Vec::new());
            self.0.entry(CommId::new(id)).or_default().merge(update);
        }

        fn updates(&self, displays: &mut WidgetDisplays, now: Instant) -> Vec<(String, String)> {
            let updates = displays.updates(&|id| self.0.get(id), now).into_iter();
            let update = |update: Display| {
                assert!(update.update && update.data.0.contains_key(VIEW_MIME));
                let text = update.data.text().unwrap().to_owned();
                (update.display_id.unwrap(), text)
            };
            updates.map(update).collect()
        }
    }

    #[test]
    fn displays_follow_what_is_seen_of_their_widgets() {
        let mut widgets = Widgets(BTreeMap::new());
        let bar = json!({"_model_name": "IntProgressModel", "value": 0, "min": 0, "max": 4});
        widgets.set("bar", bar);
        widgets.set("label", json!({"_model_name": "LabelModel", "value": "a"}));
        let children = ["label", "bar"].map(|child| reference(&CommId::new(child)));
        let row = json!({"_model_name": "HBoxModel", "children": children});
        widgets.set("row", row);
        let mut displays = WidgetDisplays::new(true);
        let start = Instant::now();
        displays.changed(&CommId::new("bar"));
        assert_eq!(displays.due(), None, "nothing is displayed");
        for (id, is_bar) in [("label", false), ("row", true)] {
            let models = |id: &CommId| widgets.0.get(id);
            let shown = displays.display(&CommId::new(id), &models, start).unwrap();
            assert_eq!(shown.display_id.as_deref(), Some(id));
            assert_eq!(bar::is_bar(&shown), is_bar);
        }
        assert_eq!(displays.due(), None);

        widgets.set("bar", json!({"value": 2}));
        displays.changed(&CommId::new("bar"));
        assert_eq!(displays.due(), Some(start + bar::INTERVAL));
        let half = "a  50%|██████████          | 2/4";
        assert_eq!(
            widgets.updates(&mut displays, start),
            [("row".to_owned(), half.to_owned())]
        );
        assert_eq!(displays.due(), None);

        widgets.set("bar", json!({"layout": "other"}));
        displays.changed(&CommId::new("bar"));
        assert!(widgets.updates(&mut displays, start).is_empty());

        // A user's hands are on a part of the row.
        displays.operated(&CommId::new("bar"));
        widgets.set("label", json!({"value": "b"}));
        displays.changed(&CommId::new("label"));
        assert_eq!(
            widgets.updates(&mut displays, start),
            [("label".to_owned(), "b".to_owned())]
        );
        displays.remove(&CommId::new("label"));
        widgets.set("label", json!({"value": "c"}));
        displays.changed(&CommId::new("label"));
        assert!(widgets.updates(&mut displays, start).is_empty());
    }

    #[test]
    fn a_widget_that_contains_itself_is_shown() {
        let mut widgets = Widgets(BTreeMap::new());
        let itself = vec![reference(&CommId::new("box")); 40];
        widgets.set(
            "box",
            json!({"_model_name": "VBoxModel", "children": itself}),
        );
        let mut displays = WidgetDisplays::new(false);
        let models = |id: &CommId| widgets.0.get(id);
        let now = Instant::now();
        let shown = displays.display(&CommId::new("box"), &models, now);
        assert!(shown.is_some_and(|shown| !shown.data.0.contains_key(VIEW_MIME)));
        displays.changed(&CommId::new("other"));
        assert!(displays.updates(&models, now).is_empty());
        assert_eq!(displays.display(&CommId::new("other"), &models, now), None);
    }
}
