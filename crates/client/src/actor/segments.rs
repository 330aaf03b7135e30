//! The values that engines send as references to shared memory.

use crate::state::segments::ReceivedSegment;
use phalanx_protocol::parallel::EngineReply;
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_sys::segment;
use phalanx_transport::warn_rarely;

/// Opens the segments that an engine's reply refers to; returns them with the positions of their
/// values. Values that cannot be opened become empty.
pub(super) fn open_segments(reply: &mut EngineReply) -> Vec<(usize, ReceivedSegment)> {
    let mut opened = Vec::new();
    let Some(engine) = reply.metadata.engine.clone() else {
        return opened;
    };
    for (at, value) in reply.values_mut().enumerate() {
        let Payload::Segment(segment) = value else {
            continue;
        };
        let reference = Segment::clone(segment);
        let error = match segment::hold(vec![std::mem::take(value)]) {
            Ok(mut taken) => {
                *value = taken.pop().unwrap_or_default();
                None
            }
            Err(error) => {
                warn_rarely!(%error, %engine, "a large value cannot be opened");
                Some(error.to_string())
            }
        };
        opened.push((at, ReceivedSegment { reference, error }));
    }
    opened
}
