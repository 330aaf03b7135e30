"""Dependencies that come in the middle of a notebook: what lives on, what is dropped, and what a crash leaves of them.

Runs the same cells locally and on engines. Prints, as JSON, the text of each cell of each run, by the cell's name.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from kernel import CELL_TIMEOUT, running

ANSI = re.compile(r"\x1b\[[0-9;]*m")

MANIFEST = """
[package]
name = "shape"
version = "0.1.0"
edition = "2024"

[features]
wide = []

# Features of what the notebooks' library depends on, as many crates ask for them.
[dependencies]
chrono = "0.4"
memchr = "2"
num-traits = { version = "0.2", features = ["i128", "libm"] }
serde_core = { version = "1", features = ["alloc"] }
serde_json = { version = "1", features = ["raw_value"] }
"""
SOURCE = """
#[cfg(feature = "wide")]
pub struct Width(pub u64, pub u64);
#[cfg(not(feature = "wide"))]
pub struct Width(pub u8);

pub fn width() -> Width {
    #[cfg(feature = "wide")]
    return Width(1, 2);
    #[cfg(not(feature = "wide"))]
    Width(7)
}

pub static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
"""
# The name of each cell, and its code.
CELLS = [
    (
        "own types",
        """struct Own(i32);
let own = Own(1); let list = vec![Own(2)]; let plain = vec![1];
let any: Box<dyn Fn() -> i32> = Box::new(|| 4);""",
    ),
    (
        "dependencies",
        """:dep anyhow = "1"
:dep indicatif = "0.18"
:dep rayon = "1"
:dep tokio = { version = "1", features = ["full"] }
:dep tracing = "0.1"
:dep tracing-subscriber = "0.3"
:dep shape = { path = "SHAPE" }""",
    ),
    ("kept", "println!(\"{}\", own.0 + list[0].0 + plain[0] + any());"),
    (
        "first uses",
        """use rayon::prelude::*;
use std::io::{Read, Write};
tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(std::io::stdout).init();
tracing::info!("first");
struct Holds(shape::Width);
let holds = Holds(shape::width());
let nested = vec![Some(shape::width())];
shape::COUNT.store(5, std::sync::atomic::Ordering::SeqCst);
println!("{}", (0..1000u64).into_par_iter().sum::<u64>());""",
    ),
    (
        "a bar",
        """{
    let bar = indicatif::ProgressBar::new(4);
    for _ in 0..4 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        bar.inc(1);
    }
    bar.finish();
}""",
    ),
    (
        "a server",
        """let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
let address = listener.local_addr()?;
let (sender, mut receiver) = tokio::sync::mpsc::channel::<String>(9);
let server = tokio::spawn(async move {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"served").await.unwrap();
        sender.send("a client".to_owned()).await.unwrap();
    }
});""",
    ),
    (
        "a runtime of its own",
        """let own_runtime = tokio::runtime::Builder::new_current_thread().build()?;
println!("{}", own_runtime.block_on(async { 41 }) + tokio::runtime::Handle::current().block_on(async { 1 }));""",
    ),
    ("another dependency", ':dep either = "1"'),
    (
        "what lives on",
        """tracing::info!("second");
let mut served = String::new();
std::net::TcpStream::connect(address)?.read_to_string(&mut served)?;
println!("{served} {}", receiver.recv().await.unwrap());
println!("{} {}", shape::COUNT.load(std::sync::atomic::Ordering::SeqCst), own.0);
println!("{}", holds.0.0 + nested[0].as_ref().unwrap().0);""",
    ),
    ("end the server", "server.abort(); drop((server, receiver));"),
    ("a crash", "std::process::abort()"),
    ("pools after a crash", "println!(\"{}\", (0..1000u64).into_par_iter().map(|x| x + own.0 as u64).sum::<u64>());"),
    (
        "tasks after a crash",
        """let task = tokio::spawn(async { tokio::time::sleep(std::time::Duration::from_millis(2)).await; 8 });
println!("{}", task.await?);
tracing::info!("third");""",
    ),
    ("a task that is spawned and not awaited", "tokio::spawn(async {}); println!(\"{}\", plain.len());"),
    ("another feature", ':dep shape = { path = "SHAPE", features = ["wide"] }'),
    ("what is left", "println!(\"{} {} {}\", own.0, plain.len(), shape::width().1);"),
    ("the old type", "holds.0.0"),
    (
        "an error with its cause",
        'anyhow::Context::context(Err::<i32, _>(std::io::Error::other("cause")), "what")?;',
    ),
    ("the old type in another", "nested.len()"),
]


def run(kernel, code):
    texts = []

    def keep(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            texts.append(content["text"])
        elif message["msg_type"] in ("display_data", "update_display_data"):
            shown = content["data"]["text/plain"]
            if message["msg_type"] == "update_display_data" and shown.startswith(("Built", "Ready")):
                texts.append("[built]\n")
            elif "/4" in shown:
                # The bar of an engine, which is a line of its stderr that moves in place.
                texts.append(shown + "\n")
        elif message["msg_type"] == "execute_result":
            texts.append(content["data"]["text/plain"])
        elif message["msg_type"] == "error":
            texts.append(f"{content['ename']}: {content['evalue']}")

    kernel.client.execute_interactive(code, allow_stdin=False, output_hook=keep, timeout=CELL_TIMEOUT)
    return ANSI.sub("", "".join(texts))


def session(shape, magic):
    results = {}
    with running() as kernel:
        if magic:
            run(kernel, "%cluster start -n 1")
        for name, code in CELLS:
            code = code.replace("SHAPE", str(shape))
            code = code if code.startswith(":dep") else magic + code
            results[name] = run(kernel, code)
            print(f"{name}: {results[name]}", file=sys.stderr, flush=True)
    return results


def main():
    with tempfile.TemporaryDirectory() as folder:
        shape = Path(folder) / "shape"
        (shape / "src").mkdir(parents=True)
        (shape / "Cargo.toml").write_text(MANIFEST)
        (shape / "src/lib.rs").write_text(SOURCE)
        print(json.dumps({"local": session(shape, ""), "engines": session(shape, "%%px\n")}))


if __name__ == "__main__":
    main()
