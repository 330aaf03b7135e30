//! Widgets: interactive controls in the notebook, as Rust values.
//!
//! ```no_run
//! use phalanx::widgets::{Button, IntSlider, VBox};
//! let slider = IntSlider::new(0..=100);
//! let button = Button::new("double");
//! let doubled = slider.clone();
//! button.on_click(move |_| doubled.set_value(doubled.value() * 2));
//! VBox::new((&slider, &button)).display();
//! ```
//!
//! A widget is a handle, cheap to clone: the kernel holds its state, so methods return what
//! frontends show, also while a cell runs and after a page is reloaded. It exists until
//! [`close`](IntSlider::close); dropping the handle does not close it. Callbacks run between cells,
//! or while a cell calls [`process_events`].
//!
//! On an engine a widget has no frontend: its static fallback is shown, and updated when the cell
//! or function changes it.
//!
//! The names are those of ipywidgets 8. Values without a method of their own are set by
//! [`Builder::state`], [`Builder::layout`] and [`Builder::style`].
//!
//! | file | contents |
//! |---|---|
//! | `number.rs` | [`IntSlider`], [`FloatSlider`], [`IntRangeSlider`], [`FloatRangeSlider`], [`IntProgress`], [`FloatProgress`], [`Play`] |
//! | `text.rs` | [`HTML`], [`HTMLMath`], [`Label`], [`Text`], [`Textarea`] |
//! | `choice.rs` | [`Button`], [`Checkbox`], [`Dropdown`], [`RadioButtons`], [`Select`], [`ToggleButtons`], [`SelectMultiple`] |
//! | `pickers.rs` | [`ColorPicker`], [`DatePicker`], [`Image`] |
//! | `boxes.rs` | [`HBox`], [`VBox`], [`GridBox`], [`Tab`], [`Accordion`] |
//! | `upload.rs` | [`FileUpload`] |
//! | `link.rs` | [`jslink`], [`jsdlink`]: values that frontends keep equal |
//! | `output.rs` | [`Output`] |
//! | `interact.rs` | [`interact()`]: controls for the parameters of a closure |
//! | `bounds.rs` | the limits of values |
//! | `build.rs` | construction of widgets |
//! | `model.rs` | the handle on a widget's model |
//! | `listeners.rs` | callbacks for the events of comms |
//! | `engine_widgets.rs` | widgets of an engine |

mod bounds;
mod boxes;
mod build;
mod choice;
mod engine_widgets;
mod interact;
mod link;
mod listeners;
mod model;
mod number;
mod output;
mod pickers;
mod text;
mod upload;

pub use boxes::{Accordion, AnyWidget, Children, GridBox, HBox, Tab, VBox};
pub use build::{Builder, Widget};
pub use choice::{Button, Checkbox, Dropdown, RadioButtons, Select, SelectMultiple, ToggleButtons};
pub(crate) use engine_widgets::settle;
pub use interact::{
    Control, Controls, Interactive, Parameter, Parameters, interact, interact_with,
};
pub use link::{Link, jsdlink, jslink};
pub use listeners::process_events;
pub use number::{
    FloatProgress, FloatRangeSlider, FloatSlider, IntProgress, IntRangeSlider, IntSlider, Play,
};
pub use output::Output;
pub use pickers::{ColorPicker, DatePicker, Image};
pub use text::{HTML, HTMLMath, Label, Text, Textarea};
pub use upload::{FileUpload, UploadedFile};

/// Declares a type of widget, with the methods that all widgets have.
macro_rules! widget {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(crate::widgets::model::ModelHandle);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Its state is the kernel's, and formatting asks nobody.
                f.write_str(stringify!($name))
            }
        }

        impl crate::widgets::Widget for $name {
            const KIND: crate::widgets::build::WidgetKind = $kind;

            fn from_model(model: crate::widgets::model::ModelHandle) -> Self {
                Self(model)
            }

        }

        impl From<&$name> for crate::widgets::AnyWidget {
            fn from(widget: &$name) -> Self {
                Self::of(&widget.0)
            }
        }

        impl From<$name> for crate::widgets::AnyWidget {
            fn from(widget: $name) -> Self {
                Self::of(&widget.0)
            }
        }

        impl $name {
            /// Shows the widget under the cell; may be called any number of times.
            pub fn display(&self) {
                self.0.display();
            }

            /// Removes the widget from all frontends. The handle keeps the last state.
            pub fn close(&self) {
                self.0.close();
            }

            /// Changes any value of the state, by its ipywidgets name.
            pub fn set_state(&self, key: &str, value: impl Into<serde_json::Value>) {
                self.0.set(key, value.into());
            }

            /// Changes a property of the layout: `width`, `visibility`, …
            pub fn set_layout(&self, property: &str, value: &str) {
                self.0.set_part("layout", property, value.into());
            }

            #[doc(hidden)]
            pub fn evcxr_display(&self) {
                self.0.display();
            }
        }
    };
}

/// Adds the methods of widgets with a description.
macro_rules! described {
    ($($name:ident),+) => {
        $(impl $name {
            /// Changes the text beside the widget.
            pub fn set_description(&self, text: &str) {
                self.0.set("description", text.into());
            }

            /// Changes whether users cannot change the widget.
            pub fn set_disabled(&self, disabled: bool) {
                self.0.set("disabled", disabled.into());
            }

            /// Changes a property of the style: `bar_color`, `handle_color`, …
            pub fn set_style(&self, property: &str, value: &str) {
                self.0.set_part("style", property, value.into());
            }
        })+
    };
}

use described;
use widget;

#[cfg(test)]
mod tests;
