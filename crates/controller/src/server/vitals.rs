//! The state of engines: their own reports, and their failures.

use super::state::ServerState;
use phalanx_protocol::id::EngineUuid;
use phalanx_protocol::parallel::{EngineReport, EnginesReply, LastError, Vitals};
use phalanx_transport::{Envelope, Frames, RawMessage};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The number of characters shown of an error's message.
const MAX_MESSAGE_CHARS: usize = 300;

/// The outcome of a request on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// It has succeeded, or was aborted.
    Done,
    /// It has failed.
    Failed,
    /// The engine has not run it; the client sends it again in another form, or the scheduler to
    /// another engine.
    Refused,
}

/// The state of one engine.
#[derive(Debug, Default)]
pub(super) struct EngineVitals {
    reported: Option<Vitals>,
    failed: usize,
    last_error: Option<LastError>,
}

/// The fields of a reply's metadata that determine its outcome.
#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(default)]
    phalanx: Option<ReplyReason>,
}

/// The part of [`ReplyExtension`](phalanx_protocol::parallel::ReplyExtension) that is needed here.
#[derive(Deserialize)]
struct ReplyReason {
    #[serde(default)]
    reason: Option<IgnoredAny>,
}

impl Status<'_> {
    fn outcome(&self) -> RequestOutcome {
        let extension = self.phalanx.as_ref();
        let is_refused = extension.is_some_and(|extension| extension.reason.is_some());
        match &*self.status {
            "error" if is_refused => RequestOutcome::Refused,
            "error" => RequestOutcome::Failed,
            _ => RequestOutcome::Done,
        }
    }
}

/// The fields shown of the content of a failed reply.
#[derive(Deserialize)]
struct ErrorFields<'a> {
    #[serde(borrow, default)]
    ename: Cow<'a, str>,
    #[serde(borrow, default)]
    evalue: Cow<'a, str>,
}

impl ServerState {
    /// Handles an engine's report of its process, sent with a heartbeat; unsigned reports are
    /// ignored.
    pub(super) fn reported(&mut self, engine: EngineUuid, frames: Frames) {
        let message = RawMessage::verify(frames, self.session.key()).and_then(Envelope::parse);
        if let Ok(message) = message
            && let Ok(vitals) = message.content::<Vitals>()
            && self.hub.contains(&engine)
        {
            self.vitals.entry(engine).or_default().reported = Some(vitals);
        }
    }

    /// Reads a reply of an engine, and records the error in it; a refusal is none.
    pub(super) fn record_outcome(
        &mut self,
        engine: &EngineUuid,
        reply: &RawMessage,
    ) -> RequestOutcome {
        let status = serde_json::from_slice::<Status<'_>>(&reply.metadata);
        let outcome = status.map_or(RequestOutcome::Done, |status| status.outcome());
        if outcome != RequestOutcome::Failed {
            return outcome;
        }
        let Ok(error) = serde_json::from_slice::<ErrorFields<'_>>(&reply.content) else {
            return outcome;
        };
        let known = self.vitals.entry(engine.clone()).or_default();
        known.last_error = Some(LastError {
            ename: error.ename.into_owned(),
            evalue: error.evalue.chars().take(MAX_MESSAGE_CHARS).collect(),
            received: chrono::Utc::now(),
        });
        outcome
    }

    /// Counts the outcome of a request whose reply goes to the client.
    pub(super) fn count(&mut self, engine: &EngineUuid, outcome: RequestOutcome) {
        if outcome == RequestOutcome::Refused || !self.hub.contains(engine) {
            return;
        }
        self.records.completes(engine);
        if outcome == RequestOutcome::Failed {
            self.vitals.entry(engine.clone()).or_default().failed += 1;
        }
    }

    /// The state of all engines.
    pub(super) fn engines_reply(&self) -> EnginesReply {
        let engines = self.hub.engines().into_iter().map(|(id, uuid)| {
            let known = self.vitals.get(&uuid);
            let status = EngineReport {
                tasks: self.direct.load_of(&uuid) + self.scheduler.load_of(&uuid),
                completed: self.records.completed_by(&uuid),
                failed: known.map_or(0, |known| known.failed),
                vitals: known.and_then(|known| known.reported.clone()),
                last_error: known.and_then(|known| known.last_error.clone()),
                uuid,
            };
            (id, status)
        });
        EnginesReply {
            status: "ok".to_owned(),
            unassigned: self.scheduler.waiting_count(),
            refused: self.refused,
            engines: engines.collect(),
        }
    }
}
