//! The sink of one cell's outputs.

use super::{IoPub, Requester};
use crate::report::{Terminal, output, report};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::Payload;
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Publishes the outputs of one cell, under the request that asked for it. Clones share it.
#[derive(Clone, Debug)]
pub struct OutputSink {
    iopub: IoPub,
    cause: Requester,
    count: usize,
    loudness: OutputVisibility,
    /// Held for an assignment.
    kept: Arc<Mutex<OutputRecord>>,
}

/// The parts of the cell's outputs that are needed when it ends.
#[derive(Debug, Default)]
struct OutputRecord {
    /// The lines of a console; `None` for a frontend that can update what it shows.
    terminal: Option<Terminal>,
    value: Option<MimeBundle>,
    payload: Vec<Payload>,
}

/// The visibility of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputVisibility {
    /// They are.
    Loud,
    /// `silent` was asked for.
    Silent,
}

impl OutputSink {
    /// The sink of a cell of that count.
    pub fn new(iopub: IoPub, cause: Requester, count: usize, loudness: OutputVisibility) -> Self {
        Self {
            iopub,
            cause,
            count,
            loudness,
            kept: Arc::default(),
        }
    }

    /// With bars that a console can show.
    #[must_use]
    pub fn on_terminal(self) -> Self {
        self.kept().terminal = Some(Terminal::default());
        self
    }

    /// Returns true if the frontend cannot update what it shows.
    pub fn is_terminal(&self) -> bool {
        self.kept().terminal.is_some()
    }

    /// The request to which everything published here belongs.
    pub fn cause(&self) -> &Requester {
        &self.cause
    }

    /// Publishes one output; waits while frontends do not read.
    pub async fn output(&self, output: Output) {
        if let Output::Result(bundle) = &output {
            self.kept().value = Some(bundle.clone());
        }
        if self.loudness == OutputVisibility::Silent {
            return;
        }
        let outputs = match &mut self.kept().terminal {
            Some(terminal) => terminal.output(output),
            None => vec![output],
        };
        for output in outputs {
            self.publish(output).await;
        }
    }

    /// The cell is over: ends the line of a bar.
    pub async fn finish(&self) {
        let rest = self.kept().terminal.as_mut().and_then(Terminal::finish);
        if let Some(rest) = rest {
            self.publish(rest).await;
        }
    }

    async fn publish(&self, output: Output) {
        let message = output::message(output, self.count);
        self.iopub.publish(&self.cause, message).await;
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

    /// Shows a page of help, where the frontend has a place for it.
    pub fn page(&self, data: MimeBundle) {
        self.kept().payload.push(Payload::Page {
            data: output::media(data),
            start: 0,
        });
    }

    /// Puts a text in place of the cell, where the frontend does that.
    pub fn replace_cell(&self, text: String) {
        let replace = true;
        self.kept()
            .payload
            .push(Payload::SetNextInput { text, replace });
    }

    /// The kernel, and the frontend's session with it, is to end once the cell is done.
    pub fn quit(&self) {
        let keepkernel = false;
        self.kept().payload.push(Payload::AskExit { keepkernel });
    }

    /// The cell's value, if it had one.
    pub fn value(&self) -> Option<MimeBundle> {
        self.kept().value.clone()
    }

    /// Takes what the frontend is to do besides.
    pub fn take_payload(&self) -> Vec<Payload> {
        std::mem::take(&mut self.kept().payload)
    }

    /// The sink for an expression evaluated after the cell: it publishes nothing and keeps the
    /// value.
    pub fn of_expression(&self) -> Self {
        Self {
            loudness: OutputVisibility::Silent,
            kept: Arc::default(),
            ..self.clone()
        }
    }

    fn kept(&self) -> MutexGuard<'_, OutputRecord> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a failure that no reply reports.
    pub async fn failure(&self, failure: Failure) {
        let message = output::error(&report(&failure.into()));
        self.iopub.publish(&self.cause, message).await;
    }
}
