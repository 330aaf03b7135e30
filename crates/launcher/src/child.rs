//! A child process as a part of a job.

use crate::launcher::{EndedProcesses, Launched, PrintedText};
use crate::process::Process;
use futures::FutureExt;
use futures::future::BoxFuture;
use phalanx_protocol::id::EngineId;

/// A child process that is an engine, or a program that has started engines.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    /// Its name in messages.
    who: String,
    /// The engines.
    ids: Vec<EngineId>,
    /// True for a program that has started others, which it ends before itself.
    is_launcher: bool,
    /// True once its end has been reported.
    reported: bool,
}

impl Child {
    /// Wraps a process that is an engine.
    pub(crate) fn own(process: Process, id: EngineId) -> Self {
        Self {
            process,
            who: format!("engine {id}"),
            ids: vec![id],
            is_launcher: false,
            reported: false,
        }
    }

    /// Wraps a program that has started engines.
    pub(crate) fn behind(process: Process, who: &str, ids: Vec<EngineId>) -> Self {
        Self {
            process,
            who: who.to_owned(),
            ids,
            is_launcher: true,
            reported: false,
        }
    }
}

impl Launched for Child {
    fn ids(&self) -> &[EngineId] {
        &self.ids
    }

    fn pid(&self) -> Option<u32> {
        (!self.is_launcher).then(|| self.process.pid())
    }

    fn next_end(&mut self) -> BoxFuture<'_, EndedProcesses> {
        async {
            if self.reported {
                return std::future::pending().await;
            }
            let (status, failed) = self.process.ended().await;
            self.reported = true;
            EndedProcesses {
                ids: self.ids.clone(),
                status,
                failed,
            }
        }
        .boxed()
    }

    fn end_of(&mut self, _: EngineId) -> Option<String> {
        self.process.status().map(|status| status.to_string())
    }

    fn printed(&mut self) -> BoxFuture<'_, PrintedText> {
        let who = self.who.clone();
        let text = self.process.last_words();
        std::future::ready(PrintedText { who, text }).boxed()
    }

    fn ask_to_end(&mut self) {
        self.process.ask_to_end();
    }

    fn end(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.process.end().boxed()
    }

    fn kill(self: Box<Self>) -> BoxFuture<'static, ()> {
        if self.is_launcher {
            self.process.ask_to_end();
            return self.process.end().boxed();
        }
        self.process.kill().boxed()
    }
}
