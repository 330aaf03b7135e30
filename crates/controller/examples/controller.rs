//! A controller on its own: `cargo run -p phalanx-controller --example controller -- --folder DIR`.

use clap::Parser;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    server: phalanx_controller::ServerArgs,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    phalanx_controller::run_server(Args::parse().server).await
}
