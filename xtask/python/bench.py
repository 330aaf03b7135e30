"""Measures Phalanx and its peers in one run, the same cells in turn, and prints a table.

Peers: evcxr_jupyter for cells (where it is installed), ipyparallel for `%px` and clusters.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty

import zmq
from bench_sessions import measure_growth, measure_session_start
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

# Seconds one cell may take; the first cell of a session may build the notebook's library.
CELL_TIMEOUT = 600
# Seconds a flood may take; ipyparallel's sometimes does not come to its end.
FLOOD_TIMEOUT = 90
# Milliseconds between attempts to reach a kernel that is not up yet; ZeroMQ's own 100 would be most
# of what is measured.
RECONNECT_MS = 5
# Seconds a kernel is given to get ready in the background before its first cells, as a person does.
WARM_UP = 10

# Rows of the large table.
ROWS = 1_000_000

# The largest acceptable values: absolute, or relative to the peer's.
TARGETS = {
    "launch to kernel_info reply": (0.3, "s"),
    "launch to the first result": (1.0, "s"),
    "launch to the first inferred let": (3.0, "s"),
    "first %px, 5 s after launch": (0.5, "s"),
    "memory of the kernel at the first result": (250, "MiB"),
    "memory of the kernel at the first %px": (830, "MiB"),
    "expression, empty namespace": (0.40, "of peer"),
    "let, warm": (0.45, "of peer"),
    "println": (0.65, "of peer"),
    "item": (0.75, "of peer"),
    "iterator chain": (0.25, "of peer"),
    "expression, 10 variables stored": (0.6, "of peer"),
    "expression, after 50 variables and items": (0.2, "of peer"),
    "let, after 50 variables and items": (0.25, "of peer"),
    "call, after 50 variables and items": (0.25, "of peer"),
    "expression, after 50 over after 0": (1.2, "×"),
    "let, after 50 over after 0": (1.2, "×"),
    "println, after 50 over after 0": (1.2, "×"),
    "call, after 50 over after 0": (1.2, "×"),
    "an unchanged cell again": (0.005, "s"),
    # It costs what it shows, and 3 ns for each other row that serde passes.
    f"table of {ROWS:,} rows": (0.015, "s"),
    "an unchanged %px again, 4 engines": (0.01, "s"),
    "%px above local, 2 engines": (0.002, "s"),
    "%px, 16 engines over 1": (1.15, "×"),
    "%px, 64 engines over 1": (1.5, "×"),
    "40,000 lines of 4 engines": (0.4, "s"),
    "their messages over their text": (1.2, "×"),
    "of them lost": (0, "lines"),
    "cluster start, 4 engines": (0.2, "s"),
    "no-op apply_sync, one engine": (0.0003, "s"),
    "no-op apply_sync, 4 engines": (0.0008, "s"),
    # 50,000 tasks a second.
    "load-balanced no-op, of 10000": (0.00002, "s"),
    # 1 GB/s in all.
    "push 100 MB to 4 engines": (0.4, "s"),
    "memory, controller and 4 engines": (60, "MiB"),
    # 4 GB/s in all.
    "push 100 MB to 4 engines, Shared": (0.1, "s"),
}

# Lines each of four engines prints, flushed one by one, in the measurement of streaming.
LINES = 10_000

# Every repeat is a cell of its own, so that no kernel can answer from an earlier one.
CELLS = {
    "expression, empty namespace": lambda i: f"{i} + 1",
    "println": lambda i: f'println!("{i}");',
    "item": lambda i: f"fn item() -> i32 {{ {i} }}",
    "iterator chain": lambda i: f"(0..{1000 + i}u64).map(|x| x * x).sum::<u64>()",
    "let, warm": lambda i: f"let warm = {i};",
    # Unlike that of a literal, its type has to be inferred.
    "let of a vector's length, warm": lambda i: f"let length = vec![{i}].len();",
}


# Calls as code for Phalanx and for ipyparallel: the number of repeats, and one repeat.
CALLS = {
    "no-op apply_sync, one engine": (
        1000,
        "for _ in 0..{n} { one.apply_sync(|| ())?; }",
        "for _ in range({n}): one.apply_sync(noop)",
    ),
    "no-op apply_sync, 4 engines": (
        500,
        "for _ in 0..{n} { all.apply_sync(|| ())?; }",
        "for _ in range({n}): all_engines.apply_sync(noop)",
    ),
    "load-balanced no-op, of 1000": (
        1000,
        "balanced.map(|_: u32| (), 0..{n}u32).chunksize(1).submit()?.get()?;",
        "balanced.map_async(noop_of, range({n}), chunksize=1).get()",
    ),
    "load-balanced no-op, of 10000": (
        10000,
        "balanced.map(|_: u32| (), 0..{n}u32).chunksize(1).submit()?.get()?;",
        "balanced.map_async(noop_of, range({n}), chunksize=1).get()",
    ),
    "load-balanced no-op, of 100000": (
        100000,
        "balanced.map(|_: u32| (), 0..{n}u32).chunksize(1).submit()?.get()?;",
        # Minutes.
        None,
    ),
    "map of 10000 items, 4 engines": (
        1,
        "all.map_sync(|x: u64| x + 1, 0..10000u64)?;",
        "all_engines.map_sync(lambda x: x + 1, range(10000))",
    ),
    "push 100 MB to 4 engines": (
        1,
        'all.push("pushed", &large)?;',
        "all_engines.push({'pushed': large}, block=True)",
    ),
    # The peer has one kind of data for both. Creating the data is not measured.
    "push 100 MB to 4 engines, Shared": (
        1,
        'let fresh = Shared::new(large.clone());\nlet began = std::time::Instant::now();\nall.push("shared", &fresh)?;',
        "all_engines.push({'pushed': large}, block=True)",
    ),
    "push 100 MB to 4 engines, the same Shared again": (
        1,
        'all.push("shared", &shared)?;',
        "all_engines.push({'pushed': large}, block=True)",
    ),
    "pull 100 MB from one engine": (
        1,
        'let pulled: Vec<f64> = one.pull("pushed")?; assert_eq!(pulled.len(), large.len());',
        "assert len(one.pull('pushed', block=True)) == len(large)",
    ),
    "pull 100 MB from one engine, Shared": (
        1,
        'let pulled: Shared<[f64]> = one.pull("shared")?; assert_eq!(pulled.len(), large.len());',
        "assert len(one.pull('pushed', block=True)) == len(large)",
    ),
    "scatter 100 MB over 4 engines": (
        1,
        'all.scatter("part", &large).wait()?;',
        "all_engines.scatter('part', large, block=True)",
    ),
    "scatter 100 MB over 4 engines, Shared": (
        1,
        'all.scatter("shared_part", &shared).wait()?;',
        "all_engines.scatter('part', large, block=True)",
    ),
    "gather 100 MB from 4 engines": (
        1,
        'let gathered: Vec<f64> = all.gather("part")?.get()?; assert_eq!(gathered.len(), large.len());',
        "assert all_engines.gather('part', block=True)",
    ),
}

CALLS_PROLOGUE = """
use phalanx::prelude::*;
let rc = Client::connect()?;
let (one, all, balanced) = (rc.view(0), rc.all(), rc.load_balanced_view());
let large = vec![0f64; 12_500_000];
let shared = Shared::new(large.clone());
"""
CALLS_PROLOGUE_PEER = """
import time
one, all_engines, balanced = client[0], client[:], client.load_balanced_view()
# Data that travels without being pickled, as an array of numpy would.
large = bytes(100_000_000)
def noop(): pass
def noop_of(_): pass
"""


class TooLong(Exception):
    """A cell did not come to its end in time."""


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, name, spec_dirs=()):
        self.name = name
        specs = KernelSpecManager()
        specs.kernel_dirs = [*spec_dirs, *specs.kernel_dirs]
        self.context = zmq.Context()
        self.context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self.manager = KernelManager(kernel_name=name, kernel_spec_manager=specs)
        # The kernel's log is not part of the table.
        self.log = tempfile.TemporaryFile()
        started = time.perf_counter()
        self.manager.start_kernel(stdout=self.log, stderr=self.log)
        self.client = self.manager.client(context=self.context)
        self.client.start_channels()
        self.client.kernel_info(reply=True, timeout=60)
        self.ready_after = time.perf_counter() - started
        self.pid = self.manager.provisioner.pid
        self.client.wait_for_ready(timeout=60)

    def run(self, code, shown=None):
        """Seconds from sending a cell until its reply and the end of its output are here."""
        started = time.perf_counter()
        self.printed = ""
        msg_id = self.client.execute(code)
        self._until_idle(msg_id, code, shown)
        reply = self.client.get_shell_msg(timeout=CELL_TIMEOUT)
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = self.client.get_shell_msg(timeout=CELL_TIMEOUT)
        took = time.perf_counter() - started
        if reply["content"]["status"] != "ok":
            content = reply["content"]
            raise SystemExit(f"{self.name}: cell `{code}` failed: {content.get('ename')}: {content.get('evalue')}")
        return took

    def _until_idle(self, msg_id, code, shown):
        limit = CELL_TIMEOUT if shown is None else FLOOD_TIMEOUT
        end = time.perf_counter() + limit
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(0, end - time.perf_counter()))
            except Empty as error:
                raise TooLong(f"{self.name}: cell `{code}` did not end within {limit} s") from error
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            if message["msg_type"] == "error":
                lines = "\n".join(message["content"]["traceback"])
                raise SystemExit(f"{self.name}: cell `{code}` failed:\n{lines}")
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                self.printed += message["content"]["text"]
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            if shown is not None:
                shown.add(message)

    def restart(self):
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=60)

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.context.destroy(linger=0)
        self.log.close()


@contextmanager
def kernel(*arguments):
    running = Kernel(*arguments)
    try:
        yield running
    finally:
        running.stop()


def median(seconds):
    return statistics.median(seconds) if seconds else None


def interleaved_medians(kernels, cell, repeats):
    """Medians of a cell on several kernels, interleaved so that all see the same machine."""
    taken = {kernel.name: [] for kernel in kernels}
    for i in range(repeats):
        for kernel in kernels:
            taken[kernel.name].append(kernel.run(cell(i)))
    return {name: median(seconds) for name, seconds in taken.items()}


class Table:
    """Rows of name, ours, peer's."""

    def __init__(self):
        self.rows = {}

    def add(self, name, ours, peer=None, unit="s"):
        self.rows[name] = (ours, peer, unit)
        print(f"  {name}: {shown(ours, unit)}", file=sys.stderr, flush=True)

    def note_memory(self, moment, pid):
        """MiB of a kernel and all it has started, at a moment that is measured anyway."""
        self.add(f"memory of the kernel at the {moment}", memory(processes_of(pid)), unit="MiB")

    def print(self, peers):
        print(f"\n{'':34} {'Phalanx':>10} {'peer':>10}  {'of peer':>7}  wanted")
        missed = 0
        for name, (ours, peer, unit) in self.rows.items():
            ratio = f"{ours / peer:7.2f}" if peer else " " * 7
            wanted, is_met = compare(name, ours, peer)
            missed += is_met is False
            print(f"{name:34} {shown(ours, unit):>10} {shown(peer, unit):>10}  {ratio}  {wanted}")
        print(f"\nPeers: {', '.join(peers)}. Medians; each repeat is a cell not seen before, but for those said to be run again.")
        if missed:
            print(f"{missed} figures are not what is wanted.")


def shown(value, unit):
    if value is None:
        return "-"
    if unit != "s":
        return f"{value:.2f} {unit}"
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def compare(name, ours, peer):
    if name not in TARGETS:
        return "", None
    limit, unit = TARGETS[name]
    if unit == "of peer":
        if not peer:
            return f"≤ {limit} of peer", None
        is_met = ours <= limit * peer
        text = f"≤ {limit} of peer"
    else:
        is_met = ours <= limit
        text = f"≤ {shown(limit, unit)}"
    return f"{text}  {'reached' if is_met else 'NOT REACHED'}", is_met


def measure_cells(table, phalanx, peer, repeats):
    kernels = [phalanx, *([peer] if peer else [])]
    name = peer.name if peer else None
    time.sleep(WARM_UP)
    first = {kernel.name: kernel.run("0 + 0") for kernel in kernels}
    table.add(f"first cell, {WARM_UP} s after launch", first["phalanx"], first.get(name))
    first_let = {kernel.name: kernel.run("let first = String::new();") for kernel in kernels}
    table.add("first let of the session", first_let["phalanx"], first_let.get(name))
    for kernel in kernels:
        # Moved out again, so that the namespace is empty, and everything is warm.
        kernel.run("drop(first);")
        for label, cell in CELLS.items():
            if not label.startswith("let"):
                kernel.run(cell(-1 if label == "println" else 7))
    for label, cell in CELLS.items():
        medians = interleaved_medians(kernels, cell, repeats)
        table.add(label, medians["phalanx"], medians.get(name))
    for kernel in kernels:
        kernel.run("\n".join(f"let v{i} = vec![{i}; {i + 1}];" for i in range(10)))
    medians = interleaved_medians(kernels, lambda i: f"{i} + 2", repeats)
    table.add("expression, 10 variables stored", medians["phalanx"], medians.get(name))
    for kernel in kernels:
        kernel.run("40 + 2")
    medians = interleaved_medians(kernels, lambda _: "40 + 2", repeats)
    table.add("an unchanged cell again", medians["phalanx"], medians.get(name))
    measure_tables(table, phalanx, repeats)


def measure_tables(table, phalanx, repeats):
    """A cell that shows a table of a million rows beside one of a hundred. Run again, so that nothing is
    compiled."""
    phalanx.run(f"let rows: Vec<(u64, f64, String)> = (0..{ROWS}).map(|i| (i, i as f64, i.to_string())).collect();")
    cells = {"100 rows": "phalanx::table(&rows[..100])?;", f"{ROWS:,} rows": "phalanx::table(&rows)?;"}
    for cell in cells.values():
        phalanx.run(cell)
    medians = {rows: median([phalanx.run(cell) for _ in range(repeats)]) for rows, cell in cells.items()}
    for rows, taken in medians.items():
        table.add(f"table of {rows}", taken)
    phalanx.run("drop(rows);")


def measure_px(table, phalanx, python, repeats):
    """`%px` of a trivial cell above the same cell locally, and clusters' starts."""
    px = {}
    for engines in (1, 2, 4, 16, 64):
        start = phalanx.run(f"%cluster start -n {engines}")
        if engines == 4:
            peer_start = python.run(cluster_start(4)) if python else None
            table.add("cluster start, 4 engines", start, peer_start)
        phalanx.run("%px 1000")
        # Cells of the same length compiled each time, so that what differs is the way to the engines.
        local, remote = [], []
        for i in range(repeats):
            local.append(phalanx.run(f"{engines * 1000 + i}"))
            remote.append(phalanx.run(f"%px {engines * 1000 + i}"))
        px[engines] = median(remote)
        if engines == 4:
            phalanx.run("%px 40 + 2")
            again = median([phalanx.run("%px 40 + 2") for _ in range(repeats)])
            table.add("an unchanged %px again, 4 engines", again)
        peer = None
        if python and engines in (2, 4):
            if engines == 2:
                python.run(cluster_start(2))
            python.run("%px 1")
            times = [(python.run(f"%px {i}"), python.run(f"{i}")) for i in range(repeats)]
            peer = median([a for a, _ in times]) - median([b for _, b in times])
            python.run("cluster.stop_cluster_sync()")
        name = f"%px above local, {engines} engine{'s' if engines > 1 else ''}"
        table.add(name, median(remote) - median(local), peer)
        phalanx.run("%cluster stop")
    table.add("%px, 4 engines over 1", px[4] / px[1], unit="×")
    table.add("%px, 16 engines over 1", px[16] / px[1], unit="×")
    table.add("%px, 64 engines over 1", px[64] / px[1], unit="×")


class Shown:
    """The output of a cell: the size of the messages' content in bytes, and the final text."""

    def __init__(self):
        self.size = 0
        self.texts = {}

    def add(self, message):
        if message["msg_type"] == "execute_input":
            return
        content = message["content"]
        self.size += len(json.dumps(content, ensure_ascii=False).encode())
        display_id = content.get("transient", {}).get("display_id", len(self.texts))
        self.texts[display_id] = content.get("text") or content.get("data", {}).get("text/plain", "")

    def lines(self):
        return sum(text.count("a line of a flood") for text in self.texts.values())


def measure_streaming(table, phalanx, python):
    """Lines of four engines as they arrive in a cell, beyond what the same cell takes without any."""

    def flood(kernel, cell):
        without = min(kernel.run(cell(0)) for _ in range(3))
        shown = Shown()
        took = kernel.run(cell(LINES), shown)
        return took - without, shown

    phalanx.run("%cluster start -n 4")
    rust = 'for i in 0..{} {{ println!("{{i}}: a line of a flood"); std::io::Write::flush(&mut std::io::stdout())?; }}'
    took, shown = flood(phalanx, lambda n: f"%%px --progress-after -1\n{rust.format(n)}")
    phalanx.run("%cluster stop")
    peer_took, peer = None, None
    if python:
        python.run(cluster_start(4))
        code = "for i in range({}): print(f'{{i}}: a line of a flood', flush=True)"
        try:
            peer_took, peer = flood(python, lambda n: f"%%px\n{code.format(n)}")
            python.run("cluster.stop_cluster_sync()")
        except TooLong:
            print(f"ipyparallel's flood did not end within {FLOOD_TIMEOUT} s", file=sys.stderr)
            python.restart()
    text = 4 * sum(len(f"{i}: a line of a flood\n") for i in range(LINES))
    table.add("40,000 lines of 4 engines", took, peer_took)
    table.add("their messages over their text", shown.size / text, peer and peer.size / text, unit="×")
    table.add("of them lost", 4 * LINES - shown.lines(), peer and 4 * LINES - peer.lines(), unit="lines")


def measure_calls(table, phalanx, python):
    """Functions on 4 engines, each called by its own loop within one cell."""
    phalanx.run("%cluster start -n 4")
    phalanx.run(CALLS_PROLOGUE)
    python.run(cluster_start(4))
    python.run(CALLS_PROLOGUE_PEER)
    measure_memory(table, python)
    before = [memory(processes_of(kernel.pid)) for kernel in (phalanx, python)]
    table.add("memory of all, before the calls", *before, unit="MiB")
    for name, (repeats, ours, peer) in CALLS.items():
        ours = f"""
let began = std::time::Instant::now();
{ours}
println!("{{}}", began.elapsed().as_secs_f64() / {repeats} as f64);
"""
        peer = peer and f"""
began = time.perf_counter()
{peer}
print((time.perf_counter() - began) / {repeats})
"""
        taken = []
        for kernel, code in ((phalanx, ours), (python, peer)):
            if not code:
                continue
            # Once before, so that what is loaded or compiled at the first call is there.
            for _ in range(2):
                kernel.run(code.replace("{n}", str(repeats)))
            taken.append(float(kernel.printed.split()[-1]))
        table.add(name, *taken)
    after = [memory(processes_of(kernel.pid)) for kernel in (phalanx, python)]
    table.add("memory of all, after the calls", *after, unit="MiB")
    python.run("cluster.stop_cluster_sync()")
    phalanx.run("%cluster stop")


def measure_memory(table, python):
    """A controller and 4 engines by themselves: ours as a server, the peer's as a kernel has started them."""
    program = KernelSpecManager().get_kernel_spec("phalanx").argv[0]
    command = [program, "cluster", "start", "-n", "4", "--cluster-id", "bench"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as cluster:
        # The engines are there once it says so.
        cluster.stdout.readline()
        ours = memory(processes_of(cluster.pid))
        cluster.terminate()
        cluster.stdout.read()
    peer = memory(processes_of(python.pid) - {python.pid})
    table.add("memory, controller and 4 engines", ours, peer, unit="MiB")


def processes_of(pid):
    """A process and all it has started."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    processes = set()
    added = {pid}
    while added:
        processes |= added
        added = {process for process, parent in parents.items() if parent in processes} - processes
    return processes


def memory(processes):
    """MiB of processes; what several share counts once."""
    total = 0
    for process in processes:
        try:
            lines = (Path("/proc") / str(process) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cluster_start(engines):
    return f"""
import logging, ipyparallel
cluster = ipyparallel.Cluster(n={engines}, delay=0, log_level=logging.ERROR)
client = cluster.start_and_connect_sync(activate=True)
"""


def measure_launch(table, names, specs, repeats):
    taken = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            with kernel(name, specs) as running:
                taken[name].append(running.ready_after)
    peer = median(taken[names[1]]) if len(names) > 1 else None
    table.add("launch to kernel_info reply", median(taken[names[0]]), peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--evcxr-jupyter", type=Path, help="the peer's program")
    parser.add_argument("--no-px", action="store_true", help="leave out engines")
    parser.add_argument("--growth", action="store_true", help="measure growing notebooks in a quick run too")
    parser.add_argument("--quick", action="store_true", help="a few repeats only")
    arguments = parser.parse_args()

    table = Table()
    peers = ["evcxr_jupyter"] if arguments.evcxr_jupyter else []
    try:
        measure(table, peers, arguments)
    finally:
        # Figures from before a failure are not lost.
        table.print(peers)
    return 0


def measure(table, peers, arguments):
    repeats = 5 if arguments.quick else 31
    with ExitStack() as stack:
        specs = []
        if arguments.evcxr_jupyter:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            specs.append(str(folder))
            write_spec(folder / "evcxr_jupyter", arguments.evcxr_jupyter)
        names = ["phalanx", *peers]
        measure_launch(table, names, specs, 3 if arguments.quick else 7)
        few = 3 if arguments.quick else 5
        measure_session_start(table, median, kernel, names, specs, few, not arguments.no_px)
        if arguments.growth or not arguments.quick:
            measure_growth(table, median, kernel, names, specs, 3 if arguments.quick else 15)
        phalanx = stack.enter_context(kernel("phalanx", specs))
        peer = stack.enter_context(kernel("evcxr_jupyter", specs)) if peers else None
        measure_cells(table, phalanx, peer, repeats)
    if not arguments.no_px:
        peers.append("ipyparallel")
        with kernel("phalanx") as phalanx, kernel("python3") as python:
            measure_px(table, phalanx, python, repeats)
            measure_streaming(table, phalanx, python)
            measure_calls(table, phalanx, python)


def write_spec(folder, program):
    folder.mkdir()
    spec = {
        "argv": [str(program), "--control_file", "{connection_file}"],
        "display_name": "evcxr_jupyter",
        "language": "rust",
        "interrupt_mode": "message",
    }
    (folder / "kernel.json").write_text(json.dumps(spec))


if __name__ == "__main__":
    sys.exit(main())
