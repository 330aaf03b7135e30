//! The artifacts on each machine, so that each is sent to a machine at most once.

use phalanx_protocol::id::{ArtifactHash, EngineUuid, MsgId};
use phalanx_protocol::parallel::EngineHandshake;
use std::collections::{HashMap, HashSet};

/// The way a task's artifacts are sent to its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArtifactPlan {
    /// As paths: the engine reads this machine's files.
    Paths,
    /// As buffers, for these positions; the engine's machine has the others.
    Buffers(Vec<usize>),
    /// Another message is carrying one of them to the machine: wait for it.
    Wait,
}

/// A cache of artifacts, used by one or several engines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ArtifactCache {
    /// The cache of a machine.
    Host(String),
    /// The cache of an engine that does not share its host's.
    Engine(EngineUuid),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ArtifactPresence {
    Present,
    Travelling(MsgId),
}

/// The artifacts on all machines.
#[derive(Debug)]
pub(crate) struct ArtifactCaches {
    host: String,
    caches: HashMap<ArtifactCache, HashMap<ArtifactHash, ArtifactPresence>>,
    /// The engines with a cache of their own.
    own_caches: HashSet<EngineUuid>,
}

impl ArtifactCaches {
    /// Creates empty caches; `host` is the name of this machine, as engines report theirs.
    pub fn new(host: String) -> Self {
        Self {
            host,
            caches: HashMap::new(),
            own_caches: HashSet::new(),
        }
    }

    /// Records the artifacts of a new engine.
    pub fn joined(&mut self, engine: &EngineUuid, handshake: &EngineHandshake) {
        let cache = self.cache(engine, &handshake.host);
        let known = self.caches.entry(cache).or_default();
        for artifact in &handshake.artifacts {
            known.insert(artifact.clone(), ArtifactPresence::Present);
        }
    }

    /// Decides how `artifacts` are sent with the message `msg_id` to an engine on `host`.
    pub fn plan(
        &mut self,
        engine: &EngineUuid,
        host: &str,
        msg_id: &MsgId,
        artifacts: &[ArtifactHash],
    ) -> ArtifactPlan {
        let cache = self.cache(engine, host);
        if cache == ArtifactCache::Host(self.host.clone()) {
            return ArtifactPlan::Paths;
        }
        let known = self.caches.entry(cache).or_default();
        let travelling =
            |artifact| matches!(known.get(artifact), Some(ArtifactPresence::Travelling(_)));
        if artifacts.iter().any(travelling) {
            return ArtifactPlan::Wait;
        }
        let missing: Vec<_> = (0..artifacts.len())
            .filter(|&index| !known.contains_key(&artifacts[index]))
            .collect();
        for &index in &missing {
            known.insert(
                artifacts[index].clone(),
                ArtifactPresence::Travelling(msg_id.clone()),
            );
        }
        ArtifactPlan::Buffers(missing)
    }

    /// Records that an engine lacks artifacts it was assumed to have. It has a cache of its own
    /// from now on, since it shares neither this machine's files nor its host's cache.
    pub fn lacks(&mut self, engine: &EngineUuid, artifacts: &[ArtifactHash]) {
        self.own_caches.insert(engine.clone());
        let cache = ArtifactCache::Engine(engine.clone());
        let known = self.caches.entry(cache).or_default();
        for artifact in artifacts {
            known.remove(artifact);
        }
    }

    /// Records that a message's artifacts have arrived; returns true if it carried any.
    pub fn arrived(&mut self, msg_id: &MsgId) -> bool {
        let mut any = false;
        for presence in self.caches.values_mut().flat_map(HashMap::values_mut) {
            if *presence == ArtifactPresence::Travelling(msg_id.clone()) {
                *presence = ArtifactPresence::Present;
                any = true;
            }
        }
        any
    }

    /// Records that a message's artifacts may be lost; returns true if it carried any.
    pub fn lost(&mut self, msg_id: &MsgId) -> bool {
        let mut any = false;
        let travelling = ArtifactPresence::Travelling(msg_id.clone());
        for known in self.caches.values_mut() {
            let before = known.len();
            known.retain(|_, presence| *presence != travelling);
            any |= known.len() != before;
        }
        any
    }

    /// Removes an engine.
    pub fn left(&mut self, engine: &EngineUuid) {
        if self.own_caches.remove(engine) {
            self.caches.remove(&ArtifactCache::Engine(engine.clone()));
        }
    }

    /// The cache of an engine on `host`; `None` if it reads this machine's files.
    pub fn remote_cache(&self, engine: &EngineUuid, host: &str) -> Option<ArtifactCache> {
        let cache = self.cache(engine, host);
        (cache != ArtifactCache::Host(self.host.clone())).then_some(cache)
    }

    fn cache(&self, engine: &EngineUuid, host: &str) -> ArtifactCache {
        match self.own_caches.contains(engine) {
            true => ArtifactCache::Engine(engine.clone()),
            false => ArtifactCache::Host(host.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(names: &[&str]) -> Vec<ArtifactHash> {
        names.iter().map(|name| ArtifactHash::new(*name)).collect()
    }

    fn msg(id: &str) -> MsgId {
        MsgId::new(id)
    }

    fn engine(id: &str) -> EngineUuid {
        EngineUuid::new(id)
    }

    #[test]
    fn engines_of_this_machine_are_sent_paths() {
        let mut caches = ArtifactCaches::new("here".to_owned());
        let cell = hashes(&["std", "cell"]);
        let plan = caches.plan(&engine("a"), "here", &msg("1"), &cell);
        assert_eq!(plan, ArtifactPlan::Paths);
        // A container with this machine's name has a different file system.
        caches.lacks(&engine("a"), &cell);
        let plan = caches.plan(&engine("a"), "here", &msg("2"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![0, 1]));
        let plan = caches.plan(&engine("b"), "here", &msg("3"), &cell);
        assert_eq!(plan, ArtifactPlan::Paths);
    }

    #[test]
    fn an_artifact_travels_to_a_machine_once() {
        let mut caches = ArtifactCaches::new("here".to_owned());
        let cell = hashes(&["std", "cell"]);
        let plan = caches.plan(&engine("a"), "there", &msg("1"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![0, 1]));
        let plan = caches.plan(&engine("b"), "there", &msg("2"), &cell);
        assert_eq!(plan, ArtifactPlan::Wait);
        assert!(caches.arrived(&msg("1")));
        assert!(!caches.arrived(&msg("1")));
        let plan = caches.plan(&engine("b"), "there", &msg("2"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![]));
        let plan = caches.plan(&engine("b"), "there", &msg("3"), &hashes(&["std", "next"]));
        assert_eq!(plan, ArtifactPlan::Buffers(vec![1]));
    }

    #[test]
    fn what_was_lost_on_the_way_travels_again() {
        let mut caches = ArtifactCaches::new("here".to_owned());
        let cell = hashes(&["cell"]);
        caches.plan(&engine("a"), "there", &msg("1"), &cell);
        assert!(caches.lost(&msg("1")));
        let plan = caches.plan(&engine("b"), "there", &msg("2"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![0]));
    }

    #[test]
    fn an_engine_with_a_cache_of_its_own_is_served_alone() {
        let mut caches = ArtifactCaches::new("here".to_owned());
        let cell = hashes(&["std", "cell"]);
        caches.plan(&engine("a"), "there", &msg("1"), &cell);
        caches.arrived(&msg("1"));
        caches.lacks(&engine("b"), &cell);
        let plan = caches.plan(&engine("b"), "there", &msg("2"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![0, 1]));
        let plan = caches.plan(&engine("a"), "there", &msg("3"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![]));
        caches.left(&engine("b"));
        assert!(caches.own_caches.is_empty() && caches.caches.len() == 1);
    }

    #[test]
    fn what_an_engine_has_when_it_joins_need_not_travel() {
        let mut caches = ArtifactCaches::new("here".to_owned());
        let cell = hashes(&["std", "cell"]);
        let handshake = EngineHandshake {
            version: String::new(),
            host: "there".to_owned(),
            target: String::new(),
            libc: String::new(),
            rustc: None,
            artifacts: hashes(&["std"]),
            state: phalanx_protocol::id::StateId::empty(),
        };
        caches.joined(&engine("a"), &handshake);
        let plan = caches.plan(&engine("a"), "there", &msg("1"), &cell);
        assert_eq!(plan, ArtifactPlan::Buffers(vec![1]));
    }
}
