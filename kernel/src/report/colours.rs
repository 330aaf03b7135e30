//! The colours of messages: those a frontend shows readably on a light and on a dark ground.
//!
//! JupyterLab gives the bright colours and the bold ones a darker shade, which its dark theme then
//! shows on dark red. So these are the plain ones.

use annotate_snippets::Renderer;
use annotate_snippets::renderer::{AnsiColor, Effects, Style};

/// The fault.
pub(super) const ERROR: Style = AnsiColor::Red.on_default();
/// Advice.
pub(super) const HELP: Style = AnsiColor::Green.on_default();
/// Line numbers, and marks beside the wrong place.
pub(super) const LINES: Style = AnsiColor::Blue.on_default();
/// The message itself.
pub(super) const EMPHASIS: Style = Style::new().effects(Effects::BOLD);

/// Shows snippets in these colours.
pub(super) fn renderer() -> Renderer {
    Renderer::styled()
        .error(ERROR)
        .warning(AnsiColor::Yellow.on_default())
        .info(LINES)
        .note(HELP)
        .help(HELP)
        .line_num(LINES)
        .context(LINES)
        .addition(HELP)
        .removal(ERROR)
}
