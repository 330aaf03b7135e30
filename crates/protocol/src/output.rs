//! The outputs of a cell, wherever it ran.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An output in several representations, by MIME type.
///
/// Values are strings (base64 for binary types), or objects for JSON types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MimeBundle(pub Map<String, Value>);

impl MimeBundle {
    /// Creates a bundle of plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::default().with("text/plain", text.into())
    }

    /// Adds a representation.
    #[must_use]
    pub fn with(mut self, mime: &str, value: impl Into<Value>) -> Self {
        self.0.insert(mime.to_owned(), value.into());
        self
    }

    /// Adds a JSON representation, given as text.
    ///
    /// # Errors
    /// Returns an error if the text is not JSON.
    pub fn with_json(self, mime: &str, text: &str) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        Ok(self.with(mime, value))
    }

    /// The plain text, if any.
    pub fn text(&self) -> Option<&str> {
        self.0.get("text/plain")?.as_str()
    }
}

/// The two output streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// The name used in `stream` messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The content of a `display_data` or `update_display_data`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Display {
    /// The data to show.
    pub data: MimeBundle,
    /// Open by protocol: per-MIME metadata and the like.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The id by which the display can be updated later.
    #[serde(default)]
    pub display_id: Option<String>,
    /// True to replace the displays with that id, false to add one.
    #[serde(default)]
    pub update: bool,
}

/// One output of a running cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    /// Text on a stream, as written: including partial lines and carriage returns.
    Stream {
        /// The stream.
        name: StreamName,
        /// The text.
        text: String,
    },
    /// A rich value displayed by the cell.
    Display(Display),
    /// The value of the cell's last expression.
    Result(MimeBundle),
    /// Values published while a function runs, by name: ipyparallel's `data_message`.
    Data(BTreeMap<String, Value>),
    /// Clears the outputs of the cell.
    ClearOutput {
        /// True to clear only when the next output arrives.
        wait: bool,
    },
}
