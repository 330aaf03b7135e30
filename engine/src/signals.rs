//! Signals to the engine's own process.

use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A request from somebody on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessSignal {
    /// End the running cell.
    Interrupt,
    /// End.
    Stop,
}

/// SIGTERM and SIGHUP end the engine. SIGINT ends the running cell, as with ipyparallel's engines;
/// from a terminal it ends the engine.
///
/// # Errors
/// When the system does not let us handle them.
pub fn listen() -> std::io::Result<mpsc::Receiver<ProcessSignal>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let on_interrupt = if std::io::stdin().is_terminal() {
        ProcessSignal::Stop
    } else {
        ProcessSignal::Interrupt
    };
    // One of each may wait; more say nothing new.
    let (sender, receiver) = mpsc::channel(3);
    // Ends with the receiver, at the next signal, or with the process.
    tokio::spawn(async move {
        loop {
            let wish = tokio::select! {
                Some(()) = interrupt.recv() => on_interrupt,
                Some(()) = terminate.recv() => ProcessSignal::Stop,
                Some(()) = hangup.recv() => ProcessSignal::Stop,
                () = sender.closed() => return,
            };
            if sender.send(wish).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
