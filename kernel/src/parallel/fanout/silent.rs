//! Engines that do not answer: cells and calls for all engines run on the others.

use super::Fanout;
use crate::context::CellContext;
use crate::report::{Notice, notice};
use phalanx_client::{Client, Engine};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::output::StreamName;
use phalanx_protocol::parallel::EngineKind;
use std::sync::{Arc, Mutex, PoisonError};

/// The last warning, by the execution count of its cell: a cell may make many calls.
#[derive(Clone, Debug, Default)]
pub struct SilentWarning(Arc<Mutex<(usize, Vec<EngineId>)>>);

impl Fanout {
    /// Warns, once in a cell, if work for all engines leaves some out because they do not answer.
    pub async fn warn_of_silent(
        &self,
        client: &Client,
        targets: &[EngineId],
        context: &CellContext,
    ) {
        let left_out = left_out(&client.engines(), targets);
        if !left_out.is_empty() && self.silent.is_new(context.count(), &left_out) {
            let text = notice(&Notice::Silent(left_out));
            context.sink().text(StreamName::Stderr, text).await;
        }
    }
}

impl SilentWarning {
    /// Records a warning; returns true if the cell has not shown it yet.
    fn is_new(&self, count: usize, engines: &[EngineId]) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = (count, engines.to_vec());
        std::mem::replace(&mut *last, warning.clone()) != warning
    }
}

/// Returns those of these engines that do not answer.
pub fn silent(engines: &[Engine]) -> Vec<EngineId> {
    let silent = engines
        .iter()
        .filter(|engine| engine.kind == EngineKind::Silent);
    silent.map(|engine| engine.id).collect()
}

/// Returns the engines that do not answer, if the targets are all the others that run Rust.
fn left_out(engines: &[Engine], targets: &[EngineId]) -> Vec<EngineId> {
    let mut rust = engines.iter().filter(|engine| engine.handshake().is_some());
    match rust.all(|engine| targets.contains(&engine.id)) {
        true => silent(engines),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineUuid;

    #[test]
    fn a_cell_for_all_engines_warns_once_of_those_that_do_not_answer() {
        let engine = |id: u32, kind: EngineKind| Engine {
            id: EngineId(id),
            uuid: EngineUuid::new("e"),
            kind,
        };
        let engines = [
            engine(0, EngineKind::Silent),
            engine(1, EngineKind::Foreign),
        ];
        assert_eq!(left_out(&engines, &[]), [EngineId(0)]);
        assert!(left_out(&engines[1..], &[]).is_empty());
        let warning = SilentWarning::default();
        let shown = |count| warning.is_new(count, &[EngineId(0)]);
        assert_eq!([shown(1), shown(1), shown(2)], [true, false, true]);
        let text = notice(&Notice::Silent(vec![EngineId(0)]));
        assert_eq!(
            text,
            "engine 0 does not answer, and is left out (stopped, unreachable, or Python at work)\n"
        );
    }
}
