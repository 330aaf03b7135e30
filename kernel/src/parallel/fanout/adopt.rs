//! Adoption of engines' states created by other clients.

use super::FanoutError;
use super::submit::Fanout;
use crate::context::CellContext;
use phalanx_client::Client;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{EngineId, EngineUuid};

impl Fanout {
    /// Compiles the states of these engines that other clients have created.
    ///
    /// # Errors
    /// Returns an error if an engine does not report the cells that led to its state, they do not
    /// compile here, or the cell is interrupted.
    pub async fn adopt(
        &self,
        client: &Client,
        ids: &[EngineId],
        context: &CellContext,
    ) -> Result<(), Failure> {
        for engine in client.rust_engines() {
            let state = self.states.of(&engine);
            if !ids.contains(&engine.id)
                || (self.states.has_report(&engine.uuid) && self.compiler.has_state(state).await)
            {
                continue;
            }
            tokio::select! {
                adopted = self.adopt_of(client, engine.id, &engine.uuid, Some(context)) => adopted?,
                () = context.interrupted().cancelled() => {
                    return Err(Failure::Interrupted { lost: Vec::new() });
                }
            }
        }
        Ok(())
    }

    /// Queries these engines again, except those with pending tasks of this kernel; returns true if
    /// another client has changed a namespace.
    ///
    /// # Errors
    /// Returns the errors of [`adopt`](Self::adopt).
    pub async fn query_again(
        &self,
        client: &Client,
        ids: &[EngineId],
        context: &CellContext,
    ) -> Result<bool, Failure> {
        // Cells under way will still change the state of their engines.
        let busy = self.results.pending();
        let mut engines = client.rust_engines();
        engines.retain(|engine| ids.contains(&engine.id) && !busy.contains_key(&engine.id));
        let before: Vec<_> = engines
            .iter()
            .map(|e| self.states.last_reported(e))
            .collect();
        for engine in &engines {
            self.states.forget(&engine.uuid);
        }
        self.adopt(client, ids, context).await?;
        let after: Vec<_> = engines
            .iter()
            .map(|e| self.states.last_reported(e))
            .collect();
        Ok(before != after)
    }

    /// Compiles the state of one engine.
    ///
    /// # Errors
    /// Returns the errors of [`adopt`](Self::adopt).
    pub(super) async fn adopt_of(
        &self,
        client: &Client,
        id: EngineId,
        uuid: &EngineUuid,
        context: Option<&CellContext>,
    ) -> Result<(), Failure> {
        let lineage = client
            .lineage(id)
            .await
            .map_err(|error| FanoutError::NoLineage { engine: id, error })?;
        self.states.record_report(uuid, &lineage);
        if self.compiler.has_state(lineage.state.clone()).await {
            return Ok(());
        }
        self.compiler.adopt(lineage, context.cloned()).await
    }
}
