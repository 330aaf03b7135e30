//! Whole clusters: a controller in this process, engines in processes of their own, a client.

#![allow(dead_code)]

use phalanx_client::{AsyncResult, Client, EngineCell, RefusedTask, Submission};
use phalanx_controller::{Controller, ControllerConfig};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskSnapshot;
use phalanx_protocol::id::{ArtifactHash, EngineId, StateId};
use phalanx_protocol::parallel::CellMetadata;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Time limit of each wait in a test.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Cluster {
    pub controller: Controller,
    pub client: Client,
    pub engines: HashMap<EngineId, Child>,
    pub folder: TempDir,
    pub refused: mpsc::UnboundedReceiver<RefusedTask>,
    refusals: mpsc::UnboundedSender<RefusedTask>,
    cells: u64,
}

impl Cluster {
    pub async fn start(n: usize) -> Self {
        let controller = Controller::start(ControllerConfig::default())
            .await
            .expect("a controller");
        let client = Client::connect(controller.client_file())
            .await
            .expect("a client");
        let (refusals, refused) = mpsc::unbounded_channel();
        let mut cluster = Self {
            controller,
            client,
            engines: HashMap::new(),
            folder: TempDir::new().expect("a folder"),
            refused,
            refusals,
            cells: 0,
        };
        for _ in 0..n {
            cluster.add(&[]).await;
        }
        cluster
    }

    /// Starts another engine and waits until it has joined.
    pub async fn add(&mut self, args: &[&str]) -> EngineId {
        let known: Vec<_> = self.client.engines().iter().map(|e| e.id).collect();
        let child = self.command(args).spawn().expect("an engine process");
        let engines = self
            .client
            .wait_for_engines(known.len() + 1, PATIENCE)
            .await
            .expect("the engine joins");
        let id = engines
            .iter()
            .map(|engine| engine.id)
            .find(|id| !known.contains(id))
            .expect("a new engine");
        self.engines.insert(id, child);
        id
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phalanx-engine"));
        command
            .arg("--file")
            .arg(self.controller.engine_path())
            .args(args)
            .env("PHALANX_CACHE_DIR", self.folder.path().join("cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub fn ids(&self) -> Vec<EngineId> {
        self.client.engines().iter().map(|e| e.id).collect()
    }

    /// Returns a script as the cell that leads from `base` to `next`.
    pub fn cell(&mut self, engine: EngineId, script: &str, base: &str, next: &str) -> EngineCell {
        self.cells += 1;
        let artifact = format!("#!echo\n{script}");
        let hash = ArtifactHash::of(artifact.as_bytes());
        let path = self.folder.path().join(format!("cell{}", self.cells));
        std::fs::write(&path, artifact).expect("a script");
        EngineCell {
            engine,
            source: script.to_owned(),
            metadata: CellMetadata {
                abi: "rustc 1".to_owned(),
                host: phalanx_sys::machine::host_name(),
                base: StateId::new(base),
                next: StateId::new(next),
                entry: Some("run".to_owned()),
                has_result: script.contains("result"),
                lines: Vec::new(),
                artifacts: vec![hash.clone()],
                paths: Vec::new(),
                buffers: Vec::new(),
                record: Box::default(),
            },
            artifacts: vec![(hash, path)],
        }
    }

    pub fn submit(&self, cells: Vec<EngineCell>) -> AsyncResult {
        self.client.submit(Submission {
            name: "%px".to_owned(),
            tasks: cells.into_iter().map(Into::into).collect(),
            refused: self.refusals.clone(),
        })
    }

    /// Submits a script to every engine, for the transition from `base` to `next`.
    pub fn everywhere(&mut self, script: &str, base: &str, next: &str) -> AsyncResult {
        let cells = self
            .ids()
            .into_iter()
            .map(|id| self.cell(id, script, base, next))
            .collect();
        self.submit(cells)
    }

    pub fn one(&mut self, engine: EngineId, script: &str, base: &str, next: &str) -> AsyncResult {
        let cell = self.cell(engine, script, base, next);
        self.submit(vec![cell])
    }

    /// Waits for a result and returns snapshots of its tasks.
    pub async fn done(&self, result: &AsyncResult) -> Vec<TaskSnapshot> {
        assert!(
            result.wait_for_output(Some(PATIENCE)).await,
            "not in time: {:#?}",
            result.snapshot()
        );
        result.snapshot().tasks
    }

    pub async fn refusal(&mut self) -> RefusedTask {
        timeout(PATIENCE, self.refused.recv())
            .await
            .expect("a refusal in time")
            .expect("a refusal")
    }

    /// Ends the cluster and checks that all engines end.
    pub async fn end(mut self) {
        let ids = self.ids();
        self.client
            .shutdown_engines(&ids, PATIENCE)
            .await
            .expect("the engines leave");
        for id in ids {
            let child = self.engines.get_mut(&id).expect("an engine of ours");
            let status = timeout(PATIENCE, child.wait())
                .await
                .expect("the engine ends")
                .expect("its status");
            assert!(status.success(), "{status}");
        }
        self.controller.shutdown().await;
    }
}

pub fn failure(task: &TaskSnapshot) -> &RemoteFailure {
    match &task.result {
        Some(Err(failure)) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

pub fn ok(task: &TaskSnapshot) -> bool {
    matches!(task.result, Some(Ok(_)))
}

/// Waits for the end of a process that is not a child of this one.
pub async fn process_ended(pid: &str) {
    let folder = PathBuf::from("/proc").join(pid.trim());
    let pid: i32 = pid.trim().parse().expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK)
    else {
        return;
    };
    #[allow(deprecated)]
    let process = tokio::io::unix::AsyncFd::new(process).expect("a poller");
    timeout(PATIENCE, process.readable())
        .await
        .unwrap_or_else(|_| panic!("{} is still there", folder.display()))
        .map(drop)
        .expect("a poller");
}
