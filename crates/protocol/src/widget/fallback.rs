//! The representation of widgets for frontends without widget support: consoles, GitHub, converted
//! notebooks.

use super::{FindModel, WidgetModel, referred};
use crate::id::CommId;
use crate::look::{bar, escape};
use data_encoding::BASE64;
use serde_json::{Map, Value};

/// The keys of the state that are shown, in this order.
const SHOWN_KEYS: [&str; 6] = ["value", "index", "min", "max", "description", "placeholder"];

/// ipywidgets' default of a placeholder: a space without width.
const NO_PLACEHOLDER: &str = "\u{200b}";

/// The static representation of a widget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Fallback {
    pub(super) plain: String,
    pub(super) html: String,
    /// True if a progress bar is in it.
    pub(super) has_bar: bool,
}

/// Returns the representation of a widget; `None` for a widget without a model.
pub(super) fn fallback(id: &CommId, models: &FindModel<'_>) -> Option<Fallback> {
    within(id, models, &mut Vec::new())
}

/// Returns the representation of a widget in the boxes `around` it.
fn within(id: &CommId, models: &FindModel<'_>, around: &mut Vec<CommId>) -> Option<Fallback> {
    // A box may contain itself.
    if around.contains(id) {
        return None;
    }
    let model = models(id)?;
    around.push(id.clone());
    let children = model.children();
    let children = children.filter_map(|child| within(&child, models, around));
    let children = children.collect();
    around.pop();
    let layout = text(&model.state, "layout");
    let layout = referred(layout).and_then(|layout| models(&layout));
    Some(of(model, layout, children))
}

/// Returns the representation, given those of the children.
fn of(model: &WidgetModel, layout: Option<&WidgetModel>, children: Vec<Fallback>) -> Fallback {
    let state = &model.state;
    let name = text(state, "_model_name");
    let name = name.strip_suffix("Model").unwrap_or(name);
    let has_bar = children.iter().any(|child| child.has_bar);
    let plain = |between: &str| {
        let plain: Vec<&str> = children.iter().map(|child| child.plain.as_str()).collect();
        plain.join(between)
    };
    let html = children.iter().map(|child| child.html.as_str());
    let (plain, html) = match name {
        "HBox" => (plain(" "), boxed("row", &html.collect::<String>())),
        "VBox" | "GridBox" => {
            let rows = html.map(|child| format!("<div>{child}</div>"));
            (plain("\n"), rows.collect())
        }
        "Tab" | "Accordion" => pages(state, &children),
        "HTML" | "HTMLMath" => {
            let value = text(state, "value");
            described(state, without_tags(value), value.to_owned())
        }
        "Label" => {
            let value = text(state, "value");
            described(state, value.to_owned(), escape(value))
        }
        "Image" => image(model, layout),
        "Output" => outputs(state),
        "IntProgress" | "FloatProgress" => progress(state),
        _ => {
            let plain = describe(name, state);
            let html = control(name, state);
            let html = html.unwrap_or_else(|| format!("<code>{}</code>", escape(&plain)));
            (plain, html)
        }
    };
    Fallback {
        plain,
        html,
        has_bar: has_bar || matches!(name, "IntProgress" | "FloatProgress"),
    }
}

/// Puts the description before a text.
fn described(state: &Map<String, Value>, plain: String, html: String) -> (String, String) {
    match text(state, "description") {
        "" => (plain, html),
        label => (
            format!("{label}: {plain}"),
            format!("<span>{}: {html}</span>", escape(label)),
        ),
    }
}

fn boxed(direction: &str, html: &str) -> String {
    format!(
        "<div style=\"display:flex;flex-direction:{direction};align-items:center;gap:.6em\">{html}</div>"
    )
}

/// Renders pages under their titles, with the selected one open.
fn pages(state: &Map<String, Value>, children: &[Fallback]) -> (String, String) {
    let titles = state.get("titles").and_then(Value::as_array);
    let title = |at: usize| titles.and_then(|titles| titles.get(at)?.as_str());
    let selected = state.get("selected_index").and_then(Value::as_u64);
    let page = |(at, child): (usize, &Fallback)| {
        let open = match selected == Some(at as u64) {
            true => " open",
            false => "",
        };
        let title = title(at).unwrap_or_default();
        let plain = match title {
            "" => child.plain.clone(),
            title => format!("{title}\n{}", child.plain),
        };
        let title = escape(title);
        let html = format!(
            "<details{open}><summary>{title}</summary>{}</details>",
            child.html
        );
        (plain, html)
    };
    let (plain, html): (Vec<_>, Vec<_>) = children.iter().enumerate().map(page).unzip();
    (plain.join("\n"), html.concat())
}

/// Renders an image as part of the page; `url` as a format means that the bytes are its address.
fn image(model: &WidgetModel, layout: Option<&WidgetModel>) -> (String, String) {
    let format = text(&model.state, "format");
    let bytes = model.bytes("value");
    let plain = match (format, bytes) {
        ("url", address) => String::from_utf8_lossy(address).into_owned(),
        (_, bytes) => format!("image/{format}, {} bytes", bytes.len()),
    };
    if bytes.is_empty() {
        let html = format!("<code>{}</code>", escape(&plain));
        return (plain, html);
    }
    let source = match format {
        "url" => plain.clone(),
        _ => format!("data:image/{format};base64,{}", BASE64.encode(bytes)),
    };
    let size = ["width", "height"].map(|key| {
        let within = layout.map_or("", |layout| text(&layout.state, key));
        match within {
            "" => String::new(),
            within => format!("{key}:{};", escape(within)),
        }
    });
    let style = match size.concat() {
        size if size.is_empty() => size,
        size => format!(" style=\"{size}\""),
    };
    let size = ["width", "height"].map(|key| attribute(&model.state, key));
    let html = format!(
        "<img src=\"{}\" alt=\"{}\"{}{style}>",
        escape(&source),
        escape(&plain),
        size.concat()
    );
    (plain, html)
}

/// Renders what an output area has captured.
fn outputs(state: &Map<String, Value>) -> (String, String) {
    let outputs = state.get("outputs").and_then(Value::as_array);
    let outputs = outputs.into_iter().flatten().map(output);
    let (plain, html): (Vec<_>, Vec<_>) = outputs.unzip();
    (plain.concat().trim_end().to_owned(), html.concat())
}

/// Renders an output in the notebook format.
fn output(output: &Value) -> (String, String) {
    let lines = |value: &Value| match value {
        // A text may be given by its lines.
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().unwrap_or_default().to_owned(),
    };
    let preformatted = |plain: &str| format!("<pre>{}</pre>", escape(plain));
    let data = match output["output_type"].as_str() {
        Some("stream") => {
            let plain = without_colours(&lines(&output["text"]));
            let html = preformatted(&plain);
            return (plain, html);
        }
        Some("error") => {
            let part = |key: &str| output[key].as_str().unwrap_or_default();
            let plain = format!("{}: {}\n", part("ename"), part("evalue"));
            let html = preformatted(&plain);
            return (plain, html);
        }
        _ => &output["data"],
    };
    let part = |mime: &str| data.get(mime).map(lines);
    let plain = part("text/plain").unwrap_or_default();
    let picture = |mime: &str| {
        let base64 = part(mime)?.replace('\n', "");
        Some(format!(
            "<img src=\"data:{mime};base64,{}\">",
            escape(&base64)
        ))
    };
    let html = part("text/html")
        .or_else(|| part("image/svg+xml"))
        .or_else(|| picture("image/png"))
        .or_else(|| picture("image/jpeg"))
        .map_or_else(|| preformatted(&plain), |html| format!("<div>{html}</div>"));
    (plain + "\n", html)
}

/// Renders a control as static HTML.
fn control(name: &str, state: &Map<String, Value>) -> Option<String> {
    let value = state.get("value").map(shown).unwrap_or_default();
    let input = |kind: &str, more: &str| format!("<input type=\"{kind}\"{more} disabled>");
    let of = |key: &str, value: &str| format!(" {key}=\"{}\"", escape(value));
    let part = |key: &str| attribute(state, key);
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
        "Button" => return Some(format!("<button disabled>{}</button>", label(state))),
        "FileUpload" => {
            let button = format!("<button disabled>{}</button>", label(state));
            return Some(format!("{button} {}", escape(&value)).trim_end().to_owned());
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

/// Formats a value as an attribute of an element; empty without a value.
fn attribute(state: &Map<String, Value>, key: &str) -> String {
    match state.get(key).map(shown) {
        Some(value) if !value.is_empty() && value != NO_PLACEHOLDER => {
            format!(" {key}=\"{}\"", escape(&value))
        }
        _ => String::new(),
    }
}

/// Renders the options, with the selected ones marked.
fn options(state: &Map<String, Value>) -> Option<String> {
    let options = marked_options(state)?.into_iter();
    let options = options.map(|(label, is_chosen)| match is_chosen {
        true => format!("<b>{}</b>", escape(&label)),
        false => escape(&label),
    });
    Some(options.collect::<Vec<_>>().join(" · "))
}

/// Returns the options of a choice, each with true if it is selected.
fn marked_options(state: &Map<String, Value>) -> Option<Vec<(String, bool)>> {
    let labels = state.get("_options_labels")?.as_array()?;
    let index = state.get("index")?;
    let is_chosen = |at: usize| match index {
        Value::Array(chosen) => chosen.contains(&at.into()),
        one => one.as_u64() == Some(at as u64),
    };
    let labels = labels.iter().enumerate();
    let labels = labels.map(|(at, label)| (shown(label), is_chosen(at)));
    Some(labels.collect())
}

/// Formats a value for display: text without quotes, dates in ISO 8601, files by their names.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(file) if file.contains_key("name") => text(file, "name").to_owned(),
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

/// `IntSlider(value=3, min=0, max=10)`; of a choice, the value is the selected option.
fn describe(name: &str, state: &Map<String, Value>) -> String {
    let chosen = marked_options(state).map(|options| {
        let chosen = options.into_iter().filter(|(_, is_chosen)| *is_chosen);
        chosen
            .map(|(label, _)| label)
            .collect::<Vec<_>>()
            .join(", ")
    });
    let value = |key: &str| match (key, &chosen) {
        ("index", Some(_)) => None,
        ("value", Some(chosen)) => Some(chosen.clone()),
        (key, _) => state.get(key).map(shown),
    };
    let values = SHOWN_KEYS.iter().filter_map(|key| {
        let value = value(key)?;
        let is_shown = !value.is_empty() && value != NO_PLACEHOLDER;
        is_shown.then(|| format!("{key}={value}"))
    });
    format!("{name}({})", values.collect::<Vec<_>>().join(", "))
}

fn progress(state: &Map<String, Value>) -> (String, String) {
    let number = |key| state.get(key).and_then(Value::as_f64).unwrap_or_default();
    let (value, min, max) = (number("value"), number("min"), number("max"));
    let share = ((value - min) / (max - min)).clamp(0.0, 1.0);
    let label = text(state, "description");
    let counts = format!("{}/{}", rounded(value), rounded(max));
    let bundle = bar::drawn(label, bar::BarExtent::Share(share), &counts);
    let part = |mime: &str| bundle.0.get(mime).and_then(Value::as_str);
    let part = |mime| part(mime).unwrap_or_default().to_owned();
    (part("text/plain"), part("text/html"))
}

fn text<'a>(state: &'a Map<String, Value>, key: &str) -> &'a str {
    state.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Formats a number without the last digits, in which sums of fractions differ.
fn rounded(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    let text: String = outside.collect();
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&nbsp;", " ");
    text.replace("&amp;", "&")
}

/// Removes the sequences by which terminals show colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::Buffer;
    use crate::widget::reference;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Renders the widget `0`, whose children are those after it.
    fn of(widgets: &[Value]) -> Fallback {
        let models: BTreeMap<CommId, WidgetModel> = widgets
            .iter()
            .enumerate()
            .map(|(at, state)| {
                let mut state = state.clone();
                if at == 0 && widgets.len() > 1 {
                    let children = (1..widgets.len()).map(|at| CommId::new(at.to_string()));
                    let children: Vec<String> = children.map(|id| reference(&id)).collect();
                    state["children"] = json!(children);
                }
                let data = json!({"state": state, "buffer_paths": [["value"]]});
                let buffers = match state["_model_name"] == "ImageModel" {
                    true => vec![Buffer(b"GIF".to_vec())],
                    false => Vec::new(),
                };
                let model = WidgetModel::of(data.as_object().unwrap(), buffers);
                (CommId::new(at.to_string()), model)
            })
            .collect();
        fallback(&CommId::new("0"), &|id| models.get(id)).unwrap()
    }

    #[test]
    fn controls_are_shown_with_their_values() {
        let slider = of(&[
            json!({"_model_name": "IntSliderModel", "value": 3, "min": 0, "max": 9,
                                 "description": ""}),
        ]);
        assert_eq!(slider.plain, "IntSlider(value=3, min=0, max=9)");
        let range = "type=\"range\" min=\"0\" max=\"9\" value=\"3\"";
        assert!(slider.html.contains(range), "{}", slider.html);
        let choice = of(&[json!({"_model_name": "DropdownModel", "description": "x",
                                 "_options_labels": ["a<b", "c"], "index": 1})]);
        assert_eq!(choice.plain, "Dropdown(value=c, description=x)");
        assert_eq!(choice.html, "<label>x: a&lt;b · <b>c</b></label>");
        let several = of(&[
            json!({"_model_name": "SelectMultipleModel", "description": "",
                                  "_options_labels": ["a", "b", "c"], "index": [0, 2]}),
        ]);
        assert_eq!(several.plain, "SelectMultiple(value=a, c)");
        let day = of(
            &[json!({"_model_name": "DatePickerModel", "description": "",
                              "value": {"year": 2026, "month": 10, "date": 9}})],
        );
        assert_eq!(day.plain, "DatePicker(value=2026-11-09)");
        assert!(day.html.contains("value=\"2026-11-09\""), "{}", day.html);
        let text = of(&[
            json!({"_model_name": "TextModel", "value": "", "description": "name",
                               "placeholder": NO_PLACEHOLDER}),
        ]);
        assert_eq!(text.plain, "Text(description=name)");
        let files = of(&[
            json!({"_model_name": "FileUploadModel", "description": "Upload",
                                "value": [{"name": "a.csv", "size": 3}, {"name": "b"}]}),
        ]);
        assert_eq!(files.html, "<button disabled>Upload</button> a.csv, b");
    }

    #[test]
    fn bars_are_those_of_loops() {
        let bar = json!({"_model_name": "FloatProgressModel", "value": 0.1 + 0.2, "min": 0.0,
                         "max": 0.6, "description": "x"});
        let drawn = of(std::slice::from_ref(&bar));
        assert_eq!(drawn.plain, "x:  50%|██████████          | 0.3/0.6");
        assert!(drawn.html.contains("width:50.0%"), "{}", drawn.html);
        assert!(drawn.has_bar);
        let html = json!({"_model_name": "HTMLModel", "value": "<b>a</b> &lt;"});
        let row = of(&[json!({"_model_name": "HBoxModel"}), html.clone(), bar]);
        assert_eq!(row.plain, "a < x:  50%|██████████          | 0.3/0.6");
        assert!(row.has_bar && !of(&[html]).has_bar);
    }

    #[test]
    fn images_and_captured_output_are_part_of_the_page() {
        let image =
            json!({"_model_name": "ImageModel", "format": "gif", "width": "20", "height": ""});
        let image = of(&[image]);
        assert_eq!(image.plain, "image/gif, 3 bytes");
        assert_eq!(
            image.html,
            "<img src=\"data:image/gif;base64,R0lG\" alt=\"image/gif, 3 bytes\" width=\"20\">"
        );
        let outputs = json!([
            {"output_type": "stream", "name": "stdout", "text": "\u{1b}[31ma\u{1b}[0m<b\n"},
            {"output_type": "display_data", "metadata": {},
             "data": {"text/plain": ["t", "u"], "text/html": "<b>t</b>"}},
            {"output_type": "display_data", "metadata": {},
             "data": {"text/plain": "image", "image/png": "R0lG\n"}},
        ]);
        let area = of(&[json!({"_model_name": "OutputModel", "outputs": outputs})]);
        assert_eq!(area.plain, "a<b\ntu\nimage");
        assert_eq!(
            area.html,
            "<pre>a&lt;b\n</pre><div><b>t</b></div>\
             <div><img src=\"data:image/png;base64,R0lG\"></div>"
        );
    }

    #[test]
    fn pages_have_titles() {
        let tab = json!({"_model_name": "TabModel", "titles": ["One", "Two"], "selected_index": 1});
        let label = json!({"_model_name": "LabelModel", "value": "a", "description": "x"});
        let tab = of(&[tab, label.clone(), label]);
        assert_eq!(tab.plain, "One\nx: a\nTwo\nx: a");
        let two = "<details open><summary>Two</summary><span>x: a</span>";
        assert!(tab.html.contains(two), "{}", tab.html);
    }
}
