//! Benchmark of the throughput (load-balanced no-op tasks per second) and the round-trip time of a
//! controller: a client, the controller and echoing engines, over real sockets, without compiled
//! code. `cargo run --release -p phalanx-controller --example tasks -- [TASKS [ENGINES [HWM]]]`

use phalanx_controller::{Controller, ControllerConfig};
use phalanx_protocol::id::SessionId;
use phalanx_transport::{
    EngineConnectionFile, Envelope, Event, Frames, Sender, Session, Socket, SocketKind,
    SocketOptions,
};
use serde_json::json;
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

type Failed = Box<dyn Error + Send + Sync>;

/// The number of round trips of a single task.
const ROUND_TRIPS: usize = 2000;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|number| number.parse::<usize>());
    let mut number = |usual| numbers.next().unwrap_or(Ok(usual));
    let (tasks, engines, hwm) = (number(20_000)?, number(4)?, number(1)?);
    let config = ControllerConfig {
        heartbeat: Duration::from_secs(60),
        hwm,
        ..ControllerConfig::default()
    };
    let controller = Controller::start(config).await?;
    let file = controller.client_file();
    let session = Session::new("client", file.signing_key()?);
    let open = async |kind, port| -> Result<Socket, Failed> {
        Ok(Socket::connect(kind, &file.endpoint(port)?, SocketOptions::default()).await?)
    };
    let mut notified = open(SocketKind::Sub, file.notification).await?.split().1;
    let mut iopub = open(SocketKind::Sub, file.iopub).await?.split().1;
    // Ends with the socket, when the program exits.
    tokio::spawn(async move { while iopub.recv().await.is_some() {} });
    let (task, mut replies) = open(SocketKind::Dealer, file.task).await?.split();
    let mut running = JoinSet::new();
    for number in 0..engines {
        echo(
            controller.engine_file(),
            format!("engine-{number}"),
            &mut running,
        )
        .await?;
        notified.recv_message().await.ok_or("no notification")?;
    }

    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let began = Instant::now();
        task.send(request(&session)?).await?;
        let reply = replies.recv_message().await.ok_or("closed")?;
        Envelope::open(reply, session.key())?;
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "one at a time: {:.3} ms (median)",
        times[ROUND_TRIPS / 2].as_secs_f64() * 1e3
    );

    let began = Instant::now();
    let sending = async {
        for _ in 0..tasks {
            task.send(request(&session)?).await?;
        }
        Ok::<_, Failed>(())
    };
    let receiving = async {
        for _ in 0..tasks {
            let reply = replies.recv_message().await.ok_or("closed")?;
            Envelope::open(reply, session.key())?;
        }
        Ok::<_, Failed>(())
    };
    tokio::try_join!(sending, receiving)?;
    let took = began.elapsed().as_secs_f64();
    println!(
        "{tasks} tasks, {engines} engines, hwm {hwm}: {:.0} tasks/s",
        tasks as f64 / took
    );
    running.shutdown().await;
    controller.shutdown().await;
    Ok(())
}

fn request(session: &Session) -> Result<Frames, Failed> {
    let mut request = session.envelope("apply_request", json!({}), None);
    request.buffers = vec![vec![0; 16].into()];
    Ok(request.seal(session.key())?)
}

/// An engine that replies to each task with its own buffers.
async fn echo(
    file: &EngineConnectionFile,
    uuid: String,
    running: &mut JoinSet<Result<(), Failed>>,
) -> Result<(), Failed> {
    let key = file.signing_key()?;
    let session = Session::with_id(SessionId::new(uuid.as_str()), "engine", key);
    let dealer = async |port| -> Result<Socket, Failed> {
        let options = SocketOptions::default().identity(uuid.as_str());
        Ok(Socket::connect(SocketKind::Dealer, &file.endpoint(port)?, options).await?)
    };
    let mut registrar = dealer(file.registration).await?;
    let request = session.envelope("registration_request", json!({"uuid": uuid}), None);
    registrar.send(request.seal(session.key())?).await?;
    registrar.recv_message().await.ok_or("not registered")?;
    let iopub = file.endpoint(file.iopub)?;
    let (publish, mut subscriptions) =
        Socket::connect(SocketKind::Pub, &iopub, SocketOptions::default())
            .await?
            .split();
    let idle = (
        dealer(file.mux).await?,
        dealer(file.control).await?,
        dealer(file.hb_pong).await?,
    );
    let task = dealer(file.task).await?;
    let said = (session.clone(), publish.clone());
    running.spawn(async move {
        let _open = (registrar, idle);
        let (session, publish) = said;
        while let Some(event) = subscriptions.recv().await {
            if let Event::Subscribed(_) = event {
                status(&publish, &session, "starting", None).await?;
            }
        }
        Ok(())
    });
    running.spawn(serve(task, session, publish));
    Ok(())
}

async fn serve(mut task: Socket, session: Session, publish: Sender) -> Result<(), Failed> {
    while let Some(frames) = task.recv_message().await {
        let mut request = Envelope::open(frames, session.key())?;
        status(&publish, &session, "busy", Some(&request)).await?;
        let mut reply = session.envelope("apply_reply", json!({"status": "ok"}), Some(&request));
        reply.metadata.insert("status".to_owned(), json!("ok"));
        reply
            .metadata
            .insert("engine".to_owned(), json!(session.id()));
        reply.buffers = std::mem::take(&mut request.buffers);
        task.send(reply.seal(session.key())?).await?;
        status(&publish, &session, "idle", Some(&request)).await?;
    }
    Ok(())
}

async fn status(
    publish: &Sender,
    session: &Session,
    state: &str,
    request: Option<&Envelope>,
) -> Result<(), Failed> {
    let mut status = session.envelope("status", json!({"execution_state": state}), request);
    status.identities = vec![b"engine.status".to_vec().into()];
    publish.send(status.seal(session.key())?).await?;
    Ok(())
}
