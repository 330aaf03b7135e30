//! Colours, dates and images.

use super::build::{Builder, WidgetKind};
use super::{described, widget};
use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};

widget! {
    /// A colour picker; colours are in CSS notation.
    ///
    /// ```no_run
    /// use phalanx::widgets::ColorPicker;
    /// let colour = ColorPicker::builder().description("line").value("teal").build();
    /// colour.observe(|colour| println!("{colour}"));
    /// colour.display();
    /// assert_eq!(colour.value(), "teal");
    /// ```
    ColorPicker, WidgetKind::control("ColorPicker", "DescriptionStyle")
}

widget! {
    /// A date picker.
    ///
    /// ```no_run
    /// use phalanx::chrono::NaiveDate;
    /// use phalanx::widgets::DatePicker;
    /// let day = DatePicker::new("day");
    /// day.set_value(NaiveDate::from_ymd_opt(2026, 11, 29));
    /// day.observe(|day| println!("{day:?}"));
    /// day.display();
    /// ```
    DatePicker, WidgetKind::control("DatePicker", "DescriptionStyle")
}

widget! {
    /// An image, given as the bytes of its file.
    ///
    /// ```no_run
    /// use phalanx::widgets::Image;
    /// let dot = b"GIF89a\x01\0\x01\0\x80\0\0\0\x80\x80\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    /// let image = Image::builder().format("gif").value(dot).width("20").build();
    /// image.display();
    /// image.set_value(dot);
    /// ```
    Image, WidgetKind::control("Image", "")
}

described!(ColorPicker, DatePicker);

impl ColorPicker {
    /// Creates a picker with this text beside it; black by default.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// Returns a builder; black by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "concise": false, "description": "", "description_allow_html": false,
            "disabled": false, "value": "black",
        }))
    }

    /// Returns the colour shown in the frontends.
    pub fn value(&self) -> String {
        text(&self.0.get("value"))
    }

    /// Changes the colour.
    pub fn set_value(&self, colour: &str) {
        self.0.set("value", colour.into());
    }

    /// Registers a callback for colours picked by users.
    pub fn observe(&self, mut callback: impl FnMut(String) + Send + 'static) {
        let callback = move |value: &Value| callback(text(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<ColorPicker> {
    /// Sets the initial colour: `"teal"`, `"#008080"`.
    pub fn value(self, colour: &str) -> Self {
        self.state("value", colour)
    }

    /// Sets whether only the colour is shown, without its name.
    pub fn concise(self, concise: bool) -> Self {
        self.state("concise", concise)
    }
}

impl DatePicker {
    /// Creates an empty picker with this text beside it.
    pub fn new(description: &str) -> Self {
        Self::builder().description(description).build()
    }

    /// Returns a builder; empty by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({
            "description": "", "description_allow_html": false, "disabled": false, "max": null,
            "min": null, "step": 1, "value": null,
        }))
    }

    /// Returns the date shown in the frontends; `None` if the field is empty.
    pub fn value(&self) -> Option<NaiveDate> {
        date(&self.0.get("value"))
    }

    /// Changes the date.
    pub fn set_value(&self, date: Option<NaiveDate>) {
        self.0.set("value", parts(date));
    }

    /// Registers a callback for changes of the date by users.
    pub fn observe(&self, mut callback: impl FnMut(Option<NaiveDate>) + Send + 'static) {
        let callback = move |value: &Value| callback(date(value));
        self.0.on_change("value", Box::new(callback));
    }
}

impl Builder<DatePicker> {
    /// Sets the initial date.
    pub fn value(self, date: NaiveDate) -> Self {
        self.state("value", parts(Some(date)))
    }

    /// Sets the earliest date that can be picked.
    pub fn min(self, date: NaiveDate) -> Self {
        self.state("min", parts(Some(date)))
    }

    /// Sets the latest date that can be picked.
    pub fn max(self, date: NaiveDate) -> Self {
        self.state("max", parts(Some(date)))
    }
}

impl Image {
    /// Creates an image of this format: `"png"`, `"jpeg"`, `"gif"`, `"svg+xml"`.
    pub fn new(format: &str, bytes: &[u8]) -> Self {
        Self::builder().format(format).value(bytes).build()
    }

    /// Returns a builder; an empty PNG by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({"format": "png", "height": "", "width": ""}))
    }

    /// Shows another image of the same format.
    pub fn set_value(&self, bytes: &[u8]) {
        self.0.set_bytes("value", bytes);
    }
}

impl Builder<Image> {
    /// Sets the format: `"png"`, `"jpeg"`, `"gif"`, `"svg+xml"`.
    pub fn format(self, format: &str) -> Self {
        self.state("format", format)
    }

    /// Sets the image, given as the bytes of its file.
    pub fn value(mut self, bytes: &[u8]) -> Self {
        self.parts.set_bytes("value", bytes);
        self
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Converts a date into ipywidgets' format, in which months count from 0.
fn parts(date: Option<NaiveDate>) -> Value {
    date.map_or(
        Value::Null,
        |date| json!({"year": date.year(), "month": date.month0(), "date": date.day()}),
    )
}

fn date(value: &Value) -> Option<NaiveDate> {
    let part = |key: &str| value.get(key)?.as_i64();
    let year = i32::try_from(part("year")?).ok()?;
    let month = u32::try_from(part("month")? + 1).ok()?;
    NaiveDate::from_ymd_opt(year, month, u32::try_from(part("date")?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_sent_in_parts() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31);
        assert_eq!(parts(day), json!({"year": 2026, "month": 0, "date": 31}));
        assert_eq!(date(&parts(day)), day);
        assert_eq!(date(&Value::Null), None);
        assert_eq!(date(&json!({"year": 2026, "month": 1, "date": 30})), None);
    }
}
