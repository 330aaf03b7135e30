//! The loop around the session: waits, lets it decide, performs.

use super::{Cell, Command, Event, Session};
use crate::channel::{Channels, Loudness, OpenError, Outlet};
use crate::report::report;
use crate::run::{CellCall, CellContext, Programs, Services, analyse, host, run_cell};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::jupyter::connection_info::ConnectionInfo;
use std::io;
use std::pin::Pin;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Why a kernel could not serve.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its channels could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system does not let it hear signals.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] io::Error),
}

struct Actor {
    channels: Channels,
    services: Services,
    /// The cell that is running.
    running: Option<CellContext>,
    /// Everything done on behalf of requests; each ends with an event or none.
    tasks: JoinSet<Option<Event>>,
}

enum Arrived {
    Event(Event),
    Call(CellCall),
    Terminate,
    Nothing,
}

/// Serves a frontend until it says `shutdown`, the system says SIGTERM, or `parent` ends.
///
/// # Errors
/// When the channels cannot be opened.
pub async fn run(
    connection: ConnectionInfo,
    programs: Programs,
    parent: Option<u32>,
) -> Result<(), RunError> {
    let channels = Channels::open(&connection).await?;
    let mut ends = Ends {
        terminate: signal(SignalKind::terminate()).map_err(RunError::Signals)?,
        parent: Box::pin(phalanx_engine::parent::ended(parent)),
    };
    // Ctrl-C in the terminal reaches every process there; frontends interrupt by message.
    let _interrupts = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    // Unbounded: each call's code waits for its answer.
    let (calls_tx, mut calls) = mpsc::unbounded_channel();
    let (services, owners) = Services::start(&programs, calls_tx);
    let mut actor = Actor {
        channels,
        services,
        running: None,
        tasks: JoinSet::new(),
    };
    let mut session = Session::new(connection);
    loop {
        let event = match actor.next(&mut calls, &mut ends).await {
            Arrived::Event(event) => event,
            Arrived::Call(call) => {
                actor.serve(call);
                continue;
            }
            Arrived::Terminate => break,
            Arrived::Nothing => continue,
        };
        if actor.perform_all(session.handle(event)).await == Next::Exit {
            break;
        }
    }
    actor.tasks.shutdown().await;
    // What waits for an answer holds on to the services.
    drop(calls);
    drop(actor.services);
    owners.ended().await;
    actor.channels.close().await;
    Ok(())
}

/// What ends a kernel apart from its frontend.
struct Ends {
    terminate: Signal,
    parent: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ends {
    /// Returns when one of them has come. Cancel-safe; not to be called again after it returned.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            () = &mut self.parent => {}
        }
    }
}

#[derive(PartialEq)]
enum Next {
    GoOn,
    Exit,
}

impl Actor {
    /// Requests come before the ends of cells, so that a failing cell aborts all that wait.
    async fn next(
        &mut self,
        calls: &mut mpsc::UnboundedReceiver<CellCall>,
        ends: &mut Ends,
    ) -> Arrived {
        tokio::select! {
            biased;
            () = ends.next() => Arrived::Terminate,
            request = self.channels.next() => Arrived::Event(Event::Request(request)),
            Some(call) = calls.recv() => Arrived::Call(call),
            Some(done) = self.tasks.join_next() => match done {
                Ok(Some(event)) => Arrived::Event(event),
                Ok(None) => Arrived::Nothing,
                Err(error) => {
                    tracing::error!(%error, "a task of the kernel ended before its time");
                    self.task_lost()
                }
            },
        }
    }

    /// A task has panicked; if it was the cell's, the cell still has to end.
    fn task_lost(&mut self) -> Arrived {
        if self.running.is_none() {
            return Arrived::Nothing;
        }
        let failure = Failure::Internal {
            message: "a task of the kernel panicked".to_owned(),
        };
        Arrived::Event(Event::CellEnded {
            result: Err(report(&failure.into())),
            value: None,
        })
    }

    async fn perform_all(&mut self, commands: Vec<Command>) -> Next {
        for command in commands {
            match command {
                Command::Publish(from, content) => {
                    self.channels.iopub().publish(&from, content).await;
                }
                Command::Reply(from, content) => self.channels.reply(&from, content).await,
                Command::Run(cell) => self.run(cell),
                Command::Interrupt => {
                    if let Some(context) = &self.running {
                        self.services.interrupt(context);
                    }
                }
                Command::Complete(from, request) => {
                    let services = self.services.clone();
                    self.tasks.spawn(async move {
                        let reply = analyse::complete(&services, request).await;
                        Some(Event::Answered { from, reply })
                    });
                }
                Command::Inspect(from, request) => {
                    let services = self.services.clone();
                    self.tasks.spawn(async move {
                        let reply = analyse::inspect(&services, request).await;
                        Some(Event::Answered { from, reply })
                    });
                }
                Command::Exit => return Next::Exit,
            }
        }
        Next::GoOn
    }

    fn run(&mut self, cell: Cell) {
        let loudness = if cell.silent {
            Loudness::Silent
        } else {
            Loudness::Loud
        };
        let iopub = self.channels.iopub().clone();
        let outlet = Outlet::new(iopub, cell.from, cell.count, loudness);
        let context = CellContext::new(outlet, &cell.source, cell.count);
        self.running = Some(context.clone());
        let services = self.services.clone();
        self.tasks.spawn(async move {
            let result = run_cell(&services, &context, &cell.source).await;
            context.settle(result.is_err()).await;
            Some(Event::CellEnded {
                result: result.map_err(|fault| report(&fault)),
                value: context.outlet().result_text(),
            })
        });
    }

    /// Answers a call of the library, beside the cell that waits for it.
    fn serve(&mut self, CellCall { context, call }: CellCall) {
        let services = self.services.clone();
        let calls = context.calls().clone();
        self.tasks.spawn(calls.track_future(async move {
            tokio::select! {
                reply = host::serve(&services, &context, call.request) => call.reply.send(reply),
                () = context.abandoned().cancelled() => {}
            }
            None
        }));
    }
}
