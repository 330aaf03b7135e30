//! Requests about the engine itself, which are answered at once.

use super::event::{Ask, Command, Request};
use super::failure::{self, Failure};
use super::{ABORTED, Machine, Now, RuntimeState, status};
use phalanx_protocol::id::MsgId;
use phalanx_protocol::parallel::{PHALANX, Signal};
use serde_json::{Value, json};

impl Machine {
    pub(super) fn control(&mut self, request: Request, now: Now, commands: &mut Vec<Command>) {
        status(&request, "busy", commands);
        match request.ask.clone() {
            Ask::KernelInfo => {
                let info = self.kernel_info();
                self.answer(request, info, now, commands);
            }
            Ask::Lineage => {
                let mut lineage = json!(self.records.lineage(self.state.clone()));
                lineage["status"] = json!("ok");
                self.answer(request, lineage, now, commands);
            }
            Ask::Abort(ids) => {
                self.abort(&ids, now, commands);
                self.answer(request, json!({"status": "ok"}), now, commands);
            }
            Ask::Clear => {
                self.clear(commands);
                self.answer(request, json!({"status": "ok"}), now, commands);
            }
            Ask::Shutdown => {
                let content = json!({"status": "ok", "restart": false});
                self.answer(request, content, now, commands);
                self.flush(commands);
                commands.push(Command::Stop);
            }
            Ask::Signal(signal) => self.signal(request, &signal, now, commands),
            Ask::Unknown | Ask::Execute { .. } | Ask::Apply { .. } => {
                let text = format!("engines do not answer `{}`", request.header.msg_type);
                let failure = Failure::new("UsageError", text);
                self.reply_failed(request, &failure, now, commands);
            }
        }
    }

    /// Ends the cell that runs, and only that.
    pub(super) fn interrupt(&mut self, commands: &mut Vec<Command>) {
        if let Some(current) = &mut self.current {
            current.interrupted = true;
            if current.running {
                commands.push(Command::Interrupt);
            }
        }
    }

    fn answer(&mut self, request: Request, content: Value, now: Now, commands: &mut Vec<Command>) {
        let metadata = self.metadata(&request, "ok", now, None);
        self.reply(request, content, metadata, commands);
    }

    fn signal(&mut self, request: Request, signal: &Signal, now: Now, commands: &mut Vec<Command>) {
        let Some(number) = signal.number() else {
            let failure = failure::unknown_signal(signal);
            self.reply_failed(request, &failure, now, commands);
            return;
        };
        match number {
            0 => {}
            Signal::INTERRUPT => self.interrupt(commands),
            Signal::KILL => commands.push(Command::Kill),
            Signal::TERMINATE => {}
            other => commands.push(Command::Signal(other)),
        }
        self.answer(request, json!({"status": "ok"}), now, commands);
        if number == Signal::TERMINATE {
            self.flush(commands);
            commands.push(Command::Stop);
        }
    }

    fn abort(&mut self, ids: &[MsgId], now: Now, commands: &mut Vec<Command>) {
        let (dropped, kept) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|request: &Request| ids.is_empty() || ids.contains(&request.msg_id()));
        self.queue = kept;
        self.drop_ahead(ids, commands);
        let current = self.current.iter().map(|c| c.request.msg_id());
        let mut come = current.chain(self.ahead.ids()).collect::<Vec<_>>();
        for request in dropped {
            come.push(request.msg_id());
            self.reply_aborted(request, now, commands);
        }
        for id in ids.iter().filter(|id| !come.contains(id)) {
            if self.aborted.len() == ABORTED {
                self.aborted.pop_front();
            }
            self.aborted.push_back(id.clone());
        }
    }

    fn clear(&mut self, commands: &mut Vec<Command>) {
        match &mut self.current {
            Some(current) if current.running => {
                current.interrupted = true;
                current.clear = true;
            }
            _ => {
                self.forget_all();
                if self.runtime == RuntimeState::Up {
                    self.forget();
                }
            }
        }
        commands.push(Command::Kill);
    }

    fn kernel_info(&self) -> Value {
        json!({
            "status": "ok",
            "protocol_version": phalanx_transport::wire::VERSION,
            "implementation": "phalanx-engine",
            "implementation_version": env!("CARGO_PKG_VERSION"),
            "language_info": {
                "name": "rust",
                "version": "",
                "mimetype": "text/rust",
                "file_extension": ".rs",
            },
            "banner": format!("Phalanx engine {}", self.identity.id),
            "help_links": [],
            PHALANX: self.handshake(),
        })
    }
}
