//! The rendering of Phalanx's own outputs (bars, tables and flame graphs) in HTML and in text.
//!
//! Shared by the library in the notebook and the kernel, whose outputs look the same. Colours are
//! the frontend's variables (`--jp-…`), so that they follow its theme; the fallbacks are readable
//! on light and on dark backgrounds.

pub mod bar;
pub mod flame;
pub mod table;

/// The style that aligns HTML with text outputs, which JupyterLab indents by a character.
pub const INDENT: &str = "padding-left:1ch";

/// Escapes text for HTML, including attribute values.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
