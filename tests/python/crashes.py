"""Cells that bring their process down, one after the other, with a variable that has to outlive them all.

Prints, as JSON, how each ended, the remaining variables, and the milliseconds from an interrupt to idle.
"""

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

from kernel import CELL_TIMEOUT, running

KEPT = "let kept = vec![1, 2, 3];"
CRASHES = {
    "segfault": "unsafe { *(8 as *mut u8) = 1 }",
    "abort": "std::process::abort()",
    "stack overflow": """
fn deep(n: u64) -> u64 { let a = std::hint::black_box([n; 1000]); if n == 0 { 0 } else { deep(n - 1) + a[(n % 1000) as usize] } }
println!("{}", deep(10_000_000));
""",
    "exit": "std::process::exit(3)",
    "kill -9": """
println!("before");
std::process::Command::new("kill").arg("-9").arg(std::process::id().to_string()).status()?;
std::thread::sleep(std::time::Duration::from_secs(3600));
""",
}
INTERRUPTED = {
    "busy loop": 'println!("begun"); loop {}',
    "sleep": 'println!("begun"); std::thread::sleep(std::time::Duration::from_secs(3600));',
}
EXHAUSTION = "let mut all: Vec<Vec<u8>> = Vec::new(); loop { all.push(vec![1; 1 << 20]); }"
# The memory of a runtime's cgroup, in bytes.
MEMORY = 256 << 20

POOLS = """
:dep rayon = "1"
:dep tokio = { version = "1", features = ["rt-multi-thread"] }
use rayon::prelude::*;
let runtime = tokio::runtime::Runtime::new()?;
runtime.block_on(async { tokio::spawn(async { 1 }).await })?;
(0..1000u64).into_par_iter().sum::<u64>()
"""
WAITS_FOR_A_LOST_THREAD = 'println!("begun"); runtime.block_on(async { tokio::spawn(async { 8 }).await })'

REDEFINED = ["struct A { x: u64 }\nlet a = A { x: 3 };", "struct A { x: String }", "a.x"]

CGROUPS = Path("/sys/fs/cgroup")


class User:
    def __init__(self, kernel):
        self.client = kernel.client
        self.kernel = kernel

    def run(self, code, interrupt_at=None):
        """Runs a cell, and interrupts it where it prints that; its outputs, and the milliseconds from there to idle."""
        outputs, interrupted = [], None

        def keep(message):
            nonlocal interrupted
            content = message["content"]
            if message["msg_type"] == "stream":
                outputs.append(content["text"])
                if interrupt_at and interrupted is None and interrupt_at in content["text"]:
                    self.client.control_channel.send(self.client.session.msg("interrupt_request", {}))
                    interrupted = time.monotonic()
            elif message["msg_type"] == "error":
                outputs.append(f"{content['ename']}: {content['evalue']}")
            elif message["msg_type"] == "execute_result":
                outputs.append(content["data"]["text/plain"])

        self.client.execute_interactive(code, output_hook=keep, timeout=CELL_TIMEOUT)
        milliseconds = interrupted and 1000 * (time.monotonic() - interrupted)
        return outputs, milliseconds

    def after(self, code, interrupt_at=None):
        outputs, milliseconds = self.run(code, interrupt_at)
        kept, _ = self.run("kept")
        return {"outputs": outputs, "kept": kept, "milliseconds": milliseconds}


def runtimes(pid):
    """The processes that hold the variables of a kernel's cells."""
    runtimes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if b"runtime" in command[1:2] and (parent == pid or any(parent == other for other in runtimes)):
            runtimes.append(int(process.name))
    return runtimes


@contextmanager
def memory_group(limit):
    """A memory cgroup, version 1 or 2; raises an OSError with the reason if there is none."""
    name = f"phalanx-test-{os.getpid()}"
    if (CGROUPS / "cgroup.controllers").exists():
        folder, file = CGROUPS / name, "memory.max"
    else:
        folder, file = CGROUPS / "memory" / name, "memory.limit_in_bytes"
    folder.mkdir()
    try:
        (folder / file).write_text(str(limit))
        yield folder
    finally:
        # Its processes are elsewhere first: a folder with processes stays.
        outside = folder.parent / "cgroup.procs"
        for pid in (folder / "cgroup.procs").read_text().split():
            try:
                outside.write_text(pid)
            except OSError:
                pass
        folder.rmdir()


def exhausted(user):
    try:
        with memory_group(MEMORY) as group:
            for pid in runtimes(user.kernel.pid):
                (group / "cgroup.procs").write_text(str(pid))
            return user.after(EXHAUSTION)
    except OSError as error:
        return {"skipped": f"no memory cgroup: {error}"}


def main():
    results = {}
    with running() as kernel:
        user = User(kernel)
        user.run(KEPT)
        for name, cell in CRASHES.items():
            results[name] = user.after(cell)
        for name, cell in INTERRUPTED.items():
            results[name] = user.after(cell, interrupt_at="begun")
        results["memory"] = exhausted(user)
        results["redefined"] = [user.run(cell)[0] for cell in REDEFINED]
        results["pools"] = user.run(POOLS)[0]
        results["with pools"] = user.after("std::process::abort()")
        results["lost threads"] = user.after(WAITS_FOR_A_LOST_THREAD, interrupt_at="begun")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
