//! Tables as text and HTML.

use phalanx_protocol::output::MimeBundle;
use std::fmt::Write as _;

/// A table with a heading for each column.
pub fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> MimeBundle {
    MimeBundle::plain(text(title, headings, rows)).with("text/html", html(title, headings, rows))
}

fn text(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(headings[column].chars().count())
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut text = title.to_owned();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&line(&mut headings.iter().copied()));
    }
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

fn html(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = format!("<div><p>{}</p>", escape(title));
    if !rows.is_empty() {
        html.push_str("<table><thead><tr>");
        for heading in headings {
            let _ = write!(html, "<th>{}</th>", escape(heading));
        }
        html.push_str("</tr></thead><tbody>");
        for row in rows {
            html.push_str("<tr>");
            for cell in row {
                let _ = write!(html, "<td>{}</td>", escape(cell));
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    html
}

/// Text as it may stand in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings_and_html_is_escaped() {
        let rows = vec![
            vec!["0".into(), "<a&b>".into()],
            vec!["10".into(), "c".into()],
        ];
        let bundle = table("Engines", &["id", "host"], &rows);
        assert_eq!(bundle.text(), Some("Engines\nid  host\n0   <a&b>\n10  c"));
        let html = bundle.0["text/html"].as_str().unwrap();
        assert!(html.contains("<td>&lt;a&amp;b&gt;</td>"), "{html}");
    }
}
