//! Direct requests that are not answered yet, so that each is when its engine ends. Pure.

use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use std::collections::HashMap;

/// The channel a request came by and its answer goes back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRoute {
    /// Direct requests.
    Mux,
    /// Abort, signals, shutdown.
    Control,
    /// One request for many engines.
    Broadcast,
}

/// The data needed to answer a request in its engine's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// The route it came by.
    pub route: RequestRoute,
    /// The client's identity.
    pub client: Bytes,
    /// Its header, as the engine got it.
    pub header: Bytes,
    /// Its type.
    pub msg_type: String,
    /// True if it is to run even if its client has gone before it began.
    pub detached: bool,
}

/// The requests each engine has.
#[derive(Debug, Default)]
pub struct PendingRequests {
    /// By the order in which they were sent, in which they are also given up.
    engines: HashMap<EngineUuid, HashMap<MsgId, (u64, PendingRequest)>>,
    next: u64,
}

impl PendingRequests {
    /// A request is on its way to an engine.
    pub fn sent(&mut self, engine: EngineUuid, id: MsgId, pending: PendingRequest) {
        let requests = self.engines.entry(engine).or_default();
        requests.insert(id, (self.next, pending));
        self.next += 1;
    }

    /// A request is answered; `None` when the engine was not asked, or it was answered before.
    pub fn take(&mut self, engine: &EngineUuid, id: &MsgId) -> Option<PendingRequest> {
        let requests = self.engines.get_mut(engine)?;
        let pending = requests.remove(id);
        if requests.is_empty() {
            self.engines.remove(engine);
        }
        pending.map(|(_, pending)| pending)
    }

    /// An engine has gone; what it had not answered.
    pub fn left(&mut self, engine: &EngineUuid) -> Vec<(MsgId, PendingRequest)> {
        let requests = self.engines.remove(engine).unwrap_or_default();
        let mut pending: Vec<_> = requests.into_iter().collect();
        pending.sort_by_key(|(_, (order, _))| *order);
        let in_order = pending.into_iter();
        in_order.map(|(id, (_, pending))| (id, pending)).collect()
    }

    /// The number of requests to run something that an engine has not answered.
    pub fn load_of(&self, engine: &EngineUuid) -> usize {
        let requests = self.engines.get(engine).into_iter().flatten();
        requests
            .filter(|(_, (_, p))| p.route != RequestRoute::Control)
            .count()
    }

    /// A client has gone for good: the requests it has at each engine which nobody waits for any more.
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

    /// Requests to run something that an engine has not answered.
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
    fn every_request_is_answered_once_by_the_engine_or_at_its_end() {
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
