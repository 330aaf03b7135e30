//! The look of what Phalanx itself shows: bars, tables and flame graphs, in HTML and in text.
//!
//! The library in the notebook and the kernel show both, and a user sees no difference. Colours are
//! the frontend's own variables (`--jp-…`), so that they suit its theme; the fallbacks are readable
//! on light and on dark grounds.

pub mod bar;
pub mod flame;
pub mod table;

/// The style that puts HTML where JupyterLab puts text, which it indents by a character.
pub const INDENT: &str = "padding-left:1ch";

/// Text as it may stand in HTML, in attributes too.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
