//! Construction of widgets from a kind and an initial state.

use super::model::{ModelHandle, NewModel};
use serde_json::{Map, Value, json};
use std::marker::PhantomData;

const BASE: &str = "@jupyter-widgets/base";
pub(super) const CONTROLS: &str = "@jupyter-widgets/controls";

/// ipywidgets' names for the model, view and style of a widget.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct WidgetKind {
    /// The base name, such as `IntSlider`, of `IntSliderModel` and, unless `view` differs,
    /// `IntSliderView`.
    pub(super) name: &'static str,
    pub(super) view: &'static str,
    pub(super) module: &'static str,
    pub(super) version: &'static str,
    /// The base name of the style model, such as `SliderStyle`; empty if there is none.
    pub(super) style: &'static str,
}

impl WidgetKind {
    /// Returns a widget of the module `@jupyter-widgets/controls`.
    pub(super) const fn control(name: &'static str, style: &'static str) -> Self {
        Self {
            name,
            view: name,
            module: CONTROLS,
            version: "2.0.0",
            style,
        }
    }
}

/// A type of widget, such as `IntSlider`; implemented by the types of this module.
///
/// ```no_run
/// use phalanx::widgets::{Builder, IntSlider, Text, Widget};
/// fn wide<W: Widget>(builder: Builder<W>) -> W {
///     builder.width("90%").build()
/// }
/// wide(IntSlider::builder()).display();
/// wide(Text::builder()).display();
/// ```
pub trait Widget: Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const KIND: WidgetKind;
    #[doc(hidden)]
    fn from_model(model: ModelHandle) -> Self;
}

/// The initial state of a widget; [`build`](Self::build) creates it. Keys and defaults are those of
/// ipywidgets 8.
///
/// ```no_run
/// use phalanx::widgets::IntSlider;
/// let slider = IntSlider::builder()
///     .description("size")
///     .tooltip("in pixels")
///     .width("50%")
///     .style("handle_color", "teal")
///     .state("readout_format", "03d")
///     .build();
/// slider.display();
/// ```
#[must_use = "a widget is made by `build()`"]
#[derive(Clone, Debug)]
pub struct Builder<W> {
    pub(super) parts: WidgetStates,
    kind: PhantomData<fn() -> W>,
}

/// The states of a widget and of its layout and style.
#[derive(Clone, Debug, Default)]
pub(super) struct WidgetStates {
    pub(super) state: Map<String, Value>,
    layout: Map<String, Value>,
    style: Map<String, Value>,
    /// The binary values of the state.
    bytes: Vec<(&'static str, Vec<u8>)>,
}

impl<W: Widget> Builder<W> {
    /// Creates a builder with this state.
    pub(super) fn of(state: Value) -> Self {
        Self {
            parts: WidgetStates {
                state: super::model::object(state),
                ..WidgetStates::default()
            },
            kind: PhantomData,
        }
    }

    /// Creates the widget, without showing it.
    pub fn build(self) -> W {
        W::from_model(self.parts.open(W::KIND))
    }

    /// Sets the text beside the widget, or on it for a button.
    pub fn description(self, text: &str) -> Self {
        self.state("description", text)
    }

    /// Sets the text shown while the pointer hovers over the widget.
    pub fn tooltip(self, text: &str) -> Self {
        self.state("tooltip", text)
    }

    /// Sets whether users cannot change the widget.
    pub fn disabled(self, disabled: bool) -> Self {
        self.state("disabled", disabled)
    }

    /// Sets the width, in CSS units: `"50%"`, `"20em"`.
    pub fn width(self, width: &str) -> Self {
        self.layout("width", width)
    }

    /// Sets the height, in CSS units.
    pub fn height(self, height: &str) -> Self {
        self.layout("height", height)
    }

    /// Sets any property of ipywidgets' `Layout`: `flex`, `margin`, `display`, …
    pub fn layout(mut self, property: &str, value: &str) -> Self {
        self.parts.layout.insert(property.to_owned(), json!(value));
        self
    }

    /// Sets any property of the widget's style: `description_width`, `bar_color`, `handle_color`,
    /// `button_color`, …
    pub fn style(mut self, property: &str, value: &str) -> Self {
        self.parts.style.insert(property.to_owned(), json!(value));
        self
    }

    /// Sets any value of the widget's state, by its ipywidgets name.
    pub fn state(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.parts.set(key, value.into());
        self
    }
}

#[cfg(test)]
impl<W: Widget> Builder<W> {
    /// Returns the model that [`build`](Self::build) would open, without its layout and style.
    pub(super) fn model(self) -> phalanx_protocol::widget::WidgetModel {
        let kind = W::KIND;
        let names = names(kind.module, kind.version, kind.name, kind.view);
        let (paths, buffers) = super::model::binary(self.parts.bytes);
        let data = json!({"state": with(names, self.parts.state), "buffer_paths": paths});
        phalanx_protocol::widget::WidgetModel::of(&super::model::object(data), buffers)
    }
}

impl WidgetStates {
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.state.insert(key.to_owned(), value);
    }

    pub(super) fn set_bytes(&mut self, key: &'static str, value: &[u8]) {
        self.bytes.push((key, value.to_owned()));
    }

    /// Opens the models of layout, style and widget, in this order.
    fn open(mut self, kind: WidgetKind) -> ModelHandle {
        super::bounds::clamp(&mut self.state);
        let mut openings = Vec::new();
        let mut state = names(kind.module, kind.version, kind.name, kind.view);
        let layout = with(names(BASE, "2.0.0", "Layout", "Layout"), self.layout);
        let layout = NewModel::new(layout);
        state.insert("layout".to_owned(), json!(layout.reference()));
        openings.push(layout);
        if !kind.style.is_empty() {
            let mut style = names(CONTROLS, "2.0.0", kind.style, "Style");
            style.insert("_view_module".to_owned(), json!(BASE));
            let style = NewModel::new(with(style, self.style));
            state.insert("style".to_owned(), json!(style.reference()));
            openings.push(style);
        }
        let mut widget = NewModel::new(with(state, self.state));
        widget.bytes = self.bytes;
        openings.push(widget);
        ModelHandle::open(openings)
    }
}

fn names(module: &str, version: &str, name: &str, view: &str) -> Map<String, Value> {
    super::model::object(json!({
        "_model_module": module,
        "_model_module_version": version,
        "_model_name": format!("{name}Model"),
        "_view_module": module,
        "_view_module_version": version,
        "_view_name": format!("{view}View"),
    }))
}

fn with(mut names: Map<String, Value>, rest: Map<String, Value>) -> Map<String, Value> {
    names.extend(rest);
    names
}
