//! The look of what Phalanx itself shows, in HTML and in text.
//!
//! The library in the notebook and the kernel show both, and a user sees no difference. Colours are
//! the frontend's own variables (`--jp-…`), so that they suit its theme; the fallbacks are readable
//! on light and on dark grounds.

pub mod table;

/// The style that puts HTML where a frontend puts text: JupyterLab indents the latter.
pub const INDENT: &str = "padding-left:var(--jp-code-padding,0)";

/// Text as it may stand in HTML, in attributes too.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
