//! The representation of a widget without widget support: in consoles, on GitHub, in converted
//! notebooks.

use phalanx_protocol::look::{bar, escape};
use serde_json::{Map, Value};

/// The keys worth telling, in this order.
const TOLD: [&str; 6] = ["value", "index", "min", "max", "description", "placeholder"];

/// Plain text and HTML, given the state and what the children look like.
pub(super) fn of(state: &Map<String, Value>, children: Vec<(String, String)>) -> (String, String) {
    let name = text(state, "_model_name");
    let name = name.strip_suffix("Model").unwrap_or(name);
    let (plain, html): (Vec<_>, Vec<_>) = children.into_iter().unzip();
    match name {
        "HBox" => (plain.join(" "), html.concat()),
        "VBox" => {
            let rows = html.iter().map(|child| format!("<div>{child}</div>"));
            (plain.join("\n"), rows.collect())
        }
        "HTML" => {
            let value = text(state, "value");
            (without_tags(value), value.to_owned())
        }
        "IntProgress" | "FloatProgress" => progress(state),
        _ => {
            let plain = told(name, state);
            let html = format!("<code>{}</code>", escape(&plain));
            (plain, html)
        }
    }
}

/// `IntSlider(value=3, min=0, max=10)`.
fn told(name: &str, state: &Map<String, Value>) -> String {
    let known = TOLD.iter().filter_map(|key| Some((key, state.get(*key)?)));
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
    let bundle = bar::drawn(label, bar::Extent::Share(share), &counts);
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
    fn what_is_shown_without_widgets() {
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
    }
}
