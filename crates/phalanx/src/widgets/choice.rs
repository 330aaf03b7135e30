//! Buttons, checkboxes and selections.

use super::build::{Builder, WidgetKind};
use super::{bounds, described, widget};
use serde_json::{Value, json};

widget! {
    /// A button.
    ///
    /// ```no_run
    /// use phalanx::widgets::Button;
    /// let button = Button::builder().description("go").button_style("primary").icon("play").build();
    /// button.on_click(|button| button.set_disabled(true));
    /// button.display();
    /// ```
    Button, WidgetKind::control("Button", "ButtonStyle")
}

widget! {
    /// A checkbox.
    ///
    /// ```no_run
    /// use phalanx::widgets::Checkbox;
    /// let log = Checkbox::new("logarithmic");
    /// log.observe(|on| println!("logarithmic: {on}"));
    /// log.display();
    /// assert!(!log.value());
    /// ```
    Checkbox, WidgetKind::control("Checkbox", "CheckboxStyle")
}

widget! {
    /// A selection of one of several texts, from a drop-down list.
    ///
    /// ```no_run
    /// use phalanx::widgets::Dropdown;
    /// let method = Dropdown::new(["Euler", "Runge-Kutta"]);
    /// method.set_value("Runge-Kutta");
    /// assert_eq!((method.index(), method.options().len()), (Some(1), 2));
    /// ```
    Dropdown, WidgetKind::control("Dropdown", "DescriptionStyle")
}

widget! {
    /// A selection of one of several texts, all of them visible.
    ///
    /// ```no_run
    /// use phalanx::widgets::RadioButtons;
    /// let size = RadioButtons::builder().options(["small", "large"]).description("size").build();
    /// size.observe(|size| println!("{size}"));
    /// size.display();
    /// assert_eq!(size.value(), "small");
    /// ```
    RadioButtons, WidgetKind::control("RadioButtons", "DescriptionStyle")
}

widget! {
    /// A selection of one of several texts, from a list.
    ///
    /// ```no_run
    /// use phalanx::widgets::Select;
    /// let file = Select::new(["a.csv", "b.csv"]);
    /// file.set_value("b.csv");
    /// file.display();
    /// ```
    Select, WidgetKind::control("Select", "DescriptionStyle")
}

widget! {
    /// A selection of one of several texts, each a button.
    ///
    /// ```no_run
    /// use phalanx::widgets::ToggleButtons;
    /// let speed = ToggleButtons::new(["slow", "fast"]);
    /// speed.display();
    /// assert_eq!(speed.index(), Some(0));
    /// ```
    ToggleButtons, WidgetKind::control("ToggleButtons", "ToggleButtonsStyle")
}

widget! {
    /// A selection of any number of several texts, from a list.
    ///
    /// ```no_run
    /// use phalanx::widgets::SelectMultiple;
    /// let columns = SelectMultiple::new(["name", "people", "area"]);
    /// columns.set_value(["name", "area"]);
    /// columns.observe(|columns| println!("{}", columns.join(", ")));
    /// columns.display();
    /// assert_eq!(columns.value(), ["name", "area"]);
    /// ```
    SelectMultiple, WidgetKind::control("SelectMultiple", "DescriptionStyle")
}

described!(
    Button,
    Checkbox,
    Dropdown,
    RadioButtons,
    Select,
    ToggleButtons,
    SelectMultiple
);

impl Button {
    /// Creates a button with this text.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// Returns a builder; without text by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "button_style": "", "description": "", "disabled": false, "icon": "", "tooltip": null,
        }))
    }

    /// Registers a callback for clicks.
    pub fn on_click(&self, mut callback: impl FnMut(&Button) + Send + 'static) {
        let button = self.clone();
        self.0.on_message(Box::new(move |message| {
            let content = message.data.get("content");
            let event = content.and_then(|content| content.get("event"));
            if event.and_then(Value::as_str) == Some("click") {
                callback(&button);
            }
        }));
    }
}

impl Builder<Button> {
    /// Sets the colour by its meaning: `"primary"`, `"success"`, `"info"`, `"warning"`, `"danger"`.
    pub fn button_style(self, style: &str) -> Self {
        self.state("button_style", style)
    }

    /// Sets the icon by its Font Awesome name: `"play"`, `"check"`, …
    pub fn icon(self, icon: &str) -> Self {
        self.state("icon", icon)
    }
}

impl Checkbox {
    /// Creates an unchecked box with this text beside it.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// Returns a builder; unchecked by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "description": "", "description_allow_html": false, "disabled": false, "indent": true,
            "value": false,
        }))
    }

    /// Returns true if the box is checked in the frontends.
    pub fn value(&self) -> bool {
        ticked(&self.0.get("value"))
    }

    /// Checks or unchecks the box.
    pub fn set_value(&self, value: bool) {
        self.0.set("value", value.into());
    }

    /// Registers a callback for changes by users.
    pub fn observe(&self, mut callback: impl FnMut(bool) + Send + 'static) {
        let callback = move |value: &Value| callback(ticked(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<Checkbox> {
    /// Sets whether the box is checked initially.
    pub fn value(self, value: bool) -> Self {
        self.state("value", value)
    }
}

/// Defines the methods of selections of one text; the extra values are those of individual types.
macro_rules! one_of {
    ($name:ident $(, $key:literal: $value:tt)*) => {
        impl $name {
            /// Creates a selection of these options, with the first one selected.
            pub fn new<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Self {
                Self::builder().options(options).build()
            }

            /// Returns a builder; without options by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({
                    "_options_labels": [], "description": "", "description_allow_html": false,
                    "disabled": false, "index": null, $($key: $value,)*
                }))
            }

            /// Returns the option that is selected in the frontends; empty if there is none.
            pub fn value(&self) -> String {
                let mut state = self.0.state();
                let index = state.get("index").and_then(Value::as_u64);
                let options = labels(state.remove("_options_labels"));
                let chosen = index.and_then(|index| options.into_iter().nth(index as usize));
                chosen.unwrap_or_default()
            }

            /// Returns the index of the selected option.
            pub fn index(&self) -> Option<usize> {
                self.0.get("index").as_u64().map(|index| index as usize)
            }

            /// Returns the options.
            pub fn options(&self) -> Vec<String> {
                labels(Some(self.0.get("_options_labels")))
            }

            /// Selects an option; one that does not exist is reported on stderr, and changes
            /// nothing.
            pub fn set_value(&self, option: &str) {
                if let Some(index) = bounds::index(option, &self.options()) {
                    self.0.set("index", json!(index));
                }
            }

            /// Registers a callback for selections by users, with the option.
            pub fn observe(&self, mut callback: impl FnMut(String) + Send + 'static) {
                let choice = self.clone();
                let callback = move |index: &Value| {
                    let index = index.as_u64().map(|index| index as usize);
                    let chosen = index.and_then(|index| choice.options().into_iter().nth(index));
                    callback(chosen.unwrap_or_default());
                };
                self.0.on_change("index", Box::new(callback));
            }
        }

        impl Builder<$name> {
            /// Sets the options, and selects the first one.
            pub fn options<S: AsRef<str>>(
                mut self,
                options: impl IntoIterator<Item = S>,
            ) -> Self {
                let labels = texts(options);
                let first = (!labels.is_empty()).then_some(0);
                self.parts.set("_options_labels", Value::Array(labels));
                self.state("index", json!(first))
            }

            /// Sets the option selected initially; call it after [`options`](Self::options). One
            /// that does not exist is reported on stderr, and changes nothing.
            pub fn value(self, option: &str) -> Self {
                let labels = labels(self.parts.state.get("_options_labels").cloned());
                match bounds::index(option, &labels) {
                    Some(index) => self.state("index", json!(index)),
                    None => self,
                }
            }
        }
    };
}

one_of!(Dropdown);
one_of!(RadioButtons, "orientation": "vertical");
one_of!(Select, "rows": 5);
one_of!(ToggleButtons, "button_style": "", "icons": [], "tooltips": []);

impl SelectMultiple {
    /// Creates a selection of these options, with none selected.
    pub fn new<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Self {
        Self::builder().options(options).build()
    }

    /// Returns a builder; without options by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "_options_labels": [], "description": "", "description_allow_html": false,
            "disabled": false, "index": [], "rows": 5,
        }))
    }

    /// Returns the options.
    pub fn options(&self) -> Vec<String> {
        labels(Some(self.0.get("_options_labels")))
    }

    /// Returns the options that are selected in the frontends.
    pub fn value(&self) -> Vec<String> {
        chosen(&self.0.get("index"), self.options())
    }

    /// Selects options; those that do not exist are reported on stderr, and ignored.
    pub fn set_value<S: AsRef<str>>(&self, options: impl IntoIterator<Item = S>) {
        self.0.set("index", indices(options, &self.options()));
    }

    /// Registers a callback for selections by users, with the selected options.
    pub fn observe(&self, mut callback: impl FnMut(Vec<String>) + Send + 'static) {
        let choice = self.clone();
        let callback = move |index: &Value| callback(chosen(index, choice.options()));
        self.0.on_change("index", Box::new(callback));
    }
}

impl Builder<SelectMultiple> {
    /// Sets the options.
    pub fn options<S: AsRef<str>>(self, options: impl IntoIterator<Item = S>) -> Self {
        self.state("_options_labels", Value::Array(texts(options)))
    }

    /// Sets the options selected initially; call it after [`options`](Self::options).
    pub fn value<S: AsRef<str>>(self, options: impl IntoIterator<Item = S>) -> Self {
        let labels = labels(self.parts.state.get("_options_labels").cloned());
        let index = indices(options, &labels);
        self.state("index", index)
    }

    /// Sets the number of options visible at once.
    pub fn rows(self, rows: usize) -> Self {
        self.state("rows", rows)
    }
}

fn texts<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Vec<Value> {
    options.into_iter().map(|o| o.as_ref().into()).collect()
}

/// Returns the indices of some options among all.
fn indices<S: AsRef<str>>(options: impl IntoIterator<Item = S>, all: &[String]) -> Value {
    let options = options.into_iter();
    let known = options.filter_map(|one| bounds::index(one.as_ref(), all));
    json!(known.collect::<Vec<_>>())
}

fn chosen(index: &Value, options: Vec<String>) -> Vec<String> {
    let indices = index.as_array().into_iter().flatten();
    let indices = indices.filter_map(Value::as_u64);
    let chosen = indices.filter_map(|index| options.get(index as usize).cloned());
    chosen.collect()
}

fn ticked(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn labels(labels: Option<Value>) -> Vec<String> {
    match labels {
        Some(Value::Array(labels)) => labels
            .into_iter()
            .filter_map(|label| label.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
