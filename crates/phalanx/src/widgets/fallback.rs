//! The representation of widgets for frontends without widget support: consoles, GitHub, converted
//! notebooks.

use phalanx_protocol::look::{bar, escape};
use serde_json::{Map, Value};

/// The keys of the state that are shown, in this order.
const SHOWN_KEYS: [&str; 6] = ["value", "index", "min", "max", "description", "placeholder"];

/// Returns plain text and HTML, given the state and the representations of the children.
pub(super) fn of(state: &Map<String, Value>, children: Vec<(String, String)>) -> (String, String) {
    let name = text(state, "_model_name");
    let name = name.strip_suffix("Model").unwrap_or(name);
    let (plain, html): (Vec<_>, Vec<_>) = children.into_iter().unzip();
    match name {
        "HBox" => (plain.join(" "), boxed("row", &html.concat())),
        "VBox" | "GridBox" => {
            let rows = html.iter().map(|child| format!("<div>{child}</div>"));
            (plain.join("\n"), rows.collect())
        }
        "Tab" | "Accordion" => (plain.join("\n"), pages(state, &html)),
        "HTML" | "HTMLMath" => {
            let value = text(state, "value");
            (without_tags(value), value.to_owned())
        }
        "Label" => {
            let value = text(state, "value");
            (value.to_owned(), escape(value))
        }
        "Output" => (String::new(), String::new()),
        "IntProgress" | "FloatProgress" => progress(state),
        _ => {
            let plain = describe(name, state);
            let html = control(name, state);
            let html = html.unwrap_or_else(|| format!("<code>{}</code>", escape(&plain)));
            (plain, html)
        }
    }
}

fn boxed(direction: &str, html: &str) -> String {
    format!(
        "<div style=\"display:flex;flex-direction:{direction};align-items:center;gap:.6em\">{html}</div>"
    )
}

/// Renders pages under their titles, with the selected one open.
fn pages(state: &Map<String, Value>, html: &[String]) -> String {
    let titles = state.get("titles").and_then(Value::as_array);
    let title = |at: usize| titles.and_then(|titles| titles.get(at)?.as_str());
    let selected = state.get("selected_index").and_then(Value::as_u64);
    let page = |(at, page): (usize, &String)| {
        let open = match selected == Some(at as u64) {
            true => " open",
            false => "",
        };
        let title = escape(title(at).unwrap_or_default());
        format!("<details{open}><summary>{title}</summary>{page}</details>")
    };
    html.iter().enumerate().map(page).collect()
}

/// Renders a control as static HTML.
fn control(name: &str, state: &Map<String, Value>) -> Option<String> {
    let value = state.get("value").map(shown).unwrap_or_default();
    let input = |kind: &str, more: &str| format!("<input type=\"{kind}\"{more} disabled>");
    let of = |key: &str, value: &str| format!(" {key}=\"{}\"", escape(value));
    let part = |key: &str| of(key, &state.get(key).map(shown).unwrap_or_default());
    let field = match name {
        "IntSlider" | "FloatSlider" | "Play" => {
            let range = format!(
                "{}{}{}{}",
                part("min"),
                part("max"),
                part("step"),
                part("value")
            );
            format!("{} {}", input("range", &range), escape(&value))
        }
        "IntRangeSlider" | "FloatRangeSlider" => {
            let bounds = state.get("value").and_then(Value::as_array)?;
            let bounds: Vec<String> = bounds.iter().map(shown).collect();
            escape(&bounds.join(" – "))
        }
        "Checkbox" => {
            let ticked = if value == "true" { " checked" } else { "" };
            return Some(format!(
                "<label>{} {}</label>",
                input("checkbox", ticked),
                label(state)
            ));
        }
        "Text" | "DatePicker" => input("text", &(of("value", &value) + &part("placeholder"))),
        "ColorPicker" => format!(
            "<span style=\"background:{0};padding:0 .8em\"></span> {0}",
            escape(&value)
        ),
        "Textarea" => format!("<textarea disabled>{}</textarea>", escape(&value)),
        "Button" | "FileUpload" => {
            return Some(format!("<button disabled>{}</button>", label(state)));
        }
        "Dropdown" | "RadioButtons" | "Select" | "ToggleButtons" | "SelectMultiple" => {
            options(state)?
        }
        _ => return None,
    };
    let label = match label(state) {
        label if label.is_empty() => label,
        label => format!("{label}: "),
    };
    Some(format!("<label>{label}{field}</label>"))
}

fn label(state: &Map<String, Value>) -> String {
    escape(text(state, "description"))
}

/// Renders the options, with the selected ones marked.
fn options(state: &Map<String, Value>) -> Option<String> {
    let labels = state.get("_options_labels")?.as_array()?;
    let index = state.get("index")?;
    let is_chosen = |at: usize| match index {
        Value::Array(chosen) => chosen.contains(&at.into()),
        one => one.as_u64() == Some(at as u64),
    };
    let option = |(at, label): (usize, &Value)| {
        let label = escape(&shown(label));
        match is_chosen(at) {
            true => format!("<b>{label}</b>"),
            false => label,
        }
    };
    let options: Vec<String> = labels.iter().enumerate().map(option).collect();
    Some(options.join(" · "))
}

/// Formats a value for display: text without quotes, dates in ISO 8601.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(date) => {
            let part = |key| date.get(key).and_then(Value::as_u64).unwrap_or_default();
            format!(
                "{:04}-{:02}-{:02}",
                part("year"),
                part("month") + 1,
                part("date")
            )
        }
        other => other.to_string(),
    }
}

/// `IntSlider(value=3, min=0, max=10)`.
fn describe(name: &str, state: &Map<String, Value>) -> String {
    let known = SHOWN_KEYS
        .iter()
        .filter_map(|key| Some((key, state.get(*key)?)));
    let known = known.filter(|(_, value)| !value.is_null() && *value != "");
    let values: Vec<String> = known.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{name}({})", values.join(", "))
}

fn progress(state: &Map<String, Value>) -> (String, String) {
    let number = |key| state.get(key).and_then(Value::as_f64).unwrap_or_default();
    let (value, min, max) = (number("value"), number("min"), number("max"));
    let share = ((value - min) / (max - min)).clamp(0.0, 1.0);
    let label = text(state, "description");
    let counts = format!("{value}/{max}");
    let bundle = bar::drawn(label, bar::BarExtent::Share(share), &counts);
    let part = |mime: &str| bundle.0.get(mime).and_then(Value::as_str);
    let part = |mime| part(mime).unwrap_or_default().to_owned();
    (part("text/plain"), part("text/html"))
}

fn text<'a>(state: &'a Map<String, Value>, key: &str) -> &'a str {
    state.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn without_tags(html: &str) -> String {
    let mut inside = false;
    let outside = html.chars().filter(|c| {
        let was_inside = inside;
        inside = match c {
            '<' => true,
            '>' => false,
            _ => inside,
        };
        !was_inside && !inside
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::object;
    use serde_json::json;

    #[test]
    fn widgets_have_text_and_html_fallbacks() {
        let of = |state, children| super::of(&object(state), children);
        let slider = json!({"_model_name": "IntSliderModel", "value": 3, "min": 0, "max": 9,
                            "description": ""});
        let slider = of(slider, Vec::new());
        assert_eq!(slider.0, "IntSlider(value=3, min=0, max=9)");
        let bar = json!({"_model_name": "FloatProgressModel", "value": 5.0, "min": 0.0,
                         "max": 10.0, "description": "x"});
        let bar = of(bar, Vec::new());
        assert_eq!(bar.0, "x:  50%|██████████          | 5/10");
        assert!(bar.1.contains("width:50.0%"), "{}", bar.1);
        let html = json!({"_model_name": "HTMLModel", "value": "<b>a</b> &lt;"});
        let html = of(html, Vec::new());
        let row = of(json!({"_model_name": "HBoxModel"}), vec![html, bar]);
        assert_eq!(row.0, "a &lt; x:  50%|██████████          | 5/10");
        assert!(
            slider.1.contains("type=\"range\" min=\"0\" max=\"9\""),
            "{}",
            slider.1
        );
        let choice = json!({"_model_name": "DropdownModel", "_options_labels": ["a<b", "c"],
                            "index": 1, "description": "x"});
        let choice = of(choice, Vec::new());
        assert_eq!(choice.1, "<label>x: a&lt;b · <b>c</b></label>");
        let tab = json!({"_model_name": "TabModel", "titles": ["One", "Two"], "selected_index": 1});
        let tab = of(tab, vec![choice.clone(), choice]);
        assert!(
            tab.1.contains("<details open><summary>Two</summary>"),
            "{}",
            tab.1
        );
        let day = json!({"_model_name": "DatePickerModel", "description": "",
                         "value": {"year": 2026, "month": 10, "date": 9}});
        assert!(of(day, Vec::new()).1.contains("value=\"2026-11-09\""));
    }
}
