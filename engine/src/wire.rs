//! Conversion between messages and the machine's events and commands.

use crate::machine::{
    EngineEvent, EngineIdentity, EngineRequestChannel, IncomingRequest, OutgoingReply,
};
use phalanx_protocol::parallel::{
    Call, CallBatch, EchoedMetadata, EnginePublication, EngineRequest,
};
use phalanx_transport::wire::Header;
use phalanx_transport::{Envelope, Frames, Session, WireError};

/// Converts a request to an event: a single request, or the calls of a batch.
pub(crate) fn requested(
    channel: EngineRequestChannel,
    envelope: Envelope,
    content: EngineRequest,
) -> EngineEvent {
    let request = |content| IncomingRequest {
        echo: EchoedMetadata::decode(envelope.message()),
        channel,
        route: envelope.identities.clone(),
        header: envelope.header.clone(),
        batched: false,
        content,
    };
    match content {
        EngineRequest::Batch(batch) => {
            let whole = request(EngineRequest::Unknown);
            EngineEvent::Batch(apart(&whole, batch))
        }
        content => EngineEvent::Requested(Box::new(request(content))),
    }
}

/// Splits a batch into its calls.
fn apart(message: &IncomingRequest, batch: CallBatch) -> Vec<IncomingRequest> {
    let call = |(msg_id, call): (phalanx_protocol::id::MsgId, Call)| IncomingRequest {
        header: Header {
            msg_id: msg_id.as_str().to_owned(),
            ..message.header.clone()
        },
        batched: true,
        content: EngineRequest::Apply(Ok(call)),
        ..message.clone()
    };
    batch.calls().map(call).collect()
}

/// Encodes a reply for its channel.
pub(crate) fn reply(reply: OutgoingReply, session: &Session) -> Result<Frames, WireError> {
    let OutgoingReply { request, reply, .. } = reply;
    let mut envelope = session.compose(reply.encode(&request.header.msg_type));
    envelope.identities = request.route;
    envelope.parent_header = Some(request.header);
    envelope.seal(session.key())
}

/// Encodes a publication under the topic `engine.<id>.<type>`.
pub(crate) fn publication(
    parent: Option<Header>,
    publication: EnginePublication,
    identity: &EngineIdentity,
    session: &Session,
) -> Result<Frames, WireError> {
    let topic = format!("engine.{}.{}", identity.id, publication.topic());
    let mut envelope = session.compose(publication.encode(&identity.uuid));
    envelope.parent_header = parent;
    envelope.identities = vec![topic.into()];
    envelope.seal(session.key())
}
