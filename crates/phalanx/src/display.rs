//! Rich values: shown under the cell, any number per cell, updated in place.

use crate::error::{Error, LibraryError};
use crate::host;
use data_encoding::BASE64;
use phalanx_protocol::host::{HostReply, HostRequest, place_marker};
use phalanx_protocol::look::bar;
use phalanx_protocol::output::{Display, Output};
use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub use phalanx_protocol::output::MimeBundle;

/// Shows a value in one or several representations.
///
/// ```no_run
/// use phalanx::{MimeBundle, display};
/// display(MimeBundle::plain("1 × 1").with("text/html", "<b>1 × 1</b>"))?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn display(data: MimeBundle) -> Result<DisplayHandle, Error> {
    display_as(&fresh_id(), data)
}

/// Shows a value under an id chosen by the caller, by which other cells can
/// [update](update_display) it.
///
/// ```no_run
/// use phalanx::prelude::*;
/// phalanx::display_as("status", MimeBundle::plain("starting"))?;
/// phalanx::update_display("status", MimeBundle::plain("done"))?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn display_as(id: &str, data: MimeBundle) -> Result<DisplayHandle, Error> {
    let handle = DisplayHandle { id: id.to_owned() };
    handle.send(data, false)?;
    Ok(handle)
}

/// Replaces all displays with this id, in every cell.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let shown = phalanx::display(MimeBundle::plain("starting"))?;
/// phalanx::update_display(shown.id(), MimeBundle::plain("done"))?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn update_display(id: &str, data: MimeBundle) -> Result<(), Error> {
    DisplayHandle { id: id.to_owned() }.update(data)
}

/// Shows HTML.
///
/// ```no_run
/// phalanx::html("<b>bold</b>")?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// Frontends get the text as it is. JupyterLab shows HTML and images a few pixels left of text, from
/// every kernel alike; a `<div style="padding-left:1ch">` around HTML aligns it with text, as it does in
/// the bars and tables of this library.
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn html(text: impl Into<String>) -> Result<DisplayHandle, Error> {
    // Without a wrapper that indents it: a page, a report or another frontend would get one too, and the
    // width and the selectors of the user's own styles would no longer hold.
    text_of("text/html", text.into())
}

/// Shows an SVG image.
///
/// ```no_run
/// phalanx::svg("<svg xmlns='http://www.w3.org/2000/svg' width='20' height='20'><circle cx='10' cy='10' r='9'/></svg>")?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn svg(text: impl Into<String>) -> Result<DisplayHandle, Error> {
    text_of("image/svg+xml", text.into())
}

/// Shows Markdown.
///
/// ```no_run
/// phalanx::markdown("a *word*")?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn markdown(text: impl Into<String>) -> Result<DisplayHandle, Error> {
    text_of("text/markdown", text.into())
}

/// Shows LaTeX, dollar signs included: `$x^2$`.
///
/// ```no_run
/// phalanx::latex(r"$\sqrt{x^2}$")?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn latex(text: impl Into<String>) -> Result<DisplayHandle, Error> {
    text_of("text/latex", text.into())
}

/// Shows a PNG image, given as the bytes of the file.
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn png(bytes: &[u8]) -> Result<DisplayHandle, Error> {
    image("image/png", bytes)
}

/// Shows a JPEG image, given as the bytes of the file.
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn jpeg(bytes: &[u8]) -> Result<DisplayHandle, Error> {
    image("image/jpeg", bytes)
}

fn image(mime: &str, bytes: &[u8]) -> Result<DisplayHandle, Error> {
    let plain = format!("{mime}, {} bytes", bytes.len());
    display(MimeBundle::plain(plain).with(mime, BASE64.encode(bytes)))
}

/// Shows a plot, given as the JSON of its Vega-Lite specification.
///
/// ```no_run
/// phalanx::vega_lite(
///     r#"{"data": {"values": [{"x": 1, "y": 2}, {"x": 2, "y": 3}]}, "mark": "bar",
///         "encoding": {"x": {"field": "x"}, "y": {"field": "y", "type": "quantitative"}}}"#,
/// )?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the text is not JSON; `InternalError` if the kernel does not reply.
pub fn vega_lite(specification: &str) -> Result<DisplayHandle, Error> {
    json("application/vnd.vegalite.v5+json", specification)
}

/// Shows a plot, given as the JSON of a plotly figure: `{"data": […], "layout": {…}}`.
///
/// ```no_run
/// phalanx::plotly(r#"{"data": [{"x": [1, 2], "y": [2, 3]}], "layout": {}}"#)?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the text is not JSON; `InternalError` if the kernel does not reply.
pub fn plotly(figure: &str) -> Result<DisplayHandle, Error> {
    json("application/vnd.plotly.v1+json", figure)
}

/// Shows JSON, given as text, under a MIME type such as `application/json` or
/// `application/vnd.vegalite.v5+json`.
///
/// ```no_run
/// phalanx::json("application/json", r#"{"rows": 3}"#)?;
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `UsageError` if the text is not JSON; `InternalError` if the kernel does not reply.
pub fn json(mime: &str, text: &str) -> Result<DisplayHandle, Error> {
    let data = MimeBundle::plain(text)
        .with_json(mime, text)
        .map_err(|error| {
            let error = &error;
            Error::from(LibraryError::Display { mime, error })
        })?;
    display(data)
}

/// Clears the cell's outputs; with `wait`, only when the next output arrives.
///
/// ```no_run
/// for percent in [0, 50, 100] {
///     phalanx::clear_output(true)?; // only once the next line is there
///     println!("{percent} %");
/// }
/// # Ok::<(), phalanx::Error>(())
/// ```
///
/// # Errors
/// `InternalError` if the kernel does not reply.
pub fn clear_output(wait: bool) -> Result<(), Error> {
    put(Output::ClearOutput { wait })
}

fn text_of(mime: &str, text: String) -> Result<DisplayHandle, Error> {
    display(MimeBundle::plain(text.clone()).with(mime, text))
}

/// A display that can be updated in place, in every cell that shows it.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let shown = phalanx::html("<i>starting</i>")?;
/// shown.update(MimeBundle::plain("done"))?;
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayHandle {
    id: String,
}

impl DisplayHandle {
    /// Returns the id under which it can be updated.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Replaces the display in every cell that shows it.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn update(&self, data: MimeBundle) -> Result<(), Error> {
        self.send(data, true)
    }

    /// Shows nothing: as the value of a cell, the handle would follow what it has displayed.
    #[doc(hidden)]
    pub fn evcxr_display(&self) {}

    fn send(&self, data: MimeBundle, update: bool) -> Result<(), Error> {
        put(Output::Display(Display {
            data,
            display_id: Some(self.id.clone()),
            update,
            ..Display::default()
        }))
    }
}

/// Sends an output to the owner and writes a marker for its position in the text. Outside a
/// runtime, as in a program made from a notebook, the plain text is printed instead.
pub(crate) fn put(output: Output) -> Result<(), Error> {
    if !host::is_in_cell() {
        printed(&output);
        return Ok(());
    }
    match host::call(&HostRequest::Output(output))? {
        HostReply::Place(place) => {
            let mut stdout = std::io::stdout().lock();
            // A cell that has closed its stdout has no text to order the output with.
            let _ = write!(stdout, "{}", place_marker(place)).and_then(|()| stdout.flush());
            Ok(())
        }
        other => Err(host::unexpected(&other)),
    }
}

/// Prints the plain text of outputs that are not updates.
fn printed(output: &Output) {
    if let Output::Display(display) = output
        && !display.update
        && !bar::is_bar(display)
        && let Some(text) = display.data.text()
    {
        println!("{text}");
    }
}

/// Returns a unique id, made of the process id and the time.
pub(crate) fn fresh_id() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), now.as_nanos())
}

/// Prints one representation of a value in evcxr's output protocol.
pub(crate) fn print_content(mime: &str, value: fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    // A cell that has closed its stdout cannot show anything.
    let _ = writeln!(
        stdout,
        "EVCXR_BEGIN_CONTENT {mime}\n{value}\nEVCXR_END_CONTENT"
    );
}
