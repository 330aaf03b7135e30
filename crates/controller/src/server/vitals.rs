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

/// The state of one engine.
#[derive(Debug, Default)]
pub(super) struct EngineVitals {
    reported: Option<Vitals>,
    failed: usize,
    last_error: Option<LastError>,
}

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
    /// Returns true if the task has failed; one that is refused is sent again by its client.
    fn is_failure(&self) -> bool {
        let extension = self.phalanx.as_ref();
        self.status == "error" && extension.is_none_or(|extension| extension.reason.is_none())
    }
}

#[derive(Deserialize)]
struct VitalsText<'a> {
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

    /// Handles a reply of an engine: a failure is recorded, a refusal is not.
    pub(super) fn noted(&mut self, engine: &EngineUuid, reply: &RawMessage) {
        let status = serde_json::from_slice::<Status<'_>>(&reply.metadata);
        if !status.is_ok_and(|metadata| metadata.is_failure()) {
            return;
        }
        let Ok(words) = serde_json::from_slice::<VitalsText<'_>>(&reply.content) else {
            return;
        };
        let known = self.vitals.entry(engine.clone()).or_default();
        known.failed += 1;
        known.last_error = Some(LastError {
            ename: words.ename.into_owned(),
            evalue: words.evalue.chars().take(MAX_MESSAGE_CHARS).collect(),
            received: chrono::Utc::now(),
        });
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
            engines: engines.collect(),
        }
    }
}
