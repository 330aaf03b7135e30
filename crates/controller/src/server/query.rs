//! Registration and the queries of clients.

use super::channels::Senders;
use super::incoming::Port;
use super::{Server, engine_uuid, post, shown};
use crate::hub::{HubEvent, RefusedRegistration};
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    ConnectionReply, EngineQueue, ErrorContent, HistoryReply, PurgeRequest, Purged, QueueReply,
    QueueRequest, RegistrationReply, RegistrationRequest, ResultRequest, Target, Tasks,
    UnregistrationRequest,
};
use phalanx_transport::{Envelope, Frames, WireError};
use serde_json::{Map, Value, json};

/// A query that cannot be answered, as stock clients expect it.
fn hub_error(ename: &str, evalue: String) -> Value {
    let traceback = vec![format!("{ename}: {evalue}")];
    json!({"status": "error", "ename": ename, "evalue": evalue, "traceback": traceback,
        "engine_info": {}})
}

type Answer = Result<(&'static str, Value, Vec<Bytes>), WireError>;

impl Server {
    pub(super) fn query(&mut self, frames: Frames, senders: &Senders) {
        let peer = shown(frames.first());
        let request = match self.admit(Port::Registration, frames).map(Envelope::parse) {
            Some(Ok(request)) => request,
            Some(Err(error)) => return tracing::warn!(%peer, %error, "a query is dropped"),
            None => return,
        };
        match request.header.msg_type.as_str() {
            "registration_request" => match request.content::<RegistrationRequest>() {
                // Its routing identity is its uuid, so that its reply finds it.
                Ok(content) => {
                    self.hub_event(HubEvent::Register(content.uuid, content.id), senders);
                }
                Err(error) => tracing::warn!(%peer, %error, "a registration is dropped"),
            },
            "unregistration_request" => match request.content::<UnregistrationRequest>() {
                Ok(content) => self.hub_event(HubEvent::Unregister(content.id), senders),
                Err(error) => tracing::warn!(%peer, %error, "an unregistration is dropped"),
            },
            _ => {
                let (msg_type, content, buffers) =
                    self.answer_query(&request).unwrap_or_else(|error| {
                        let error = hub_error("ValueError", error.to_string());
                        ("hub_error", error, vec![])
                    });
                let mut reply = self.session.envelope(msg_type, content, Some(&request));
                reply.buffers = buffers;
                self.post_reply(reply, senders);
            }
        }
    }

    fn post_reply(&self, reply: Envelope, senders: &Senders) {
        match reply.seal(self.session.key()) {
            Ok(frames) => drop(post(&senders.registration, frames)),
            Err(error) => tracing::warn!(%error, "a reply is dropped"),
        }
    }

    pub(super) fn accept(&mut self, uuid: &EngineUuid, id: EngineId, senders: &Senders) {
        let reply = RegistrationReply::Ok {
            id,
            hb_period: self.heartbeat.as_millis().try_into().unwrap_or(u64::MAX),
            connection_info: self.connection_info.clone(),
        };
        self.registration_reply(uuid, &reply, senders);
    }

    pub(super) fn refuse(
        &mut self,
        uuid: &EngineUuid,
        reason: RefusedRegistration,
        senders: &Senders,
    ) {
        let evalue = match reason {
            RefusedRegistration::UuidInUse => format!("uuid '{uuid}' in use"),
        };
        let reply = RegistrationReply::Error(ErrorContent {
            ename: "KeyError".to_owned(),
            traceback: vec![format!("KeyError: {evalue}")],
            evalue,
            engine_info: Map::new(),
        });
        self.registration_reply(uuid, &reply, senders);
    }

    fn registration_reply(&self, uuid: &EngineUuid, reply: &RegistrationReply, senders: &Senders) {
        let mut reply = self.session.message(reply, None);
        reply.identities = vec![Bytes::copy_from_slice(uuid.as_str().as_bytes())];
        self.post_reply(reply, senders);
    }

    fn answer_query(&mut self, request: &Envelope) -> Answer {
        let value = |content: serde_json::Result<Value>| content.unwrap_or_default();
        Ok(match request.header.msg_type.as_str() {
            "connection_request" => {
                let reply = ConnectionReply::Ok {
                    engines: self.hub.engines(),
                };
                (
                    "connection_reply",
                    value(serde_json::to_value(reply)),
                    vec![],
                )
            }
            "queue_request" => {
                let reply = self.queue(&request.content()?);
                ("queue_reply", reply, vec![])
            }
            "load_request" => {
                let loads = self.hub.engines().into_iter().map(|(id, uuid)| {
                    let load = self.scheduler.running_on(&uuid).len();
                    (id.to_string(), json!(load))
                });
                let mut content: Map<_, _> = loads.collect();
                content.insert("status".into(), json!("ok"));
                ("load_reply", Value::Object(content), vec![])
            }
            "history_request" => {
                let reply = HistoryReply {
                    status: "ok".to_owned(),
                    history: self.records.history(),
                };
                ("history_reply", value(serde_json::to_value(reply)), vec![])
            }
            "result_request" => self.results(&request.content()?),
            "purge_request" => {
                self.purge(&request.content()?);
                ("purge_reply", json!({"status": "ok"}), vec![])
            }
            "shutdown_request" => {
                tracing::info!("a client asks the controller to end");
                self.ends = true;
                ("shutdown_reply", json!({"status": "ok"}), vec![])
            }
            other => {
                let evalue = format!("\"Bad Message Type: '{other}'\"");
                ("hub_error", hub_error("KeyError", evalue), vec![])
            }
        })
    }

    fn queue(&self, request: &QueueRequest) -> Value {
        let wanted = |id: EngineId, uuid: &EngineUuid| match &request.targets {
            None => true,
            Some(targets) => targets.iter().any(|target| match target {
                Target::Id(other) => *other == id,
                Target::Uuid(other) => other == uuid,
            }),
        };
        let tasks = |ids: Vec<MsgId>| match request.verbose {
            true => Tasks::Ids(ids),
            false => Tasks::Count(ids.len()),
        };
        let engines = self.hub.engines().into_iter();
        let engines = engines
            .filter(|(id, uuid)| wanted(*id, uuid))
            .map(|(id, uuid)| {
                let completed = if request.verbose {
                    Tasks::Ids(self.records.ids_of(&uuid))
                } else {
                    Tasks::Count(self.records.completed_by(&uuid))
                };
                let queue = EngineQueue {
                    queue: tasks(self.direct.queued_on(&uuid)),
                    completed,
                    tasks: tasks(self.scheduler.running_on(&uuid)),
                };
                (id.to_string(), queue)
            });
        let reply = QueueReply {
            status: "ok".to_owned(),
            unassigned: tasks(self.scheduler.waiting()),
            engines: engines.collect(),
        };
        serde_json::to_value(reply).unwrap_or_default()
    }

    fn results(&self, request: &ResultRequest) -> (&'static str, Value, Vec<Bytes>) {
        let mut content = Map::new();
        let mut buffers = Vec::new();
        let (mut pending, mut completed) = (vec![], vec![]);
        let mut ids = request.msg_ids.clone();
        ids.sort();
        for id in ids {
            let Some(record) = self.records.get(&id) else {
                let error = hub_error("KeyError", format!("'No such message: {id}'"));
                return ("hub_error", error, vec![]);
            };
            let Some((reply, received)) = &record.result else {
                pending.push(id);
                continue;
            };
            if !request.status_only {
                let json = |bytes: &Bytes| serde_json::from_slice(bytes).unwrap_or(Value::Null);
                let entry = json!({
                    "header": json(&record.header), "metadata": {},
                    "result_metadata": json(&reply.metadata), "result_header": json(&reply.header),
                    "result_content": json(&reply.content), "received": received,
                    "io": {"execute_input": null, "execute_result": null, "error": null,
                        "stdout": "", "stderr": ""},
                });
                content.insert(id.as_str().to_owned(), entry);
                buffers.extend(reply.buffers.iter().cloned());
            }
            completed.push(id);
        }
        content.insert("status".into(), json!("ok"));
        content.insert("pending".into(), json!(pending));
        content.insert("completed".into(), json!(completed));
        ("result_reply", Value::Object(content), buffers)
    }

    fn purge(&mut self, request: &PurgeRequest) {
        let engines = self.hub.engines();
        let named: Vec<EngineUuid> = request
            .engine_ids
            .iter()
            .flatten()
            .filter_map(|target| match target {
                Target::Id(id) => engines.get(id).cloned(),
                Target::Uuid(uuid) => engine_uuid(uuid.as_str().as_bytes()),
            })
            .collect();
        self.records.purge(|id, record| match &request.msg_ids {
            Some(Purged::All(_)) => true,
            Some(Purged::Ids(ids)) if ids.contains(id) => true,
            _ => record
                .engine
                .as_ref()
                .is_some_and(|engine| named.contains(engine)),
        });
    }
}
