//! The colours of messages, readable on light and on dark backgrounds.
//!
//! JupyterLab darkens bright and bold colours, and its dark theme shows them on dark red. Hence the
//! plain colours.

use annotate_snippets::Renderer;
use annotate_snippets::renderer::{AnsiColor, Effects, Style};

/// The name of an error.
pub(super) const ERROR: Style = AnsiColor::Red.on_default();
/// A hint.
pub(super) const HELP: Style = AnsiColor::Green.on_default();
/// Line numbers, and marks at the faulty code.
pub(super) const LINES: Style = AnsiColor::Blue.on_default();
/// The message.
pub(super) const EMPHASIS: Style = Style::new().effects(Effects::BOLD);

/// Returns a renderer of snippets in these colours.
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
