//! Displays of several engines side by side.

use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::{Display, MimeBundle, Output};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The image types that can be shown in a row and that are base64-encoded; SVG is handled
/// separately.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const SVG: &str = "image/svg+xml";
const HTML: &str = "text/html";

/// Combines one display of each engine into one output, if HTML can show all of them side by side.
/// Displays that were updated are shown in their current state; later updates do not affect the
/// row.
pub(super) fn row(displays: &[(EngineId, &Display)]) -> Option<Output> {
    if displays.len() < 2 {
        return None;
    }
    let mut html =
        String::from("<div style=\"display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start\">");
    let mut lines = Vec::new();
    for (engine, display) in displays {
        let _ = write!(
            html,
            "<figure style=\"margin:0\"><figcaption style=\"font-family:monospace\">[output:{engine}]</figcaption>{}</figure>",
            picture(&display.data)?
        );
        let text = display.data.text().unwrap_or_default();
        lines.push(format!("[output:{engine}] {text}").trim_end().to_owned());
    }
    html.push_str("</div>");
    let engines: Vec<EngineId> = displays.iter().map(|(engine, _)| *engine).collect();
    let mut metadata = serde_json::Map::new();
    metadata.insert("engines".to_owned(), json!(engines));
    Some(Output::Display(Display {
        data: MimeBundle::plain(lines.join("\n")).with(HTML, html),
        metadata,
        ..Display::default()
    }))
}

/// Converts a bundle into HTML: its image, or its own HTML.
fn picture(data: &MimeBundle) -> Option<String> {
    let text = |mime: &str| data.0.get(mime).and_then(Value::as_str);
    let image = IMAGES.iter().find_map(|mime| {
        // Restricted to base64 characters, since it becomes part of an attribute.
        let encoded: String = text(mime)?.split_whitespace().collect();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        encoded
            .chars()
            .all(is_base64)
            .then(|| format!("<img src=\"data:{mime};base64,{encoded}\">"))
    });
    image
        .or_else(|| Some(format!("<img src=\"data:{SVG},{}\">", percent(text(SVG)?))))
        .or_else(|| text(HTML).map(str::to_owned))
}

/// Percent-encodes text for a `data:` URI.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b" =:/.,-_();".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(mime: &str, data: &str) -> Display {
        Display {
            data: MimeBundle::plain("plot").with(mime, data),
            ..Display::default()
        }
    }

    #[test]
    fn images_of_engines_are_one_row() {
        let png = display("image/png", "iVBO\nRw0=");
        let svg = display(SVG, "<svg id=\"é\"/>");
        let html = display(HTML, "<b>x</b>");
        let displays = [
            (EngineId(0), &png),
            (EngineId(1), &svg),
            (EngineId(4), &html),
        ];
        let Some(Output::Display(row)) = row(&displays) else {
            panic!("no row")
        };
        assert_eq!(row.metadata["engines"], json!([0, 1, 4]));
        assert_eq!(
            row.data.text(),
            Some("[output:0] plot\n[output:1] plot\n[output:4] plot")
        );
        let html = row.data.0[HTML].as_str().unwrap();
        assert!(
            html.contains("src=\"data:image/png;base64,iVBORw0=\""),
            "{html}"
        );
        assert!(
            html.contains("src=\"data:image/svg+xml,%3Csvg id=%22%C3%A9%22/%3E\""),
            "{html}"
        );
        assert!(
            html.contains("[output:4]</figcaption><b>x</b></figure>"),
            "{html}"
        );
    }

    #[test]
    fn what_is_no_picture_stays_alone() {
        let png = display("image/png", "iVBORw0=");
        let text = display("application/json", "{}");
        let broken = display("image/png", "\"><script>");
        for other in [text, broken] {
            assert_eq!(row(&[(EngineId(0), &png), (EngineId(1), &other)]), None);
        }
        assert_eq!(row(&[(EngineId(0), &png)]), None);
    }
}
