//! Text: labels and input fields.

use super::build::{Builder, WidgetKind};
use super::{described, widget};
use serde_json::{Value, json};

widget! {
    /// A block of HTML.
    ///
    /// ```no_run
    /// use phalanx::widgets::HTML;
    /// let label = HTML::new("<b>starting</b>");
    /// label.display();
    /// label.set_value("<b>done</b>");
    /// ```
    HTML, WidgetKind::control("HTML", "HTMLStyle")
}

widget! {
    /// A text field of one line.
    ///
    /// ```no_run
    /// use phalanx::widgets::Text;
    /// let name = Text::builder().description("name").placeholder("Ada").build();
    /// name.observe(|name| println!("hello, {name}"));
    /// name.display();
    /// ```
    Text, WidgetKind::control("Text", "TextStyle")
}

widget! {
    /// A text field of several lines.
    ///
    /// ```no_run
    /// use phalanx::widgets::Textarea;
    /// let note = Textarea::builder().description("note").rows(4).build();
    /// note.set_value("first line\nsecond line");
    /// note.display();
    /// ```
    Textarea, WidgetKind::control("Textarea", "TextStyle")
}

widget! {
    /// A line of text; `$…$` is LaTeX.
    ///
    /// ```no_run
    /// use phalanx::widgets::{HBox, IntSlider, Label};
    /// HBox::new((&Label::new(r"$\sqrt{n}$"), &IntSlider::new(0..=9))).display();
    /// ```
    Label, WidgetKind::control("Label", "LabelStyle")
}

widget! {
    /// A block of HTML in which `$…$` is LaTeX.
    ///
    /// ```no_run
    /// use phalanx::widgets::HTMLMath;
    /// HTMLMath::new(r"<b>Energy</b>: $E = mc^2$").display();
    /// ```
    HTMLMath, WidgetKind::control("HTMLMath", "HTMLMathStyle")
}

described!(HTML, Text, Textarea, Label, HTMLMath);

/// Defines the methods of widgets that show a text.
macro_rules! shown {
    ($($name:ident),+) => {
        $(impl $name {
            /// Creates a widget that shows this text.
            pub fn new(text: &str) -> Self {
                Self::builder().value(text).build()
            }

            /// Returns a builder; empty by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({
                    "description": "", "description_allow_html": false,
                    "placeholder": "\u{200b}", "value": "",
                }))
            }

            /// Returns the text.
            pub fn value(&self) -> String {
                text(&self.0.get("value"))
            }

            /// Changes the text.
            pub fn set_value(&self, text: &str) {
                self.0.set("value", text.into());
            }
        }

        impl Builder<$name> {
            /// Sets the text.
            pub fn value(self, text: &str) -> Self {
                self.state("value", text)
            }
        })+
    };
}

shown!(HTML, Label, HTMLMath);

/// Defines the methods of input fields; the extra values are those of individual types.
macro_rules! field {
    ($name:ident $(, $key:literal: $value:tt)?) => {
        impl $name {
            /// Creates an empty field with this text beside it.
            pub fn new(description: &str) -> Self {
                Self::builder().description(description).build()
            }

            /// Returns a builder; empty by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({
                    "continuous_update": true, "description": "", "description_allow_html": false,
                    "disabled": false, "placeholder": "\u{200b}", "value": "",
                    $($key: $value,)?
                }))
            }

            /// Returns the text shown in the frontends.
            pub fn value(&self) -> String {
                text(&self.0.get("value"))
            }

            /// Changes the text.
            pub fn set_value(&self, value: &str) {
                self.0.set("value", value.into());
            }

            /// Registers a callback for changes of the text by users.
            pub fn observe(&self, mut callback: impl FnMut(String) + Send + 'static) {
                let callback = move |value: &Value| callback(text(value));
                self.0.on_change("value", Box::new(callback));
            }
        }

        impl Builder<$name> {
            /// Sets the initial text.
            pub fn value(self, value: &str) -> Self {
                self.state("value", value)
            }

            /// Sets the text shown while the field is empty.
            pub fn placeholder(self, text: &str) -> Self {
                self.state("placeholder", text)
            }

            /// Sets whether the text changes with every key, or when the field loses focus or Enter
            /// is pressed.
            pub fn continuous_update(self, continuous: bool) -> Self {
                self.state("continuous_update", continuous)
            }
        }
    };
}

field!(Text);
field!(Textarea, "rows": null);

impl Builder<Textarea> {
    /// Sets the number of visible lines.
    pub fn rows(self, rows: usize) -> Self {
        self.state("rows", rows)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
