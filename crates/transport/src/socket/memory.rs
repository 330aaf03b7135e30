//! Sockets within a process, with the semantics of the network ones.

use super::driver::{Driver, SendOutcome};
use super::paused::PausedPeers;
use super::{
    BindError, ConnectError, Endpoint, Event, Frames, RoutingId, SocketKind, SocketOptions,
};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The first and the longest delay before a connecting socket checks again for a listener.
const RETRY: [Duration; 2] = [Duration::from_millis(5), Duration::from_secs(1)];
/// The first port assigned for port 0.
const FIRST_PORT: u16 = 1024;

/// The id of a connection; unlike identities, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct MemoryLink(u64);

static LINKS: AtomicU64 = AtomicU64::new(0);

// Unbounded, since the sender's gauge limits its length.
type Inbox = mpsc::UnboundedSender<Packet>;

#[derive(Debug)]
struct Packet {
    link: MemoryLink,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Hello { peer: MemoryPeer },
    Message(Frames),
    Bye,
}

#[derive(Clone, Debug)]
struct MemoryPeer {
    identity: RoutingId,
    kind: SocketKind,
    inbox: Inbox,
}

type Listeners = HashMap<(String, u16), MemoryPeer>;

fn listeners() -> MutexGuard<'static, Listeners> {
    static LISTENERS: OnceLock<Mutex<Listeners>> = OnceLock::new();
    LISTENERS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Returns the in-memory endpoint that corresponds to a Unix socket.
pub(crate) fn behind(shortcut: &Path) -> Endpoint {
    Endpoint::Memory {
        name: shortcut.display().to_string(),
        port: FIRST_PORT,
    }
}

/// Returns the in-memory endpoint, if a socket of this process listens on it.
pub(crate) fn within(endpoint: &Endpoint) -> Option<Endpoint> {
    let Endpoint::Ipc(path) = endpoint else {
        return None;
    };
    let there = (path.display().to_string(), FIRST_PORT);
    listeners().contains_key(&there).then(|| behind(path))
}

pub(crate) struct MemorySocket {
    me: MemoryPeer,
    inbox: mpsc::UnboundedReceiver<Packet>,
    peers: HashMap<MemoryLink, MemoryPeer>,
    by_identity: HashMap<RoutingId, MemoryLink>,
    events: VecDeque<Event>,
    bound: Vec<(String, u16)>,
    target: Option<(String, u16)>,
    connect_limit: Duration,
    pause: Duration,
    paused: Option<Arc<PausedPeers>>,
    /// Messages of paused peers. Their number is limited by the senders' gauges, which count them.
    parked: HashMap<MemoryLink, VecDeque<Frames>>,
}

impl MemorySocket {
    pub fn new(kind: SocketKind, options: &SocketOptions) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        let identity = options
            .identity
            .clone()
            .unwrap_or_else(|| RoutingId(Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes())));
        Self {
            me: MemoryPeer {
                identity,
                kind,
                inbox: sender,
            },
            inbox,
            peers: HashMap::new(),
            by_identity: HashMap::new(),
            events: VecDeque::new(),
            bound: Vec::new(),
            target: None,
            connect_limit: options.connect_limit,
            pause: RETRY[0],
            paused: options.paused(),
            parked: HashMap::new(),
        }
    }

    /// Returns true if a peer with this identity is connected.
    pub fn has(&self, peer: &Bytes) -> bool {
        // Most sockets have no peers in their own process.
        !self.by_identity.is_empty() && self.by_identity.contains_key(&RoutingId(peer.clone()))
    }

    fn add(&mut self, link: MemoryLink, peer: MemoryPeer) {
        self.events
            .push_back(Event::Connected(peer.identity.clone()));
        if self.me.kind == SocketKind::Pub && peer.kind == SocketKind::Sub {
            self.events.push_back(Event::Subscribed(Bytes::new()));
        }
        if let Some(old) = self.by_identity.insert(peer.identity.clone(), link) {
            self.release(old);
            self.peers.remove(&old);
        }
        self.peers.insert(link, peer);
        self.pause = RETRY[0];
    }

    fn remove(&mut self, link: MemoryLink) {
        self.release(link);
        if let Some(peer) = self.peers.remove(&link) {
            self.by_identity.remove(&peer.identity);
            self.events.push_back(Event::Disconnected(peer.identity));
        }
    }

    fn try_connect(&mut self, target: &(String, u16)) -> bool {
        let Some(peer) = listeners().get(target).cloned() else {
            return false;
        };
        let link = MemoryLink(LINKS.fetch_add(1, Ordering::Relaxed));
        let me = self.me.clone();
        if !post(&peer, link, Body::Hello { peer: me }) {
            return false;
        }
        self.add(link, peer);
        true
    }

    fn take(&mut self, packet: Packet) {
        match packet.body {
            Body::Hello { peer } => self.add(packet.link, peer),
            Body::Bye => self.remove(packet.link),
            Body::Message(mut frames) => {
                let Some(peer) = self.peers.get(&packet.link) else {
                    return;
                };
                if self.me.kind == SocketKind::Router {
                    frames.insert(0, peer.identity.0.clone());
                }
                let paused = |paused: &Arc<PausedPeers>| paused.contains(&peer.identity.0);
                // Behind those that are parked, in any case.
                if let Some(parked) = self.parked.get_mut(&packet.link) {
                    parked.push_back(frames);
                } else if self.paused.as_ref().is_some_and(paused) {
                    self.parked.insert(packet.link, VecDeque::from([frames]));
                } else {
                    self.events.push_back(Event::Message(frames));
                }
            }
        }
    }

    /// Receives the parked messages of a peer.
    fn release(&mut self, link: MemoryLink) {
        let parked = self.parked.remove(&link).into_iter().flatten();
        self.events.extend(parked.map(Event::Message));
    }

    /// Takes the next parked message of a peer that is no longer paused.
    fn next_parked(&mut self, paused: &PausedPeers) -> Option<Event> {
        let resumed = |link: &MemoryLink| {
            let peer = self.peers.get(link);
            peer.is_none_or(|peer| !paused.contains(&peer.identity.0))
        };
        let link = self.parked.keys().copied().find(resumed)?;
        let parked = self.parked.get_mut(&link)?;
        let next = parked.pop_front();
        if parked.is_empty() {
            self.parked.remove(&link);
        }
        next.map(Event::Message)
    }
}

fn post(peer: &MemoryPeer, link: MemoryLink, body: Body) -> bool {
    peer.inbox.send(Packet { link, body }).is_ok()
}

impl Driver for MemorySocket {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        let refused = |reason: &str| BindError {
            endpoint: endpoint.clone(),
            reason: reason.to_owned(),
        };
        let Endpoint::Memory { name, port } = endpoint else {
            return Err(refused("not in memory"));
        };
        let mut listeners = listeners();
        let port = match *port {
            0 => (FIRST_PORT..=u16::MAX)
                .find(|port| !listeners.contains_key(&(name.clone(), *port)))
                .ok_or_else(|| refused("no free port"))?,
            port => port,
        };
        let key = (name.clone(), port);
        if listeners.contains_key(&key) {
            return Err(refused("address in use"));
        }
        listeners.insert(key.clone(), self.me.clone());
        self.bound.push(key);
        Ok(Endpoint::Memory {
            name: name.clone(),
            port,
        })
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        let refused = |reason: String| ConnectError {
            endpoint: endpoint.clone(),
            reason,
        };
        let Endpoint::Memory { name, port } = endpoint else {
            return Err(refused("not in memory".to_owned()));
        };
        let target = (name.clone(), *port);
        let limit = self.connect_limit;
        let connected = async {
            while !self.try_connect(&target) {
                tokio::time::sleep(RETRY[0]).await;
            }
        };
        tokio::time::timeout(limit, connected)
            .await
            .map_err(|_| refused(format!("no reply within {limit:?}")))?;
        self.target = Some(target);
        Ok(())
    }

    fn ready(&self) -> bool {
        // A DEALER keeps its messages until it has reconnected.
        self.target.is_none() || self.me.kind != SocketKind::Dealer || !self.peers.is_empty()
    }

    async fn send(&mut self, mut frames: Frames) -> SendOutcome {
        match self.me.kind {
            SocketKind::Sub => SendOutcome::NoPeer,
            SocketKind::Pub => {
                // Copied, so that a subscriber that does not read does not block the publisher.
                let copy: Frames = frames.iter().map(|f| Bytes::copy_from_slice(f)).collect();
                for (link, peer) in &self.peers {
                    post(peer, *link, Body::Message(copy.clone()));
                }
                SendOutcome::Yes
            }
            SocketKind::Router => {
                let identity = RoutingId(frames.remove(0));
                let link = self.by_identity.get(&identity);
                match link.and_then(|link| Some((link, self.peers.get(link)?))) {
                    Some((link, peer)) if post(peer, *link, Body::Message(frames)) => {
                        SendOutcome::Yes
                    }
                    _ => SendOutcome::NoPeer,
                }
            }
            SocketKind::Dealer => match self.peers.iter().next() {
                Some((link, peer)) if post(peer, *link, Body::Message(frames)) => SendOutcome::Yes,
                _ => SendOutcome::NoPeer,
            },
        }
    }

    async fn recv(&mut self) -> Event {
        let paused = self.paused.clone();
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match (&self.target, self.peers.is_empty()) {
                (Some(target), true) => {
                    let target = target.clone();
                    if !self.try_connect(&target) {
                        tokio::time::sleep(self.pause).await;
                        self.pause = (self.pause * 2).min(RETRY[1]);
                    }
                }
                _ => {
                    let paused = paused.as_ref().filter(|_| !self.parked.is_empty());
                    // Created before the check, so that no resumption in between is missed.
                    let resumed = paused.map(|paused| paused.change());
                    if let Some(paused) = paused {
                        if let Ok(packet) = self.inbox.try_recv() {
                            self.take(packet);
                            continue;
                        }
                        if let Some(event) = self.next_parked(paused) {
                            return event;
                        }
                    }
                    let resumed = async {
                        match resumed {
                            Some(resumed) => resumed.await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        packet = self.inbox.recv() => if let Some(packet) = packet {
                            self.take(packet);
                        },
                        () = resumed => {}
                    }
                }
            }
        }
    }

    async fn close(self, _limit: Duration) -> bool {
        true
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        let mut listeners = listeners();
        for key in &self.bound {
            listeners.remove(key);
        }
        for (link, peer) in &self.peers {
            post(peer, *link, Body::Bye);
        }
    }
}
