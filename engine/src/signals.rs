//! Signals to the engine process.

use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A request made by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessSignal {
    /// Interrupt the running cell.
    Interrupt,
    /// End the engine.
    Stop,
}

/// Handles SIGTERM and SIGHUP, which end the engine, and SIGINT, which interrupts the running cell
/// as in ipyparallel's engines; from a terminal it ends the engine.
///
/// # Errors
/// Returns an error if the signal handlers cannot be installed.
pub fn listen() -> std::io::Result<mpsc::Receiver<ProcessSignal>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let on_interrupt = if std::io::stdin().is_terminal() {
        ProcessSignal::Stop
    } else {
        ProcessSignal::Interrupt
    };
    // One of each may be queued; further ones add nothing.
    let (sender, receiver) = mpsc::channel(3);
    // Ends with the receiver at the next signal, or with the process.
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = interrupt.recv() => on_interrupt,
                Some(()) = terminate.recv() => ProcessSignal::Stop,
                Some(()) = hangup.recv() => ProcessSignal::Stop,
                () = sender.closed() => return,
            };
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
