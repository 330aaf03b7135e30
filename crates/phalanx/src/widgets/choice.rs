//! Choices: a button, a box to tick, one of several.

use super::build::{Builder, WidgetKind};
use super::{described, widget};
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
    /// A box to tick.
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
    /// A choice of one of several texts.
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
    /// A choice of one of several texts, all of them visible.
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
    /// A choice of one of several texts in a list.
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
    /// A choice of one of several texts, each a button.
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
    /// A choice of any number of several texts in a list.
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
    /// A button with this text.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// A builder; without text by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "button_style": "", "description": "", "disabled": false, "icon": "", "tooltip": null,
        }))
    }

    /// Calls back whenever a user clicks.
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
    /// The colour by its meaning: `"primary"`, `"success"`, `"info"`, `"warning"`, `"danger"`.
    pub fn button_style(self, style: &str) -> Self {
        self.state("button_style", style)
    }

    /// A symbol by its name in Font Awesome: `"play"`, `"check"`, …
    pub fn icon(self, icon: &str) -> Self {
        self.state("icon", icon)
    }
}

impl Checkbox {
    /// An unticked box with this text beside it.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// A builder; unticked by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "description": "", "description_allow_html": false, "disabled": false, "indent": true,
            "value": false,
        }))
    }

    /// Returns true if it is ticked in the frontends.
    pub fn value(&self) -> bool {
        ticked(&self.0.get("value"))
    }

    /// Ticks or unticks it.
    pub fn set_value(&self, value: bool) {
        self.0.set("value", value.into());
    }

    /// Calls back whenever a user changes it.
    pub fn observe(&self, mut callback: impl FnMut(bool) + Send + 'static) {
        let callback = move |value: &Value| callback(ticked(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<Checkbox> {
    /// Sets whether it is ticked initially.
    pub fn value(self, value: bool) -> Self {
        self.state("value", value)
    }
}

/// Defines the methods of choices of one text; further values are those only some have.
macro_rules! one_of {
    ($name:ident $(, $key:literal: $value:tt)*) => {
        impl $name {
            /// A choice of these options, the first selected.
            pub fn new<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Self {
                Self::builder().options(options).build()
            }

            /// A builder; without options by default.
            pub fn builder() -> Builder<Self> {
                Builder::of(json!({
                    "_options_labels": [], "description": "", "description_allow_html": false,
                    "disabled": false, "index": null, $($key: $value,)*
                }))
            }

            /// The selected option, as in the frontends; empty if there is none.
            pub fn value(&self) -> String {
                let mut state = self.0.state();
                let index = state.get("index").and_then(Value::as_u64);
                let options = labels(state.remove("_options_labels"));
                let chosen = index.and_then(|index| options.into_iter().nth(index as usize));
                chosen.unwrap_or_default()
            }

            /// The index of the selected option.
            pub fn index(&self) -> Option<usize> {
                self.0.get("index").as_u64().map(|index| index as usize)
            }

            /// The options.
            pub fn options(&self) -> Vec<String> {
                labels(Some(self.0.get("_options_labels")))
            }

            /// Selects an option; none is selected if there is none of that name.
            pub fn set_value(&self, option: &str) {
                let index = self.options().iter().position(|known| known == option);
                self.0.set("index", json!(index));
            }

            /// Calls back with the option whenever a user selects one.
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
            /// Sets the options and selects the first.
            pub fn options<S: AsRef<str>>(
                mut self,
                options: impl IntoIterator<Item = S>,
            ) -> Self {
                let labels = texts(options);
                let first = (!labels.is_empty()).then_some(0);
                self.parts.set("_options_labels", Value::Array(labels));
                self.state("index", json!(first))
            }

            /// Sets the initial option; call it after [`options`](Self::options).
            pub fn value(self, option: &str) -> Self {
                let labels = labels(self.parts.state.get("_options_labels").cloned());
                let index = labels.iter().position(|known| known == option);
                self.state("index", json!(index))
            }
        }
    };
}

one_of!(Dropdown);
one_of!(RadioButtons, "orientation": "vertical");
one_of!(Select, "rows": 5);
one_of!(ToggleButtons, "button_style": "", "icons": [], "tooltips": []);

impl SelectMultiple {
    /// A choice of these options, none selected.
    pub fn new<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Self {
        Self::builder().options(options).build()
    }

    /// A builder; without options by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "_options_labels": [], "description": "", "description_allow_html": false,
            "disabled": false, "index": [], "rows": 5,
        }))
    }

    /// The options.
    pub fn options(&self) -> Vec<String> {
        labels(Some(self.0.get("_options_labels")))
    }

    /// The selected options, as in the frontends.
    pub fn value(&self) -> Vec<String> {
        chosen(&self.0.get("index"), self.options())
    }

    /// Selects options; those that are not there are left out.
    pub fn set_value<S: AsRef<str>>(&self, options: impl IntoIterator<Item = S>) {
        self.0.set("index", indices(options, &self.options()));
    }

    /// Calls back with the selected options whenever a user changes them.
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

    /// Selects options initially; call it after [`options`](Self::options).
    pub fn value<S: AsRef<str>>(self, options: impl IntoIterator<Item = S>) -> Self {
        let labels = labels(self.parts.state.get("_options_labels").cloned());
        let index = indices(options, &labels);
        self.state("index", index)
    }

    /// Sets the number of options that are visible at once.
    pub fn rows(self, rows: usize) -> Self {
        self.state("rows", rows)
    }
}

fn texts<S: AsRef<str>>(options: impl IntoIterator<Item = S>) -> Vec<Value> {
    options.into_iter().map(|o| o.as_ref().into()).collect()
}

/// The indices of options among all there are.
fn indices<S: AsRef<str>>(options: impl IntoIterator<Item = S>, all: &[String]) -> Value {
    let options = options.into_iter();
    let known = options.filter_map(|one| all.iter().position(|known| known == one.as_ref()));
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
