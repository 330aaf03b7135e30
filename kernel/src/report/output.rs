//! Outputs as iopub messages.

use phalanx_protocol::jupyter::media::{Media, MediaType};
use phalanx_protocol::jupyter::{
    ClearOutput, DisplayData, ErrorOutput, ExecuteResult, ExecutionCount, JupyterMessageContent,
    Stdio, StreamContent, Transient, UpdateDisplayData,
};
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use serde_json::Value;

use super::ErrorReport;

/// Returns the iopub message of an output, for a cell with execution count `count`.
pub fn message(output: Output, count: usize) -> JupyterMessageContent {
    match output {
        Output::Stream { name, text } => StreamContent {
            name: match name {
                StreamName::Stdout => Stdio::Stdout,
                StreamName::Stderr => Stdio::Stderr,
            },
            text,
        }
        .into(),
        Output::Display(display) => self::display(display),
        Output::Result(data) => ExecuteResult {
            execution_count: ExecutionCount::new(count),
            data: media(data),
            metadata: serde_json::Map::new(),
            // Clients validate it as an object, even if it is empty.
            transient: Some(Transient { display_id: None }),
        }
        .into(),
        // The data of functions on engines, for which frontends have no message.
        Output::Data(data) => self::display(Display {
            data: MimeBundle::plain(serde_json::json!(data).to_string()),
            ..Display::default()
        }),
        Output::ClearOutput { wait } => ClearOutput { wait }.into(),
    }
}

fn display(display: Display) -> JupyterMessageContent {
    let transient = Transient {
        display_id: display.display_id,
    };
    if display.update {
        UpdateDisplayData {
            data: media(display.data),
            metadata: display.metadata,
            transient,
        }
        .into()
    } else {
        DisplayData {
            data: media(display.data),
            metadata: display.metadata,
            transient: Some(transient),
        }
        .into()
    }
}

/// Returns the `error` message of a cell.
pub fn error(report: &ErrorReport) -> JupyterMessageContent {
    ErrorOutput {
        ename: report.ename.clone(),
        evalue: report.evalue.clone(),
        traceback: report.traceback.clone(),
    }
    .into()
}

/// Converts a bundle to the type of jupyter-protocol.
pub fn media(bundle: MimeBundle) -> Media {
    let whole = Value::Object(bundle.0.clone());
    serde_json::from_value(whole).unwrap_or_else(|_| {
        // A value that does not fit its MIME type is passed on unchanged.
        Media::new(bundle.0.into_iter().map(MediaType::Other).collect())
    })
}
