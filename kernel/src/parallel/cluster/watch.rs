//! The panel of `%cluster watch`, updated under its cell while the cluster runs.

use super::panel::Panel;
use super::rows;
use crate::channel::OutputSink;
use phalanx_client::{Client, ClientEvent};
use phalanx_protocol::output::{Display, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The interval of updates; nothing is sent if the panel is unchanged.
const INTERVAL: Duration = Duration::from_secs(1);
/// The number of engines up to which the panel is updated every second; more take longer intervals.
const ENGINES_PER_INTERVAL: u32 = 200;

/// A handle on the current panel, if any. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ClusterWatch(
    /// Locked for an assignment. Dropped with the next panel, with the cluster, or with the kernel.
    Arc<Mutex<Option<DropGuard>>>,
);

impl ClusterWatch {
    /// Shows the panel of a client's cluster under a cell, replacing an earlier panel.
    pub async fn show(&self, client: Client, sink: OutputSink) {
        let replaced = CancellationToken::new();
        self.replace(Some(replaced.clone().drop_guard()));
        let panel = look(&client).await;
        if sink.is_terminal() {
            // A console cannot update it.
            sink.display(panel.bundle()).await;
            return;
        }
        let screen = PanelDisplay {
            sink,
            id: uuid::Uuid::new_v4().to_string(),
        };
        screen.draw(&panel, false).await;
        // Ends with the cluster, or when another panel replaces it.
        tokio::spawn(update_panel(client, screen, panel, replaced));
    }

    /// Ends the panel of a cluster that is about to be disconnected.
    pub fn end(&self) {
        self.replace(None);
    }

    fn replace(&self, panel: Option<DropGuard>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = panel;
    }
}

/// The display of a panel.
struct PanelDisplay {
    sink: OutputSink,
    id: String,
}

impl PanelDisplay {
    async fn draw(&self, panel: &Panel, update: bool) {
        let display = Display {
            data: panel.bundle(),
            display_id: Some(self.id.clone()),
            update,
            ..Display::default()
        };
        self.sink.output(Output::Display(display)).await;
    }
}

async fn look(client: &Client) -> Panel {
    let known = rows::ask(client).await;
    Panel {
        rows: rows::rows(&client.engines(), known.as_ref()),
        unassigned: known.as_ref().map_or(0, |known| known.unassigned),
        refused: known.as_ref().map_or(0, |known| known.refused),
        end: None,
    }
}

async fn update_panel(
    client: Client,
    screen: PanelDisplay,
    mut shown: Panel,
    replaced: CancellationToken,
) {
    let mut events = client.events();
    let end = loop {
        let engines = u32::try_from(shown.rows.len()).unwrap_or(u32::MAX);
        let interval = INTERVAL * (engines / ENGINES_PER_INTERVAL + 1);
        tokio::select! {
            () = replaced.cancelled() => break "No longer watched.",
            () = disconnected(&mut events) => break "The cluster has ended.",
            () = tokio::time::sleep(interval) => {}
        }
        let panel = look(&client).await;
        if panel != shown {
            screen.draw(&panel, true).await;
            shown = panel;
        }
    };
    shown.end = Some(end);
    screen.draw(&shown, true).await;
}

/// Waits until the controller is lost for good.
async fn disconnected(events: &mut mpsc::UnboundedReceiver<ClientEvent>) {
    while let Some(event) = events.recv().await {
        if matches!(event, ClientEvent::Disconnected { .. }) {
            return;
        }
    }
}
