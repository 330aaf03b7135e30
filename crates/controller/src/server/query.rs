//! Registration requests and clients' queries.

use super::incoming::ServerSocket;
use super::peer_name;
use super::records::RecordRequest;
use super::state::{ServerCommand, ServerState};
use crate::hub::{HubEvent, RefusedRegistration};
use crate::records::{BadQuery, Filter, RecordKey, RecordQuery};
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::parallel::{
    ConnectionReply, Content, DbRequest, EngineQueue, EngineSelector, ErrorContent, HubRequest,
    LoadReply, PurgeRequest, Purged, QueueReply, RegistrationReply, RegistrationRequest,
    ResubmitRequest, ResultRequest, Tasks, UnregistrationRequest,
};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Envelope, Frames};
use serde_json::{Value, json};

/// The next step in answering a client's query.
enum QueryStep {
    /// A reply of this type is sent at once.
    Reply(&'static str, Value),
    /// The records of tasks are queried, from which the reply is made.
    AskRecords(RecordRequest, RecordQuery),
}

/// Returns true for the requests of engines, which expect no error reply.
fn is_of_engine(msg_type: &str) -> bool {
    [
        RegistrationRequest::MSG_TYPE,
        UnregistrationRequest::MSG_TYPE,
    ]
    .contains(&msg_type)
}

/// The content of an error reply, in the form that stock clients expect.
pub(super) fn error(ename: &str, evalue: String) -> Value {
    ErrorContent::new(ename, evalue).reply()
}

impl ServerState {
    pub(super) fn query(&mut self, frames: Frames) {
        let peer = peer_name(frames.first());
        let request = match self
            .admit(ServerSocket::Registration, frames)
            .map(Envelope::parse)
        {
            Some(Ok(request)) => request,
            Some(Err(error)) => return warn_rarely!(%peer, %error, "a query is dropped"),
            None => return,
        };
        match HubRequest::decode(request.message()) {
            // Its routing identity is its uuid, so that the reply reaches it.
            Ok(HubRequest::Register(content)) => {
                if content.phalanx_batches {
                    self.takes_batches.insert(content.uuid.clone());
                }
                self.hub_event(HubEvent::Register(content.uuid, content.id));
            }
            Ok(HubRequest::Unregister(content)) => {
                self.hub_event(HubEvent::Unregister(content.id));
            }
            Ok(query) => match self.step(query, &request.header.msg_type) {
                QueryStep::Reply(msg_type, content) => {
                    self.post_reply(self.session.envelope(msg_type, content, Some(&request)));
                }
                QueryStep::AskRecords(asked, query) => self.ask(request, asked, query),
            },
            Err(error) if is_of_engine(&request.header.msg_type) => {
                let msg_type = &request.header.msg_type;
                warn_rarely!(%peer, %error, msg_type, "a malformed request is dropped");
            }
            Err(wrong) => {
                let content = error("ValueError", wrong.to_string());
                self.post_reply(self.session.envelope("hub_error", content, Some(&request)));
            }
        }
    }

    fn post_reply(&mut self, reply: Envelope) {
        match reply.seal(self.session.key()) {
            Ok(frames) => self.post(ServerSocket::Registration, frames),
            Err(error) => warn_rarely!(%error, "a reply is dropped"),
        }
    }

    pub(super) fn accept(&mut self, uuid: &EngineUuid, id: EngineId) {
        let reply = RegistrationReply::Ok {
            id,
            hb_period: self.heartbeat.as_millis().try_into().unwrap_or(u64::MAX),
            connection_info: self.connection_info.clone(),
        };
        self.registration_reply(uuid, &reply);
    }

    pub(super) fn refuse(&mut self, uuid: &EngineUuid, reason: RefusedRegistration) {
        let evalue = match reason {
            RefusedRegistration::UuidInUse => format!("uuid '{uuid}' in use"),
        };
        let reply = RegistrationReply::Error(ErrorContent::new("KeyError", evalue));
        self.registration_reply(uuid, &reply);
    }

    fn registration_reply(&mut self, uuid: &EngineUuid, reply: &RegistrationReply) {
        let mut reply = self.session.message(reply, None);
        reply.identities = vec![Bytes::copy_from_slice(uuid.as_str().as_bytes())];
        self.post_reply(reply);
    }

    /// Decides how a client's query is answered; `msg_type` is its type, known or not.
    fn step(&mut self, query: HubRequest, msg_type: &str) -> QueryStep {
        match query {
            HubRequest::Connection => {
                let reply = ConnectionReply::Ok {
                    engines: self.hub.engines(),
                    phalanx_batches: true,
                };
                QueryStep::Reply("connection_reply", json(reply))
            }
            HubRequest::Queue(request) => match self.targets(request.targets.as_deref()) {
                Err(error) => QueryStep::Reply("hub_error", error),
                Ok(engines) => {
                    let reply = self.queue(&engines, request.verbose);
                    if !request.verbose {
                        return QueryStep::Reply("queue_reply", json(reply));
                    }
                    let query = RecordQuery::Find {
                        filter: Filter::ended(),
                        buffers: false,
                    };
                    QueryStep::AskRecords(RecordRequest::Queue { reply, engines }, query)
                }
            },
            HubRequest::Load(request) => match self.targets(request.targets.as_deref()) {
                Err(error) => QueryStep::Reply("hub_error", error),
                Ok(engines) => QueryStep::Reply("load_reply", json(self.loads(engines))),
            },
            HubRequest::Engines => QueryStep::Reply("engines_reply", json(self.engines_reply())),
            HubRequest::History => {
                QueryStep::AskRecords(RecordRequest::History, RecordQuery::History)
            }
            HubRequest::Results(ResultRequest {
                msg_ids: ids,
                status_only,
            }) => {
                let query = RecordQuery::Find {
                    filter: Filter::tasks(&ids),
                    buffers: !status_only,
                };
                QueryStep::AskRecords(RecordRequest::Results { ids, status_only }, query)
            }
            HubRequest::Db(request) => match db_query(&request) {
                Ok((keys, query)) => QueryStep::AskRecords(RecordRequest::Db(keys), query),
                Err(bad) => QueryStep::Reply("db_reply", error("KeyError", bad.to_string())),
            },
            HubRequest::Purge(request) => match self.purge(request) {
                Ok((asked, query)) => QueryStep::AskRecords(asked, query),
                Err(error) => QueryStep::Reply("purge_reply", error),
            },
            HubRequest::Resubmit(ResubmitRequest { msg_ids: ids }) => {
                let query = RecordQuery::Find {
                    filter: Filter::tasks(&ids),
                    buffers: true,
                };
                QueryStep::AskRecords(RecordRequest::Resubmit(ids), query)
            }
            HubRequest::Shutdown => {
                tracing::info!("a client has requested the end of the controller");
                self.out.push(ServerCommand::End);
                QueryStep::Reply("shutdown_reply", json!({"status": "ok"}))
            }
            // Requests of engines are handled before.
            HubRequest::Register(_) | HubRequest::Unregister(_) | HubRequest::Unknown => {
                let evalue = format!("\"Bad Message Type: '{msg_type}'\"");
                QueryStep::Reply("hub_error", error("KeyError", evalue))
            }
        }
    }

    /// The engines named in a query; all if it names none.
    fn targets(
        &self,
        targets: Option<&[EngineSelector]>,
    ) -> Result<Vec<(EngineId, EngineUuid)>, Value> {
        let engines = self.hub.engines();
        let Some(targets) = targets else {
            return Ok(engines.into_iter().collect());
        };
        let find = |target: &EngineSelector| match target {
            EngineSelector::Id(id) => engines.get(id).map(|uuid| (*id, uuid.clone())),
            EngineSelector::Uuid(uuid) => self.hub.id_of(uuid).map(|id| (id, uuid.clone())),
        };
        let found = targets.iter().map(|target| {
            let name = match target {
                EngineSelector::Id(id) => id.to_string(),
                EngineSelector::Uuid(uuid) => uuid.to_string(),
            };
            find(target).ok_or_else(|| error("IndexError", format!("No such engine: {name}")))
        });
        found.collect()
    }

    fn queue(&self, engines: &[(EngineId, EngineUuid)], verbose: bool) -> QueueReply {
        let engines = engines.iter().map(|(id, uuid)| {
            let (queue, tasks) = match verbose {
                true => (
                    Tasks::Ids(self.direct.queued_on(uuid)),
                    Tasks::Ids(self.scheduler.running_on(uuid)),
                ),
                false => (
                    Tasks::Count(self.direct.load_of(uuid)),
                    Tasks::Count(self.scheduler.load_of(uuid)),
                ),
            };
            let queue = EngineQueue {
                queue,
                completed: Tasks::Count(self.records.completed_by(uuid)),
                tasks,
            };
            (id.to_string(), queue)
        });
        QueueReply {
            status: "ok".to_owned(),
            unassigned: match verbose {
                true => Tasks::Ids(self.scheduler.waiting()),
                false => Tasks::Count(self.scheduler.waiting_count()),
            },
            engines: engines.collect(),
        }
    }

    fn loads(&self, engines: Vec<(EngineId, EngineUuid)>) -> LoadReply {
        let loads = engines.into_iter().map(|(id, uuid)| {
            let load = self.direct.load_of(&uuid) + self.scheduler.load_of(&uuid);
            (id.to_string(), load)
        });
        LoadReply {
            status: "ok".to_owned(),
            engines: loads.collect(),
        }
    }

    fn purge(&self, request: PurgeRequest) -> Result<(RecordRequest, RecordQuery), Value> {
        let engines = self.targets(Some(&request.engine_ids.unwrap_or_default()))?;
        let engines = engines.iter().map(|(_, uuid)| Filter::ended().by(uuid));
        let mut filters: Vec<_> = engines.collect();
        let ids = match request.msg_ids {
            Some(Purged::All(_)) => {
                let query = RecordQuery::Purge(vec![Filter::ended()]);
                return Ok((RecordRequest::Purged, query));
            }
            Some(Purged::Ids(ids)) => ids,
            None => Vec::new(),
        };
        filters.push(Filter::tasks(&ids));
        let query = RecordQuery::Find {
            filter: Filter::tasks(&ids),
            buffers: false,
        };
        Ok((RecordRequest::Purge(filters), query))
    }
}

fn db_query(request: &DbRequest) -> Result<(Option<Vec<RecordKey>>, RecordQuery), BadQuery> {
    let filter = Filter::parse(&request.query)?;
    let key = |name: &String| RecordKey::of(name).ok_or_else(|| BadQuery::Key(name.clone()));
    let keys = request.keys.as_ref();
    let keys = keys.map(|keys| keys.iter().map(key).collect::<Result<Vec<_>, _>>());
    let keys = keys.transpose()?;
    let buffers = keys
        .iter()
        .flatten()
        .any(|key| matches!(key, RecordKey::Buffers | RecordKey::ResultBuffers));
    Ok((keys, RecordQuery::Find { filter, buffers }))
}

/// Serializes the content of a reply.
pub(super) fn json<T: serde::Serialize>(content: T) -> Value {
    // Serialization fails only for maps with keys that are not strings, which no reply contains.
    serde_json::to_value(content).unwrap_or_default()
}
