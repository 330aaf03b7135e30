//! Boxes: containers of other widgets.

use super::build::{Builder, WidgetKind};
use super::model::ModelHandle;
use super::widget;
use serde_json::{Value, json};

widget! {
    /// Widgets side by side.
    ///
    /// ```no_run
    /// use phalanx::widgets::{Button, HBox};
    /// HBox::new((&Button::new("yes"), &Button::new("no"))).display();
    /// ```
    HBox, WidgetKind::control("HBox", "")
}

widget! {
    /// Widgets stacked vertically.
    ///
    /// ```no_run
    /// use phalanx::widgets::{HTML, IntSlider, VBox};
    /// VBox::new((&HTML::new("<b>n</b>"), &IntSlider::new(0..=9))).display();
    /// ```
    VBox, WidgetKind::control("VBox", "")
}

widget! {
    /// Widgets in a grid, described by its layout.
    ///
    /// ```no_run
    /// use phalanx::widgets::{Button, GridBox};
    /// let buttons: Vec<Button> = (1..=4).map(|n| Button::new(&n.to_string())).collect();
    /// GridBox::builder().children(buttons).layout("grid_template_columns", "repeat(2, 6em)").build().display();
    /// ```
    GridBox, WidgetKind::control("GridBox", "")
}

widget! {
    /// Widgets of which one is shown, selected by its tab.
    ///
    /// ```no_run
    /// use phalanx::widgets::{HTML, Tab, Text};
    /// let tab = Tab::builder().children((&HTML::new("<b>plot</b>"), &Text::new("file"))).titles(["Plot", "Data"]).build();
    /// tab.display();
    /// assert_eq!(tab.selected_index(), Some(0));
    /// ```
    Tab, WidgetKind::control("Tab", "")
}

widget! {
    /// Widgets of which one is expanded, below its title.
    ///
    /// ```no_run
    /// use phalanx::widgets::{Accordion, IntSlider, Text};
    /// Accordion::builder().children((&IntSlider::new(0..=9), &Text::new("name"))).titles(["Size", "Name"]).build().display();
    /// ```
    Accordion, WidgetKind::control("Accordion", "")
}

/// A widget of any type, for lists of different ones.
///
/// ```no_run
/// use phalanx::widgets::{AnyWidget, Button, Text, VBox};
/// let all: Vec<AnyWidget> = vec![Text::new("name").into(), Button::new("send").into()];
/// VBox::new(all).display();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyWidget(ModelHandle);

impl AnyWidget {
    pub(super) fn of(model: &ModelHandle) -> Self {
        Self(model.clone())
    }

    /// Returns the reference by which other models refer to it.
    pub(super) fn reference(&self) -> String {
        self.0.reference()
    }
}

/// The contents of a box: a tuple of widgets, or a list of widgets of one type (such as
/// [`AnyWidget`]).
///
/// ```no_run
/// use phalanx::widgets::{Button, HBox, IntSlider};
/// let row = HBox::new([Button::new("a"), Button::new("b")]);
/// row.set_children((&IntSlider::new(0..=9), &Button::new("c")));
/// row.display();
/// ```
pub trait Children {
    #[doc(hidden)]
    fn into_children(self) -> Vec<AnyWidget>;
}

impl<W: Into<AnyWidget>> Children for Vec<W> {
    fn into_children(self) -> Vec<AnyWidget> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<W: Into<AnyWidget>, const N: usize> Children for [W; N] {
    fn into_children(self) -> Vec<AnyWidget> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($first:ident $($rest:ident)*) => {
        impl<$first: Into<AnyWidget>, $($rest: Into<AnyWidget>),*> Children for ($first, $($rest,)*) {
            #[expect(non_snake_case, reason = "types and values have the same names")]
            fn into_children(self) -> Vec<AnyWidget> {
                let ($first, $($rest,)*) = self;
                vec![$first.into(), $($rest.into()),*]
            }
        }

        tuples!($($rest)*);
    };
    () => {};
}

tuples!(A B C D E F G H I J);

macro_rules! boxes {
    ($($name:ident $(, $key:literal: $value:tt)*);+ $(;)?) => {
        $(impl $name {
            /// Creates a box with these widgets.
            pub fn new(children: impl Children) -> Self {
                Self::builder().children(children).build()
            }

            /// Returns a builder; empty by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({"box_style": "", "children": [], $($key: $value,)*}))
            }

            /// Replaces the contents.
            pub fn set_children(&self, children: impl Children) {
                self.0.set("children", references(children.into_children()));
            }
        }

        impl Builder<$name> {
            /// Sets the contents.
            pub fn children(self, children: impl Children) -> Self {
                self.state("children", references(children.into_children()))
            }

            /// Sets the colour by its meaning: `"success"`, `"info"`, `"warning"`, `"danger"`.
            pub fn box_style(self, style: &str) -> Self {
                self.state("box_style", style)
            }
        })+
    };
}

boxes!(
    HBox;
    VBox;
    GridBox;
    Tab, "selected_index": 0, "titles": [];
    Accordion, "selected_index": null, "titles": [];
);

/// Defines the methods of boxes that show one of their widgets at a time.
macro_rules! pages {
    ($($name:ident),+) => {
        $(impl $name {
            /// Returns the index of the widget that is currently shown in the frontends.
            pub fn selected_index(&self) -> Option<usize> {
                self.0.get("selected_index").as_u64().map(|index| index as usize)
            }

            /// Shows another widget, or none.
            pub fn set_selected_index(&self, index: Option<usize>) {
                self.0.set("selected_index", json!(index));
            }

            /// Changes the titles.
            pub fn set_titles<S: AsRef<str>>(&self, titles: impl IntoIterator<Item = S>) {
                self.0.set("titles", texts(titles));
            }

            /// Registers a callback for users' selections of another widget, with its index.
            pub fn observe(&self, mut callback: impl FnMut(Option<usize>) + Send + 'static) {
                let callback = move |index: &Value| {
                    callback(index.as_u64().map(|index| index as usize));
                };
                self.0.on_change("selected_index", Box::new(callback));
            }
        }

        impl Builder<$name> {
            /// Sets the titles of the widgets, in order.
            pub fn titles<S: AsRef<str>>(self, titles: impl IntoIterator<Item = S>) -> Self {
                self.state("titles", texts(titles))
            }

            /// Sets the index of the widget that is shown initially.
            pub fn selected_index(self, index: Option<usize>) -> Self {
                self.state("selected_index", json!(index))
            }
        })+
    };
}

pages!(Tab, Accordion);

fn texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Value {
    texts
        .into_iter()
        .map(|text| text.as_ref().to_owned())
        .collect()
}

fn references(children: Vec<AnyWidget>) -> Value {
    let references = children.iter().map(|child| child.0.reference().into());
    Value::Array(references.collect())
}
