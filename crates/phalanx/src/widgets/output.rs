//! An output area: a widget for text, images and other outputs of code.

use super::build::{Builder, WidgetKind};
use super::widget;
use crate::display::MimeBundle;
use serde_json::{Value, json};

widget! {
    /// An area that captures the output of code.
    ///
    /// ```no_run
    /// use phalanx::widgets::Output;
    /// let area = Output::new();
    /// area.display();
    /// area.capture(|| println!("shown there, not under the cell"));
    /// ```
    Output, WidgetKind {
        name: "Output",
        view: "Output",
        module: "@jupyter-widgets/output",
        version: "1.0.0",
        style: "",
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Output {
    /// Creates an empty area.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder; empty by default.
    pub fn builder() -> Builder<Self> {
        Builder::of(json!({"msg_id": "", "outputs": []}))
    }

    /// Runs a piece of code; its output is shown in this area instead of under the cell.
    pub fn capture<T>(&self, code: impl FnOnce() -> T) -> T {
        let _capture = Capture::begin(self);
        code()
    }

    /// Appends text as if code had printed it.
    pub fn append_stdout(&self, text: &str) {
        self.append(json!({"output_type": "stream", "name": "stdout", "text": text}));
    }

    /// Appends a rich output.
    pub fn append_display(&self, data: MimeBundle) {
        self.append(json!({"output_type": "display_data", "data": data.0, "metadata": {}}));
    }

    /// Clears the area.
    pub fn clear_output(&self) {
        self.0.set("outputs", json!([]));
    }

    fn append(&self, output: Value) {
        let mut outputs = match self.0.get("outputs") {
            Value::Array(outputs) => outputs,
            _ => Vec::new(),
        };
        outputs.push(output);
        self.0.set("outputs", Value::Array(outputs));
    }
}

/// Ends the capture when dropped, also when the code panics.
struct Capture<'a>(&'a Output);

impl<'a> Capture<'a> {
    fn begin(output: &'a Output) -> Self {
        output.0.capture(true);
        Self(output)
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        self.0.0.capture(false);
    }
}
