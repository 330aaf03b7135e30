//! Measures a cluster of many engines on one machine: the controller in a process of its own, all
//! engines in another, each with its runtime, and a client. Prints a Markdown table.
//! `cargo run --release -p phalanx-engine --features echo --example scale -- [ENGINES [TASKS]]`

use bytes::Bytes;
use phalanx_client::{
    AsyncResult, Client, EngineCall, EngineCell, EngineTask, Placement, Submission,
};
use phalanx_controller::{Controller, ControllerConfig};
use phalanx_engine::EngineConfig;
use phalanx_protocol::apply::SchedulingOptions;
use phalanx_protocol::id::{ArtifactHash, EngineId, StateId};
use phalanx_protocol::parallel::{CallMetadata, CellMetadata};
use phalanx_protocol::payload::Payload;
use phalanx_sys::machine::host_name;
use phalanx_transport::{ClientConnectionFile, EngineConnectionFile};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type Failed = Box<dyn Error + Send + Sync>;

/// Time limit of each step.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words == ["runtime"] {
        return phalanx_runtime::process_main();
    }
    phalanx_sys::limits::raise_open_files();
    let role = async {
        match words.as_slice() {
            ["controller", folder] => controller(folder).await,
            ["engines", file, count] => engines(Path::new(file), count.parse()?).await,
            _ => {
                let mut numbers = words.iter().map(|word| word.parse::<usize>());
                let mut number = |usual| numbers.next().unwrap_or(Ok(usual));
                measure(number(1000)?, number(100_000)?).await
            }
        }
    };
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(role),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a controller until stdin is closed by the end of the first process.
async fn controller(folder: &str) -> Result<(), Failed> {
    let config = ControllerConfig {
        folder: Some(folder.into()),
        ..ControllerConfig::default()
    };
    let controller = Controller::start(config).await?;
    until_stdin_closes().await?;
    controller.shutdown().await;
    Ok(())
}

/// Runs engines until stdin is closed.
async fn engines(file: &Path, count: usize) -> Result<(), Failed> {
    let connection = EngineConnectionFile::read(file)?;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    for _ in 0..count {
        let config = EngineConfig::new(connection.clone())?;
        running.spawn(phalanx_engine::run(
            config,
            mpsc::channel(1).1,
            stop.clone(),
        ));
    }
    let failures = async {
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Ok(exit)) => eprintln!("an engine ends: {exit:?}"),
                Ok(Err(error)) => eprintln!("an engine ends: {error}"),
                Err(error) => eprintln!("an engine ends: {error}"),
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        closed = until_stdin_closes() => closed?,
        () = failures => {}
    }
    stop.cancel();
    while running.join_next().await.is_some() {}
    Ok(())
}

async fn until_stdin_closes() -> Result<(), Failed> {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(read).await??;
    Ok(())
}

/// Starts this program in another role.
fn start(role: &[&str], folder: &Path) -> Result<Child, Failed> {
    let started = Command::new(std::env::current_exe()?)
        .args(role)
        .env("PHALANX_CACHE_DIR", folder.join("cache"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(started)
}

async fn measure(count: usize, tasks: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().display().to_string();
    let mut controller = start(&["controller", &place], folder.path())?;
    let client_file = folder.path().join("ipcontroller-client.json");
    let engine_file = folder.path().join("ipcontroller-engine.json");
    let connection = read_soon(&client_file).await?;
    let client = Client::connect(&connection).await?;

    println!("| {count} engines | |\n|---|---|");
    let engine_path = engine_file.display().to_string();
    let role = ["engines", &engine_path, &count.to_string()];
    let began = Instant::now();
    let mut engines = start(&role, folder.path())?;
    client.wait_for_engines(count, LIMIT).await?;
    row("until all have joined", began);
    memory("idle", &controller, &engines);

    let ids: Vec<_> = client.engines().iter().map(|engine| engine.id).collect();
    for (base, next) in [("empty", "1"), ("1", "2"), ("2", "3")] {
        let cells = ids.iter().map(|id| cell(folder.path(), *id, base, next));
        let cells: Vec<EngineTask> = cells
            .map(|cell| Ok(cell?.into()))
            .collect::<Result<_, Failed>>()?;
        let began = Instant::now();
        ended(&submit(&client, cells)).await?;
        row("`%%px` that prints, on all", began);
    }
    for _ in 0..3 {
        let calls = ids
            .iter()
            .map(|id| call(folder.path(), Placement::Engine(*id)));
        let calls: Vec<EngineTask> = calls
            .map(|call| Ok(call?.into()))
            .collect::<Result<_, Failed>>()?;
        let began = Instant::now();
        ended(&submit(&client, calls)).await?;
        row("`apply` on all", began);
    }
    let anywhere = Placement::Balanced(Arc::new(SchedulingOptions::default()));
    let one = call(folder.path(), anywhere)?;
    let calls = (0..tasks).map(|_| one.clone().into()).collect();
    let began = Instant::now();
    ended(&submit(&client, calls)).await?;
    row(&format!("a map of {tasks} tasks"), began);
    memory("then", &controller, &engines);

    let began = Instant::now();
    for process in [&mut engines, &mut controller] {
        drop(process.stdin.take());
        tokio::time::timeout(LIMIT, process.wait()).await??;
    }
    row("until all have ended", began);
    Ok(())
}

/// Reads the connection file once the controller has written it.
async fn read_soon(path: &Path) -> Result<ClientConnectionFile, Failed> {
    let began = Instant::now();
    loop {
        match ClientConnectionFile::read(path) {
            Ok(file) => return Ok(file),
            Err(error) if began.elapsed() > LIMIT => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

fn submit(client: &Client, tasks: Vec<EngineTask>) -> AsyncResult {
    client.submit(Submission {
        name: "scale".to_owned(),
        tasks,
        refused: mpsc::unbounded_channel().0,
    })
}

async fn ended(result: &AsyncResult) -> Result<(), Failed> {
    if !result.wait_for_output(Some(LIMIT)).await {
        return Err(format!(
            "{} of {} tasks ended in time",
            result.progress(),
            result.len()
        )
        .into());
    }
    match result.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} tasks failed", result.len()).into()),
    }
}

/// Writes a script to a file, as an artifact.
fn artifact(folder: &Path, script: &str) -> Result<(ArtifactHash, PathBuf), Failed> {
    let text = format!("#!echo\n{script}");
    let hash = ArtifactHash::of(text.as_bytes());
    let path = folder.join(hash.as_str());
    std::fs::write(&path, text)?;
    Ok((hash, path))
}

fn cell(folder: &Path, engine: EngineId, base: &str, next: &str) -> Result<EngineCell, Failed> {
    let script = format!("print cell {next}");
    let (hash, path) = artifact(folder, &script)?;
    Ok(EngineCell {
        engine,
        source: script,
        metadata: CellMetadata {
            abi: "rustc 1".to_owned(),
            host: host_name(),
            base: StateId::new(base),
            next: StateId::new(next),
            entry: Some("run".to_owned()),
            has_result: false,
            lines: Vec::new(),
            artifacts: vec![hash.clone()],
            paths: Vec::new(),
            buffers: Vec::new(),
            record: Box::default(),
        },
        artifacts: vec![(hash, path)],
    })
}

fn call(folder: &Path, placement: Placement) -> Result<EngineCall, Failed> {
    let (hash, path) = artifact(folder, "return-input")?;
    Ok(EngineCall {
        placement,
        metadata: Arc::new(CallMetadata {
            abi: "rustc 1".to_owned(),
            host: host_name(),
            offset: Some(0),
            artifacts: vec![hash.clone()],
            paths: Vec::new(),
            buffers: Vec::new(),
            quiet: true,
            keep: false,
            pushes: Vec::new(),
        }),
        artifacts: Arc::new([(hash, path)]),
        args: Payload::Inline(Bytes::from_static(b"P")),
        label: None,
    })
}

fn row(name: &str, began: Instant) {
    println!("| {name} | {:.2} s |", began.elapsed().as_secs_f64());
}

/// Prints the resident memory and open files of the controller, the engines' process and this one.
fn memory(when: &str, controller: &Child, engines: &Child) {
    let own = Some(std::process::id());
    for (name, pid) in [
        ("controller", controller.id()),
        ("engines", engines.id()),
        ("client", own),
    ] {
        let Some(pid) = pid else { continue };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: usize = kib.and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
        let files = files.map_or(0, Iterator::count);
        println!("| {name}, {when} | {} MiB, {files} files |", kib >> 10);
    }
}
