//! Text: shown, and typed.

use super::build::{Builder, Kind};
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
    HTML, Kind::control("HTML", "HTMLStyle")
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
    Text, Kind::control("Text", "TextStyle")
}

described!(HTML, Text);

impl HTML {
    /// A block that shows this HTML.
    pub fn new(html: &str) -> Self {
        Self::builder().value(html).build()
    }

    /// A builder; empty by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "description": "", "description_allow_html": false, "placeholder": "\u{200b}",
            "value": "",
        }))
    }

    /// The HTML.
    pub fn value(&self) -> String {
        text(&self.0.get("value"))
    }

    /// Changes the HTML.
    pub fn set_value(&self, html: &str) {
        self.0.set("value", html.into());
    }
}

impl Builder<HTML> {
    /// The HTML.
    pub fn value(self, html: &str) -> Self {
        self.state("value", html)
    }
}

impl Text {
    /// An empty field with this text beside it.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// A builder; empty by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "continuous_update": true, "description": "", "description_allow_html": false,
            "disabled": false, "placeholder": "\u{200b}", "value": "",
        }))
    }

    /// The text, as in the frontends.
    pub fn value(&self) -> String {
        text(&self.0.get("value"))
    }

    /// Changes the text.
    pub fn set_value(&self, value: &str) {
        self.0.set("value", value.into());
    }

    /// Calls back with the new text whenever a user changes it.
    pub fn observe(&self, mut callback: impl FnMut(String) + Send + 'static) {
        let callback = move |value: &Value| callback(text(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<Text> {
    /// Sets the initial text.
    pub fn value(self, value: &str) -> Self {
        self.state("value", value)
    }

    /// Sets the text shown while the field is empty.
    pub fn placeholder(self, text: &str) -> Self {
        self.state("placeholder", text)
    }

    /// Sets whether the text changes with every key, or when the field is left or Enter is pressed.
    pub fn continuous_update(self, continuous: bool) -> Self {
        self.state("continuous_update", continuous)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
