//! Artifacts that are scripts, for tests without rustc.
//!
//! There is one instruction per line; the evaluator's echo twin has already rejected invalid ones.

use crate::{POLLED_WORD, STOP_WORD};
use phalanx_protocol::comm::CommRequest;
use phalanx_protocol::frame::{self, Decoder};
use phalanx_protocol::host::{
    CellRequest, HOST_SOCKET_VAR, HostReply, HostRequest, MAGIC_FAILED, MARKER_END, MARKER_START,
    place_marker,
};
use phalanx_protocol::output::{Display, MimeBundle, Output};
use phalanx_sys::page::SharedPage;
use phalanx_sys::threads::{self, Thread};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The first line of every script.
const SHEBANG: &[u8] = b"#!echo";

/// Returns true if the file is a script rather than a library.
pub(super) fn is_script(path: &Path) -> bool {
    let mut head = [0; SHEBANG.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == SHEBANG
}

/// The variables of scripts.
pub(super) struct Namespace {
    variables: BTreeMap<String, String>,
    /// True once it has run a script, so that it handles events of comms.
    is_used: bool,
    /// Both ends of open connections.
    connections: BTreeMap<String, (UnixStream, UnixStream)>,
    page: Arc<SharedPage>,
    /// The input and output of the script's current call.
    input: Vec<u8>,
    output: Vec<u8>,
}

/// The way in which an instruction ends the script.
enum Step {
    Next,
    Stop,
}

impl Namespace {
    pub(super) fn new(page: Arc<SharedPage>) -> Self {
        Self {
            variables: BTreeMap::new(),
            is_used: false,
            input: Vec::new(),
            output: Vec::new(),
            connections: BTreeMap::new(),
            page,
        }
    }

    pub(super) fn run(&mut self, artifact: &Path) -> Result<(), String> {
        self.is_used = true;
        let script = std::fs::read_to_string(artifact).map_err(|error| error.to_string())?;
        for line in script
            .lines()
            .skip(1)
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            match self.step(line) {
                Ok(Step::Next) => {}
                Ok(Step::Stop) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        io::stdout().flush().map_err(|error| error.to_string())
    }

    /// Prints the events of comms.
    pub(super) fn print_events(&self) {
        if !self.is_used {
            return;
        }
        let next = || call(&CommRequest::NextEvent.into());
        while let Ok(HostReply::CommEvent(Some(event))) = next() {
            println!("{event:?}");
        }
    }

    /// Runs a script as a function.
    pub(super) fn call(&mut self, artifact: &Path, input: &[u8]) -> Result<Vec<u8>, String> {
        self.input = input.to_vec();
        self.output.clear();
        self.run(artifact)?;
        Ok(std::mem::take(&mut self.output))
    }

    fn step(&mut self, line: &str) -> io::Result<Step> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut out = io::stdout();
        match word {
            "print" => writeln!(out, "{rest}")?,
            "fn" | "call" => {}
            "lines" => {
                for line in 0..rest.parse().unwrap_or(0) {
                    writeln!(out, "line {line} of a flood of lines")?;
                    out.flush()?;
                }
            }
            "write" => {
                write!(out, "{rest}")?;
                out.flush()?;
            }
            "eprint" => eprintln!("{rest}"),
            "result" => content(&mut out, "text/plain", rest)?,
            "html" => return html(rest),
            "return" => self.output = rest.as_bytes().to_vec(),
            "print-input" => writeln!(out, "{}", String::from_utf8_lossy(&self.input))?,
            "return-input" => self.output = std::mem::take(&mut self.input),
            // In a file, which belongs to the caller.
            "return-placed" => {
                let segment = phalanx_sys::segment::create(&self.input)?;
                self.output = segment.frame().to_vec();
                std::mem::forget(segment);
            }
            "pid" => writeln!(out, "{}", std::process::id())?,
            "sleep" => std::thread::sleep(Duration::from_secs_f64(rest.parse().unwrap_or(0.0))),
            "exit" => std::process::exit(rest.parse().unwrap_or(1)),
            "abort" => std::process::abort(),
            "read" => {
                let mut line = String::new();
                match io::stdin().read_line(&mut line)? {
                    0 => writeln!(out, "end")?,
                    _ => writeln!(out, "read {}", line.trim_end())?,
                }
            }
            "request" => {
                writeln!(out, "EVCXR_INPUT_REQUEST_PASSWORD:{rest}")?;
                return self.step("read");
            }
            "ask" => {
                let request = CellRequest::Input {
                    prompt: rest.to_owned(),
                    password: false,
                };
                match call(&request.into())? {
                    HostReply::Input(Some(line)) => writeln!(out, "asked {line}")?,
                    HostReply::Input(None) => writeln!(out, "end")?,
                    _ => return panicked("no input"),
                }
            }
            "fault" => super::library::fault(),
            "overflow" => writeln!(out, "{}", deep(1))?,
            "spin" => loop {
                std::hint::spin_loop();
            },
            "allocate" => {
                let filled = vec![1_u8; rest.parse::<usize>().unwrap_or(1) << 20];
                writeln!(out, "{}", std::hint::black_box(&filled).len())?;
            }
            "until-interrupted" => {
                self.page.words()[POLLED_WORD].store(1, Ordering::SeqCst);
                // Notifies the test that it polls.
                if !rest.is_empty() {
                    File::create(rest)?;
                }
                while self.page.words()[STOP_WORD].load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
            }
            // A thread that outlives the cell, blocked or busy.
            "rest" => {
                thread(rest, || {
                    loop {
                        std::thread::park();
                    }
                })?;
                let waits = |thread: &Thread| thread.name == rest && thread.idle;
                while !threads::others()?.iter().any(waits) {
                    std::thread::yield_now();
                }
            }
            "work" => thread(rest, || {
                loop {
                    std::hint::spin_loop();
                }
            })?,
            // A process that outlives the cell.
            "start" => drop(shell(rest).spawn()?),
            "wait" => out.write_all(&shell(rest).output()?.stdout)?,
            // A connection to itself: closing one end must be visible at the other.
            "open" => drop(
                self.connections
                    .insert(rest.to_owned(), UnixStream::pair()?),
            ),
            "close" => {
                let mut text = String::new();
                if let Some((near, mut far)) = self.connections.remove(rest) {
                    drop(near);
                    far.read_to_string(&mut text)?;
                }
                writeln!(out, "closed {text}")?;
            }
            "let" => {
                super::call::changed();
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                self.variables
                    .insert(name.trim().to_owned(), value.trim().to_owned());
            }
            "show" => match self.variables.get(rest) {
                Some(value) => writeln!(out, "{value}")?,
                None => return panicked(&format!("variable '{rest}' has gone missing")),
            },
            "move" => {
                super::call::changed();
                self.variables.remove(rest);
            }
            "panic" => return panicked(rest),
            "error" => {
                eprintln!("{rest}");
                writeln!(out, "EVCXR_ERROR_OCCURRED")?;
                return Ok(Step::Stop);
            }
            "lost" => {
                writeln!(out, "EVCXR_VARIABLE_CHANGED_TYPE:{rest}")?;
                return Ok(Step::Stop);
            }
            "comm" => {
                let request: CommRequest = serde_json::from_str(rest)?;
                let reply = call(&request.into())?;
                writeln!(out, "{}", serde_json::to_string(&reply)?)?;
            }
            "client" => {
                let request = CellRequest::Client(serde_json::from_str(rest)?);
                let reply = call(&request.into())?;
                writeln!(out, "{}", serde_json::to_string(&reply)?)?;
            }
            "cell-request" => {
                let request: CellRequest = serde_json::from_str(rest)?;
                let reply = call(&request.into())?;
                writeln!(out, "{}", serde_json::to_string(&reply)?)?;
            }
            "magic" => {
                let line = rest.to_owned();
                if let HostReply::Failed(_) = call(&CellRequest::Magic { line }.into())? {
                    return panicked(MAGIC_FAILED);
                }
            }
            _ => return Err(io::Error::other(format!("not an instruction: {line}"))),
        }
        Ok(Step::Next)
    }
}

/// Recurses until the stack overflows.
fn deep(depth: u64) -> u64 {
    if depth == 0 {
        return 0;
    }
    std::hint::black_box(deep(std::hint::black_box(depth + 1))) + 1
}

/// Starts a thread and waits until it is running.
fn thread(name: &str, work: fn()) -> io::Result<()> {
    let (begun, wait) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Ends with the process.
    thread.spawn(move || {
        // The receiver waits for it.
        let _ = begun.send(());
        work();
    })?;
    wait.recv().map_err(io::Error::other)
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line);
    command
}

fn content(out: &mut io::Stdout, mime: &str, text: &str) -> io::Result<()> {
    writeln!(out, "EVCXR_BEGIN_CONTENT {mime}\n{text}\nEVCXR_END_CONTENT")
}

fn panicked(message: &str) -> io::Result<Step> {
    eprint!("{MARKER_START}panic;cell:1:1{MARKER_END}{message}{MARKER_START}end-panic{MARKER_END}");
    println!("EVCXR_PANIC_NOTIFICATION");
    Ok(Step::Stop)
}

fn html(text: &str) -> io::Result<Step> {
    let display = Display {
        data: MimeBundle::plain(text).with("text/html", text),
        ..Display::default()
    };
    if let HostReply::Place(number) = call(&HostRequest::Output(Output::Display(display)))? {
        print!("{}", place_marker(number));
        io::stdout().flush()?;
    }
    Ok(Step::Next)
}

fn call(request: &HostRequest) -> io::Result<HostReply> {
    let path = std::env::var_os(HOST_SOCKET_VAR).ok_or_else(|| io::Error::other("no owner"))?;
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(&frame::encode(request).map_err(io::Error::other)?)?;
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        if let Some(reply) = decoder.decode().map_err(io::Error::other)? {
            return Ok(reply);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => decoder.push(&buffer[..count]),
        }
    }
}
