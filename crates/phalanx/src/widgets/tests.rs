//! The static representation of every widget.

use super::*;
use chrono::NaiveDate;
use phalanx_protocol::id::CommId;
use phalanx_protocol::widget::WidgetDisplays;
use std::collections::BTreeMap;
use std::time::Instant;

/// The modules that define widgets.
const SOURCES: [&str; 7] = [
    include_str!("boxes.rs"),
    include_str!("choice.rs"),
    include_str!("number.rs"),
    include_str!("output.rs"),
    include_str!("pickers.rs"),
    include_str!("text.rs"),
    include_str!("upload.rs"),
];

/// Returns the text and the HTML of a widget in whose state `child` is that of a label.
fn shown<W: Widget>(builder: Builder<W>) -> (String, String) {
    let widget = CommId::new("widget");
    let models = BTreeMap::from([
        (widget.clone(), builder.model()),
        (
            CommId::new("child"),
            Label::builder().value("inside").model(),
        ),
    ]);
    let mut displays = WidgetDisplays::new(false);
    let display = displays.display(&widget, &|id| models.get(id), Instant::now());
    let data = display.unwrap().data.0;
    let part = |mime: &str| data[mime].as_str().unwrap().to_owned();
    (part("text/plain"), part("text/html"))
}

#[test]
fn every_widget_is_shown_as_text_and_html() {
    let child = || serde_json::json!(["IPY_MODEL_child"]);
    let printed = serde_json::json!([
        {"output_type": "stream", "name": "stdout", "text": "printed"}
    ]);
    let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let options = ["one", "two"];
    let bar = "█████               ";
    // The widget, its text, and a part of its HTML.
    let widgets = [
        (
            shown(IntSlider::builder().value(7)),
            "IntSlider(value=7, min=0, max=100)".to_owned(),
            "value=\"7\"",
        ),
        (
            shown(FloatSlider::builder().value(0.5)),
            "FloatSlider(value=0.5, min=0.0, max=10.0)".to_owned(),
            "value=\"0.5\"",
        ),
        (
            shown(IntRangeSlider::builder()),
            "IntRangeSlider(value=25, 75, min=0, max=100)".to_owned(),
            "25 – 75",
        ),
        (
            shown(FloatRangeSlider::builder()),
            "FloatRangeSlider(value=2.5, 7.5, min=0.0, max=10.0)".to_owned(),
            "2.5 – 7.5",
        ),
        (
            shown(IntProgress::builder().value(25)),
            format!(" 25%|{bar}| 25/100"),
            "width:25.0%",
        ),
        (
            shown(FloatProgress::builder().value(2.5)),
            format!(" 25%|{bar}| 2.5/10"),
            "width:25.0%",
        ),
        (
            shown(Play::builder().value(7)),
            "Play(value=7, min=0, max=100)".to_owned(),
            "value=\"7\"",
        ),
        (
            shown(HTML::builder().value("<b>a</b>")),
            "a".to_owned(),
            "<b>a</b>",
        ),
        (
            shown(HTMLMath::builder().value("<b>a</b>")),
            "a".to_owned(),
            "<b>a</b>",
        ),
        (
            shown(Label::builder().value("a < b")),
            "a < b".to_owned(),
            "a &lt; b",
        ),
        (
            shown(Text::builder().value("a")),
            "Text(value=a)".to_owned(),
            "value=\"a\"",
        ),
        (
            shown(Textarea::builder().value("a")),
            "Textarea(value=a)".to_owned(),
            ">a</textarea>",
        ),
        (
            shown(Button::builder().description("a")),
            "Button(description=a)".to_owned(),
            ">a</button>",
        ),
        (
            shown(Checkbox::builder().value(true)),
            "Checkbox(value=true)".to_owned(),
            "checked",
        ),
        (
            shown(Dropdown::builder().options(options)),
            "Dropdown(value=one)".to_owned(),
            "<b>one</b> · two",
        ),
        (
            shown(RadioButtons::builder().options(options)),
            "RadioButtons(value=one)".to_owned(),
            "<b>one</b> · two",
        ),
        (
            shown(Select::builder().options(options)),
            "Select(value=one)".to_owned(),
            "<b>one</b> · two",
        ),
        (
            shown(ToggleButtons::builder().options(options)),
            "ToggleButtons(value=one)".to_owned(),
            "<b>one</b> · two",
        ),
        (
            shown(SelectMultiple::builder().options(options).value(options)),
            "SelectMultiple(value=one, two)".to_owned(),
            "<b>one</b> · <b>two</b>",
        ),
        (
            shown(ColorPicker::builder().value("teal")),
            "ColorPicker(value=teal)".to_owned(),
            "background:teal",
        ),
        (
            shown(DatePicker::builder().value(day)),
            "DatePicker(value=2026-01-31)".to_owned(),
            "value=\"2026-01-31\"",
        ),
        (
            shown(Image::builder().format("gif").value(b"GIF")),
            "image/gif, 3 bytes".to_owned(),
            "<img src=\"data:image/gif;base64,R0lG\"",
        ),
        (
            shown(HBox::builder().state("children", child())),
            "inside".to_owned(),
            "inside",
        ),
        (
            shown(VBox::builder().state("children", child())),
            "inside".to_owned(),
            "inside",
        ),
        (
            shown(GridBox::builder().state("children", child())),
            "inside".to_owned(),
            "inside",
        ),
        (
            shown(Tab::builder().state("children", child()).titles(["a"])),
            "a\ninside".to_owned(),
            "<summary>a</summary>inside",
        ),
        (
            shown(
                Accordion::builder()
                    .state("children", child())
                    .titles(["a"]),
            ),
            "a\ninside".to_owned(),
            "<summary>a</summary>inside",
        ),
        (
            shown(FileUpload::builder()),
            "FileUpload(description=Upload)".to_owned(),
            ">Upload</button>",
        ),
        (
            shown(Output::builder().state("outputs", printed)),
            "printed".to_owned(),
            "<pre>printed</pre>",
        ),
    ];
    let defined: usize = SOURCES
        .iter()
        .map(|source| source.matches("widget! {\n").count())
        .sum();
    assert_eq!(widgets.len(), defined, "every widget is tested");
    for ((text, html), expected, part) in widgets {
        assert_eq!(text, expected);
        assert!(html.contains(part), "{part} in {html}");
    }
}
