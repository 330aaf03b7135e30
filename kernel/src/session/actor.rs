//! The session's actor: waits for events, passes them to the session, performs its commands.

use super::connection::{Connection, ConnectionError};
use super::error::RequestError;
use super::history::History;
use super::usage::Usage;
use super::{CellId, Extras, Session, SessionCell, SessionCommand, SessionEvent};
use crate::channel::{Channels, InputPrompter, OutputSink, OutputVisibility, Requester};
use crate::comm::Comms;
use crate::context::{CellContext, Programs};
use crate::report::{output, report};
use crate::run::{CellCall, Services, evaluate_expression, host, run_cell};
use futures::FutureExt;
use phalanx_protocol::evaluator::Toolchain;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{CellRequest, KernelRequest};
use phalanx_protocol::jupyter::{ExpressionResult, JupyterMessageContent};
use phalanx_runtime::HostCall;
use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

/// The time frontends have to read the reply of a cell that quits: `jupyter console` reads nothing
/// more once the kernel's process has ended.
const QUIT_DELAY: Duration = Duration::from_millis(500);

/// An error that stops the kernel from serving.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The channels could not be opened or announced.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The signal handlers could not be installed.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] io::Error),
}

pub(super) struct SessionActor {
    pub(super) channels: Channels,
    pub(super) services: Services,
    pub(super) comms: Comms,
    /// The contexts of the cells that [`Session`] knows as running, to interrupt them.
    pub(super) running: HashMap<CellId, CellContext>,
    toolchain: watch::Receiver<Option<Toolchain>>,
    history: History,
    usage: Usage,
    /// The tasks that serve requests; each yields at most one event, even if it panics.
    pub(super) tasks: JoinSet<Option<SessionEvent>>,
}

enum SessionInput {
    Event(SessionEvent),
    Call(CellCall),
    CommsDue,
    Terminate,
    Nothing,
}

/// Serves a frontend until a `shutdown_request`, SIGTERM, or the end of `parent`.
///
/// # Errors
/// Returns an error if the channels cannot be opened or announced, or if signal handlers cannot be
/// installed.
pub async fn run(
    connection: Connection,
    programs: Programs,
    parent: Option<u32>,
) -> Result<(), RunError> {
    let (channels, connection, announcement) = connection.open().await?;
    let mut endings = KernelEndings {
        terminate: signal(SignalKind::terminate()).map_err(RunError::Signals)?,
        interrupt: signal(SignalKind::interrupt()).map_err(RunError::Signals)?,
        by_hand: announcement.is_some(),
        parent: Box::pin(phalanx_engine::parent::ended(parent)),
    };
    // Unbounded: the code of each call waits for its reply.
    let (calls_tx, mut calls) = mpsc::unbounded_channel();
    let (services, owners) = Services::start(&programs, calls_tx);
    let toolchain = services.local().toolchain_changes();
    let mut actor = SessionActor {
        channels,
        services,
        comms: Comms::default(),
        running: HashMap::new(),
        toolchain,
        history: History::open(),
        usage: Usage::default(),
        tasks: JoinSet::new(),
    };
    let mut session = Session::new(connection);
    loop {
        let event = match actor.next(&mut calls, &mut endings).await {
            SessionInput::Event(event) => event,
            SessionInput::Call(call) => {
                actor.serve(call).await;
                continue;
            }
            SessionInput::CommsDue => {
                actor.comms_due().await;
                continue;
            }
            SessionInput::Terminate => break,
            SessionInput::Nothing => continue,
        };
        if let SessionEvent::CellEnded { cell, .. } = &event {
            actor.comms_settled(*cell).await;
        }
        if actor.perform_all(session.handle(event)).await == NextStep::Exit {
            break;
        }
    }
    actor.tasks.shutdown().await;
    // Tasks that wait for a reply hold clones of the services.
    drop(calls);
    drop(actor.services);
    owners.ended().await;
    actor.channels.close().await;
    actor.history.close().await;
    Ok(())
}

/// The events that end the kernel without a `shutdown_request`.
struct KernelEndings {
    terminate: Signal,
    /// SIGINT. Ctrl-C in a terminal reaches the whole process group; frontends interrupt by
    /// message.
    interrupt: Signal,
    /// True if the kernel was started by hand, where Ctrl-C ends it.
    by_hand: bool,
    parent: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl KernelEndings {
    /// Waits for the first of these events. Cancel safe; must not be called after it has returned.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv(), if self.by_hand => {}
            () = &mut self.parent => {}
        }
    }
}

#[derive(PartialEq)]
enum NextStep {
    GoOn,
    Exit,
}

impl SessionActor {
    /// Waits for the next input. Requests take precedence over the ends of cells, so that a failing
    /// cell aborts every queued one. Cancel safe.
    async fn next(
        &mut self,
        calls: &mut mpsc::UnboundedReceiver<CellCall>,
        endings: &mut KernelEndings,
    ) -> SessionInput {
        let due = self.comms_deadline();
        tokio::select! {
            biased;
            () = endings.next() => SessionInput::Terminate,
            // Fails once the namespace has ended, with the kernel.
            Ok(()) = self.toolchain.changed() => {
                let toolchain = self.toolchain.borrow();
                let version = toolchain.as_ref().and_then(Toolchain::version);
                let version = version.map(str::to_owned);
                SessionInput::Event(SessionEvent::Toolchain { version })
            }
            request = self.channels.next() => SessionInput::Event(SessionEvent::Request(request)),
            Some(call) = calls.recv() => SessionInput::Call(call),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                SessionInput::CommsDue
            }
            Some(done) = self.tasks.join_next() => match done {
                Ok(Some(event)) => SessionInput::Event(event),
                Ok(None) => SessionInput::Nothing,
                Err(error) => {
                    tracing::error!(%error, "a task of the kernel ended early");
                    SessionInput::Nothing
                }
            },
        }
    }

    async fn perform_all(&mut self, commands: Vec<SessionCommand>) -> NextStep {
        for command in commands {
            match command {
                SessionCommand::Publish(from, content) => {
                    self.channels.iopub().publish(&from, content).await;
                }
                SessionCommand::Reply(from, content) => self.channels.reply(&from, content).await,
                SessionCommand::Run(cell) => self.run(cell),
                SessionCommand::InterruptCell(cell) => {
                    if let Some(context) = self.running.get(&cell) {
                        self.services.interrupt(context);
                    }
                }
                SessionCommand::InterruptCallbacks => self.services.local().interrupt(),
                SessionCommand::Complete(from, request) => {
                    let introspection = self.services.introspection();
                    let reply = async move { introspection.complete(request).await };
                    self.spawn_reply(from, reply);
                }
                SessionCommand::Inspect(from, request) => {
                    let introspection = self.services.introspection();
                    let reply = async move { introspection.inspect(request).await };
                    self.spawn_reply(from, reply);
                }
                SessionCommand::Remember { count, source } => self.history.add(count, source),
                SessionCommand::RememberValue { count, value } => {
                    self.history.set_result(count, value)
                }
                SessionCommand::History(from, request) => {
                    let reply = self.history.reply(request);
                    self.spawn_reply(from, async { reply.await.into() });
                }
                SessionCommand::Usage(from) => {
                    let reply = self.usage.measure(Instant::now());
                    self.spawn_reply(from, async { reply });
                }
                SessionCommand::CommInfo(from, target) => {
                    let reply = self.comms.info(target.as_deref());
                    self.spawn_reply(from, async { reply.into() });
                }
                SessionCommand::Comm(from, event) => self.comm(from, event).await,
                SessionCommand::Quit => {
                    // Ends with the kernel, at the latest.
                    self.tasks.spawn(async {
                        sleep(QUIT_DELAY).await;
                        Some(SessionEvent::QuitDue)
                    });
                }
                SessionCommand::Exit => return NextStep::Exit,
            }
        }
        NextStep::GoOn
    }

    /// Spawns a task that replies to a request.
    fn spawn_reply(
        &mut self,
        from: Requester,
        reply: impl Future<Output = JupyterMessageContent> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            let replied = async { Ok::<_, Failure>(reply.await) };
            Some(match guarded(replied).await {
                Ok(reply) => SessionEvent::Replied {
                    from,
                    reply: Some(reply),
                },
                Err(failure) => SessionEvent::Failed { from, failure },
            })
        });
    }

    fn run(&mut self, cell: SessionCell) {
        let visibility = if cell.silent {
            OutputVisibility::Silent
        } else {
            OutputVisibility::Published
        };
        let iopub = self.channels.iopub().clone();
        let sink = OutputSink::new(iopub, cell.from.clone(), cell.count, visibility);
        let sink = match cell.from.is_console(cell.allow_stdin) {
            true => sink.on_terminal(),
            false => sink,
        };
        let input = self.channels.input().clone();
        let prompter = InputPrompter::new(input, cell.from.clone(), cell.allow_stdin);
        let context = CellContext::new(sink, prompter, &cell.source, cell.count);
        self.running.insert(cell.id, context.clone());
        let services = self.services.clone();
        self.tasks.spawn(async move {
            let result = guarded(run_cell(&services, &context, &cell.source)).await;
            let value = context.sink().value();
            let mut extras = Extras {
                payload: context.sink().take_payload(),
                ..Extras::default()
            };
            if result.is_ok() {
                extras.expressions = expressions(&services, &context, &cell).await;
            }
            context.settle(result.is_err()).await;
            Some(SessionEvent::CellEnded {
                cell: cell.id,
                result: result.map_err(|fault| report(&fault)),
                value: value.and_then(|value| value.text().map(str::to_owned)),
                extras,
            })
        });
    }

    /// Spawns a task that replies to a call of the library; the calling cell waits for the reply.
    async fn serve(&mut self, CellCall { context, call }: CellCall) {
        let HostCall {
            request,
            raw,
            mut reply,
            ..
        } = call;
        let request = match request {
            KernelRequest::Comm(request) => {
                self.comm_call(context.sink().cause(), request, reply).await;
                return;
            }
            KernelRequest::Cell(request) => request,
        };
        let services = self.services.clone();
        let calls = context.calls().clone();
        let reads_input = matches!(request, CellRequest::Input { .. } | CellRequest::ReadLine);
        let served = async move {
            tokio::select! {
                (result, raw) = host::serve(&services, &context, request, raw) => {
                    reply.send_with(result, raw);
                }
                () = reply.closed() => {}
                () = context.abandoned().cancelled() => {}
            }
            None
        };
        if reads_input {
            // Not tracked: in an interrupted cell it never ends by itself, and `settle` would wait.
            self.tasks.spawn(served);
        } else {
            self.tasks.spawn(calls.track_future(served));
        }
    }
}

/// Evaluates a cell's `user_expressions`; the failure of one does not affect the others.
async fn expressions(
    services: &Services,
    context: &CellContext,
    cell: &SessionCell,
) -> HashMap<String, ExpressionResult> {
    let mut results = HashMap::new();
    for (name, source) in &cell.user_expressions {
        let context = context.of_expression(source);
        let value = guarded(evaluate_expression(services, &context, source)).await;
        let result = match value {
            Ok(value) => ExpressionResult::Ok {
                data: output::media(value),
                metadata: serde_json::Map::new(),
            },
            Err(fault) => {
                let error = report(&fault);
                ExpressionResult::Error {
                    ename: error.ename,
                    evalue: error.evalue,
                    traceback: error.traceback,
                }
            }
        };
        results.insert(name.clone(), result);
    }
    results
}

/// Awaits a future and converts a panic in it into a failure, since a caller waits for the result.
async fn guarded<T, E: From<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(Failure::from(RequestError::Panicked).into()),
    }
}
