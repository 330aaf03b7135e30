//! Where the outputs of one cell go.

use super::{IoPub, Requester};
use crate::report::output;
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use std::sync::{Arc, Mutex, PoisonError};

/// Publishes the outputs of one cell, under the request that asked for it. Clones share it.
#[derive(Clone, Debug)]
pub struct Outlet {
    iopub: IoPub,
    cause: Requester,
    count: usize,
    loudness: Loudness,
    /// The text of the cell's value, for the history. Held for an assignment.
    result: Arc<Mutex<Option<String>>>,
}

/// Whether outputs are published at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// They are.
    Loud,
    /// `silent` was asked for.
    Silent,
}

impl Outlet {
    /// The outlet of a cell of that count.
    pub fn new(iopub: IoPub, cause: Requester, count: usize, loudness: Loudness) -> Self {
        Self {
            iopub,
            cause,
            count,
            loudness,
            result: Arc::default(),
        }
    }

    /// Publishes one output; waits while frontends do not read.
    pub async fn output(&self, output: Output) {
        if let Output::Result(bundle) = &output {
            let text = bundle.text().map(str::to_owned);
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
        if self.loudness == Loudness::Loud {
            let message = output::message(output, self.count);
            self.iopub.publish(&self.cause, message).await;
        }
    }

    /// Publishes several outputs.
    pub async fn outputs(&self, outputs: Vec<Output>) {
        for output in outputs {
            self.output(output).await;
        }
    }

    /// Publishes text on a stream.
    pub async fn text(&self, name: StreamName, text: impl Into<String>) {
        let text = text.into();
        self.output(Output::Stream { name, text }).await;
    }

    /// Publishes something rich.
    pub async fn display(&self, data: MimeBundle) {
        self.output(Output::Display(Display {
            data,
            ..Display::default()
        }))
        .await;
    }

    /// The text of the cell's value, if it had one.
    pub fn result_text(&self) -> Option<String> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.clone()
    }
}
