//! Pending direct requests, so that they can be answered if their engine exits. Pure.

use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use std::collections::HashMap;

/// The channel of a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRoute {
    /// Direct requests.
    Mux,
    /// Abort, signals, shutdown.
    Control,
    /// Broadcasts.
    Broadcast,
}

/// The data needed to reply to a request on behalf of its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// The route of the request.
    pub route: RequestRoute,
    /// The client's identity.
    pub client: Bytes,
    /// The header of the request, as sent to the engine.
    pub header: Bytes,
    /// The type of the request.
    pub msg_type: String,
    /// True to run it even if its client disconnects before it has started.
    pub detached: bool,
}

/// The pending requests of each engine.
#[derive(Debug, Default)]
pub struct PendingRequests {
    /// With the sequence number in which they were sent, which is the order of failing them.
    engines: HashMap<EngineUuid, HashMap<MsgId, (u64, PendingRequest)>>,
    next: u64,
}

impl PendingRequests {
    /// Records a request sent to an engine.
    pub fn sent(&mut self, engine: EngineUuid, id: MsgId, pending: PendingRequest) {
        let requests = self.engines.entry(engine).or_default();
        requests.insert(id, (self.next, pending));
        self.next += 1;
    }

    /// Removes an answered request; `None` if the engine has no such request.
    pub fn take(&mut self, engine: &EngineUuid, id: &MsgId) -> Option<PendingRequest> {
        let requests = self.engines.get_mut(engine)?;
        let pending = requests.remove(id);
        if requests.is_empty() {
            self.engines.remove(engine);
        }
        pending.map(|(_, pending)| pending)
    }

    /// Removes the pending requests of an engine that has left.
    pub fn left(&mut self, engine: &EngineUuid) -> Vec<(MsgId, PendingRequest)> {
        let requests = self.engines.remove(engine).unwrap_or_default();
        let mut pending: Vec<_> = requests.into_iter().collect();
        pending.sort_by_key(|(_, (order, _))| *order);
        let in_order = pending.into_iter();
        in_order.map(|(id, (_, pending))| (id, pending)).collect()
    }

    /// The number of pending cells and calls of an engine.
    pub fn load_of(&self, engine: &EngineUuid) -> usize {
        let requests = self.engines.get(engine).into_iter().flatten();
        requests
            .filter(|(_, (_, p))| p.route != RequestRoute::Control)
            .count()
    }

    /// The requests of a client that has left for good, by engine, except detached ones.
    pub fn client_left(&self, client: &[u8]) -> Vec<(EngineUuid, Vec<MsgId>)> {
        let lost = |pending: &PendingRequest| {
            pending.client == client && pending.route != RequestRoute::Control && !pending.detached
        };
        let engines = self.engines.iter().map(|(engine, requests)| {
            let requests = requests.iter().filter(|(_, (_, pending))| lost(pending));
            let mut ids: Vec<_> = requests
                .map(|(id, (order, _))| (*order, id.clone()))
                .collect();
            ids.sort();
            (engine.clone(), ids.into_iter().map(|(_, id)| id).collect())
        });
        let mut engines: Vec<_> = engines
            .filter(|(_, ids): &(_, Vec<MsgId>)| !ids.is_empty())
            .collect();
        engines.sort();
        engines
    }

    /// The pending cells and calls of an engine.
    pub fn queued_on(&self, engine: &EngineUuid) -> Vec<MsgId> {
        let requests = self.engines.get(engine);
        requests.map_or_else(Vec::new, |requests| {
            let mux = requests
                .iter()
                .filter(|(_, (_, p))| p.route != RequestRoute::Control);
            mux.map(|(id, _)| id.clone()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_once_by_its_engine_or_when_that_ends() {
        let (a, b) = (EngineUuid::new("a"), EngineUuid::new("b"));
        let mut direct = PendingRequests::default();
        for (engine, id, route) in [
            (&a, "1", RequestRoute::Mux),
            (&b, "2", RequestRoute::Mux),
            (&a, "3", RequestRoute::Control),
            (&a, "4", RequestRoute::Broadcast),
        ] {
            let pending = PendingRequest {
                route,
                client: Bytes::from_static(b"client"),
                header: Bytes::new(),
                msg_type: "execute_request".to_owned(),
                detached: id == "2",
            };
            direct.sent(engine.clone(), MsgId::new(id), pending);
        }
        assert_eq!(direct.queued_on(&a).len(), 2);
        let lost = (a.clone(), vec![MsgId::new("1"), MsgId::new("4")]);
        assert_eq!(direct.client_left(b"client"), [lost]);
        assert_eq!(direct.client_left(b"another"), []);
        assert_eq!(direct.take(&b, &MsgId::new("1")), None, "it was not asked");
        assert!(direct.take(&a, &MsgId::new("1")).is_some());
        assert_eq!(direct.take(&a, &MsgId::new("1")), None, "it has answered");
        let left: Vec<_> = direct.left(&a).into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [MsgId::new("3"), MsgId::new("4")]);
        assert_eq!(direct.left(&a), []);
        assert!(direct.take(&b, &MsgId::new("2")).is_some());
        assert!(direct.engines.is_empty());
    }
}
