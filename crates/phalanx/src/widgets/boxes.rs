//! Boxes: widgets beside or above each other.

use super::build::{Builder, Kind};
use super::model::Model;
use super::widget;
use serde_json::{Value, json};

widget! {
    /// Widgets side by side.
    ///
    /// ```no_run
    /// use phalanx::widgets::{Button, HBox};
    /// HBox::new((&Button::new("yes"), &Button::new("no"))).display();
    /// ```
    HBox, Kind::control("HBox", "")
}

widget! {
    /// Widgets stacked vertically.
    ///
    /// ```no_run
    /// use phalanx::widgets::{HTML, IntSlider, VBox};
    /// VBox::new((&HTML::new("<b>n</b>"), &IntSlider::new(0..=9))).display();
    /// ```
    VBox, Kind::control("VBox", "")
}

/// A widget of any type, for lists of several.
///
/// ```no_run
/// use phalanx::widgets::{AnyWidget, Button, Text, VBox};
/// let all: Vec<AnyWidget> = vec![Text::new("name").into(), Button::new("send").into()];
/// VBox::new(all).display();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyWidget(Model);

impl AnyWidget {
    pub(super) fn of(model: &Model) -> Self {
        Self(model.clone())
    }
}

/// The contents of a box: a tuple of widgets, or a list of widgets of one type (which [`AnyWidget`]
/// is, too).
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
    ($($name:ident),+) => {
        $(impl $name {
            /// A box with these widgets.
            pub fn new(children: impl Children) -> Self {
                Self::builder().children(children).build()
            }

            /// A builder; empty by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({"box_style": "", "children": []}))
            }

            /// Replaces the contents.
            pub fn set_children(&self, children: impl Children) {
                self.0.set("children", references(children.into_children()));
            }
        }

        impl Builder<$name> {
            /// Sets its contents.
            pub fn children(self, children: impl Children) -> Self {
                self.state("children", references(children.into_children()))
            }

            /// The colour by its meaning: `"success"`, `"info"`, `"warning"`, `"danger"`.
            pub fn box_style(self, style: &str) -> Self {
                self.state("box_style", style)
            }
        })+
    };
}

boxes!(HBox, VBox);

fn references(children: Vec<AnyWidget>) -> Value {
    let references = children.iter().map(|child| child.0.reference().into());
    Value::Array(references.collect())
}
