//! The sink of a cell's outputs.

use super::{IoPub, Requester};
use crate::report::{Terminal, output, report};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::Payload;
use phalanx_protocol::output::{Display, MimeBundle, Output, StreamName};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Publishes the outputs of a cell with its request as their parent. Clones share it.
#[derive(Clone, Debug)]
pub struct OutputSink {
    iopub: IoPub,
    cause: Requester,
    count: usize,
    visibility: OutputVisibility,
    /// Locked for an assignment.
    kept: Arc<Mutex<OutputRecord>>,
}

/// The outputs needed at the end of the cell.
#[derive(Debug, Default)]
struct OutputRecord {
    /// The state of a console; `None` for a frontend that can update displays.
    terminal: Option<Terminal>,
    value: Option<MimeBundle>,
    payload: Vec<Payload>,
}

/// The visibility of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputVisibility {
    /// Outputs are published.
    Published,
    /// Nothing is published, as `silent` requests.
    Silent,
}

impl OutputSink {
    /// Creates the sink of a cell with execution count `count`.
    pub fn new(iopub: IoPub, cause: Requester, count: usize, visibility: OutputVisibility) -> Self {
        Self {
            iopub,
            cause,
            count,
            visibility,
            kept: Arc::default(),
        }
    }

    /// Renders progress bars for a console.
    #[must_use]
    pub fn on_terminal(self) -> Self {
        self.kept().terminal = Some(Terminal::default());
        self
    }

    /// Returns true if the frontend cannot update displays.
    pub fn is_terminal(&self) -> bool {
        self.kept().terminal.is_some()
    }

    /// Returns true if nothing is published.
    pub fn is_silent(&self) -> bool {
        self.visibility == OutputVisibility::Silent
    }

    /// Returns the request that is the parent of everything published here.
    pub fn cause(&self) -> &Requester {
        &self.cause
    }

    /// Publishes an output; waits while frontends do not read.
    pub async fn output(&self, output: Output) {
        if let Output::Result(bundle) = &output {
            self.kept().value = Some(bundle.clone());
        }
        if self.is_silent() {
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

    /// Ends the line of a progress bar at the end of the cell.
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

    /// Publishes a display.
    pub async fn display(&self, data: MimeBundle) {
        self.output(Output::Display(Display {
            data,
            ..Display::default()
        }))
        .await;
    }

    /// Adds a page of help to the payload of the reply.
    pub fn page(&self, data: MimeBundle) {
        self.kept().payload.push(Payload::Page {
            data: output::media(data),
            start: 0,
        });
    }

    /// Adds text that replaces the cell to the payload of the reply.
    pub fn replace_cell(&self, text: String) {
        let replace = true;
        self.kept()
            .payload
            .push(Payload::SetNextInput { text, replace });
    }

    /// Requests the end of the kernel and of the frontend's session once the cell is done.
    pub fn quit(&self) {
        let keepkernel = false;
        self.kept().payload.push(Payload::AskExit { keepkernel });
    }

    /// Returns the cell's value, if it has one.
    pub fn value(&self) -> Option<MimeBundle> {
        self.kept().value.clone()
    }

    /// Takes the payload of the reply.
    pub fn take_payload(&self) -> Vec<Payload> {
        std::mem::take(&mut self.kept().payload)
    }

    /// Returns the sink of an expression evaluated after the cell: it records the value and
    /// publishes nothing.
    pub fn of_expression(&self) -> Self {
        Self {
            visibility: OutputVisibility::Silent,
            kept: Arc::default(),
            ..self.clone()
        }
    }

    fn kept(&self) -> MutexGuard<'_, OutputRecord> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a failure that is not part of a reply.
    pub async fn failure(&self, failure: Failure) {
        let message = output::error(&report(&failure.into()));
        self.iopub.publish(&self.cause, message).await;
    }
}
