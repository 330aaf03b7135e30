"""Faults of a cluster, made one after the other: how long until they are noticed, what the user sees, what is lost.

Prints a table, or JSON with --json. Cells are scripts of the echo evaluator, so that nothing is compiled. Faults
that take minutes need --long; those that need root say so where there is none.
"""

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
from echo_cluster import TIMEOUT, Cluster, Notebook
from processes import wait_until

# The network of the engines on another "machine".
HOST, GUEST = "10.213.7.1", "10.213.7.2"


class Skipped(Exception):
    """A requirement of a fault is missing."""


def last_line(text):
    """The last line of a text that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line or "lost" in line), lines[-1] if lines else "")


def check_variables(notebook, engines):
    """The engines that still have their variable."""
    shown = notebook.run("%px --no-stream show kept")
    return f"{shown.count('42')} of {engines} engines have their variables"


def two_engines(arguments, folder):
    with Cluster(arguments.phalanx, folder, [f"--ping={arguments.ping}"]) as cluster:
        # One after the other, so that each has the id of its place.
        cluster.engine()
        notebook = cluster.notebook(1)
        cluster.engine()
        notebook.sees(2)
        notebook.run("%px let kept = 42")
        yield cluster, notebook


def an_engine_is_killed(cluster, notebook):
    cell = notebook.send("%%px\nprint begun\nsleep 30")
    first(notebook, cell, "begun", 2)
    started = time.monotonic()
    cluster.engines[0].kill()
    # The other sleeps on: the failure is shown when it happens.
    seen = first(notebook, cell, "EngineError")
    noticed = time.monotonic() - started
    notebook.manager.interrupt_kernel()
    notebook.ended(cell)
    notebook.sees(1)
    return noticed, last_line(seen), "its cell and its variables; " + check_variables(notebook, 1)


def first(notebook, cell, word, times=1, timeout=TIMEOUT):
    """Reads the outputs of a running cell until a word has come so often: the text so far."""
    shown = ""
    deadline = time.monotonic() + timeout
    while shown.count(word) < times:
        message = notebook.client.get_iopub_msg(timeout=max(0, deadline - time.monotonic()))
        if message["parent_header"].get("msg_id") != cell:
            continue
        content = message["content"]
        shown += content.get("text", "") or content.get("data", {}).get("text/plain", "") or content.get("evalue", "")
    return shown


def a_runtime_is_killed(cluster, notebook):
    cell = notebook.send("%%px -t 0\nprint begun\nsleep 30")
    first(notebook, cell, "begun")
    engine = psutil.Process(cluster.engines[0].pid)
    # The snapshots beside it are younger.
    runtime = min(engine.children()[0].children(), key=psutil.Process.create_time)
    started = time.monotonic()
    runtime.kill()
    seen = notebook.ended(cell)
    noticed = time.monotonic() - started
    return noticed, last_line(seen), "its cell; " + check_variables(notebook, 2)


def an_engine_is_stopped(cluster, notebook):
    cell = notebook.send("%%px\nsleep 0.1")
    notebook.ended(cell)
    os.kill(cluster.engines[0].pid, signal.SIGSTOP)
    started = time.monotonic()
    seen = notebook.run("%%px\nprint on")
    noticed = time.monotonic() - started
    os.kill(cluster.engines[0].pid, signal.SIGCONT)
    notebook.sees(2)
    return noticed, last_line(seen), "the cell it was sent; once it goes on, " + check_variables(notebook, 2)


def the_controller_is_killed(cluster, notebook):
    cell = notebook.send("%%px\nprint begun\nsleep 8\nprint done")
    first(notebook, cell, "begun", 2)
    started = time.monotonic()
    cluster.controller.kill()
    cluster.controller.wait()
    time.sleep(2)
    cluster.start()
    seen = notebook.ended(cell)
    seconds = time.monotonic() - started
    notebook.sees(2)
    return seconds, last_line(seen), "what ran; restarted on its database and ports after 2 s, " + check_variables(notebook, 2)


def the_controller_is_stopped(cluster, notebook):
    cluster.controller.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    cell = notebook.send("%%px\nprint on")
    time.sleep(5)
    cluster.controller.send_signal(signal.SIGCONT)
    seen = notebook.ended(cell)
    seconds = time.monotonic() - started
    return seconds, last_line(seen), "nothing (stopped for 5 s); " + check_variables(notebook, 2)


def the_evaluator_is_killed(cluster, notebook):
    notebook.run("let here = 1")
    started = time.monotonic()
    notebook.child("evaluator").kill()
    seen = notebook.run("show here")
    return time.monotonic() - started, last_line(seen), "nothing: the next cell starts another; " + check_variables(notebook, 2)


def the_evaluator_is_stopped(cluster, notebook):
    notebook.run("let here = 1")
    evaluator = notebook.child("evaluator")
    evaluator.suspend()
    cell = notebook.send("show here")
    time.sleep(1)
    started = time.monotonic()
    notebook.manager.interrupt_kernel()
    seen = notebook.ended(cell)
    noticed = time.monotonic() - started
    after = notebook.run("show here")
    return noticed, last_line(seen), f"the cell; the next one shows {last_line(after)!r}"


def half_open_connections(arguments, folder):
    """Connections that never say a word, from one address."""
    requested = 20_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(requested, hard - 1000)
    with Cluster(arguments.phalanx, folder, [f"--ping={arguments.ping}"]) as cluster:
        cluster.engine()
        notebook = cluster.notebook(1)
        notebook.run("%px let kept = 42")
        port = json.loads(cluster.files["client"].read_text())["registration"]
        before = psutil.Process(cluster.controller.pid).memory_info().rss
        silent = []
        try:
            for _ in range(count):
                each = socket.socket()
                each.settimeout(5)
                each.connect(("127.0.0.1", port))
                silent.append(each)
            started = time.monotonic()
            other = Notebook(arguments.phalanx, folder / "other")
            cluster.stack.callback(other.end)
            seen = other.run(f"%cluster connect {cluster.files['client']}")
            seconds = time.monotonic() - started
            added = (psutil.Process(cluster.controller.pid).memory_info().rss - before) >> 20
            lost = f"nothing with {count} of them: +{added} MiB; " + check_variables(notebook, 1)
        finally:
            for each in silent:
                each.close()
        return seconds, last_line(seen), lost


def few_descriptors(arguments, folder):
    """A controller that may have 1,024 files open, and more connections than that."""
    with Cluster(arguments.phalanx, folder, limit=1024) as cluster:
        for _ in range(4):
            cluster.engine()
        notebook = cluster.notebook(4)
        notebook.run("%px let kept = 42")
        port = json.loads(cluster.files["client"].read_text())["registration"]
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2000)]
        started = time.monotonic()
        other = Notebook(arguments.phalanx, folder / "other")
        cluster.stack.callback(other.end)
        seen = other.run(f"%cluster connect {cluster.files['client']}")
        seconds = time.monotonic() - started
        for each in silent:
            each.close()
        return seconds, last_line(seen), "nothing; " + check_variables(notebook, 4)


@contextmanager
def small_disk(folder):
    if os.geteuid() != 0:
        raise Skipped("needs root, to mount a small disk")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise Skipped(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def a_full_disk(arguments, folder):
    with small_disk(folder.with_name(folder.name + "-disk")) as disk:
        with Cluster(arguments.phalanx, folder, ["--db-file", disk / "tasks.db"]) as cluster:
            cluster.engine()
            notebook = cluster.notebook(1)
            notebook.run("%px let kept = 42")
            started = time.monotonic()
            large = "%%px --no-stream\nprint " + "x" * 200_000
            noticed = wait_until(lambda: notebook.run(large) and "disk" in cluster.log(), "the disk is full")
            seen = notebook.run("%px print on")
            line = next(line for line in cluster.log().splitlines() if "disk" in line)
            return noticed, last_line(seen), f"records of tasks, which the log says ({line.split('WARN')[-1].strip()[:80]}); {check_variables(notebook, 1)}"


@contextmanager
def another_host(name="phalanx-faults"):
    """A network namespace that is linked to this one."""
    if os.geteuid() != 0:
        raise Skipped("needs root, to make another host of a network namespace")
    ip = lambda *arguments: subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"no network namespaces: {getattr(error, 'stderr', error)}") from None
    try:
        ip("link", "add", "phx0", "type", "veth", "peer", "name", "phx1", "netns", name)
        ip("address", "add", f"{HOST}/24", "dev", "phx0")
        ip("link", "set", "phx0", "up")
        ip("-n", name, "address", "add", f"{GUEST}/24", "dev", "phx1")
        ip("-n", name, "link", "set", "phx1", "up")
        ip("-n", name, "link", "set", "lo", "up")
        # Of another name, so that nobody takes the Unix sockets that both see.
        renamed = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
        yield ["ip", "netns", "exec", name, *renamed], lambda state: ip("link", "set", "phx0", state)
    except subprocess.CalledProcessError as error:
        raise Skipped(f"no link between namespaces: {error.stderr.strip()}") from None
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def a_cut_link(seconds):
    def cut(arguments, folder):
        with another_host() as (within, link), Cluster(arguments.phalanx, folder, [f"--ip={HOST}"]) as cluster:
            cluster.engine(within)
            notebook = cluster.notebook(1)
            notebook.run("%px let kept = 42")
            link("down")
            started = time.monotonic()
            cell = notebook.send("%%px\nprint on")
            seen = None
            try:
                seen = notebook.ended(cell, timeout=seconds)
                noticed = time.monotonic() - started
            except TimeoutError:
                pass
            time.sleep(max(0, started + seconds - time.monotonic()))
            link("up")
            healed = time.monotonic()
            if seen is None:
                seen = notebook.ended(cell, timeout=3 * TIMEOUT)
                noticed = time.monotonic() - started
            notebook.sees(1, 3 * TIMEOUT)
            back = time.monotonic() - healed
            work = notebook.run("%%px\nprint on")
            return noticed, last_line(seen), f"back {back:.1f} s after the link; shows {last_line(work)!r}; {check_variables(notebook, 1)}"

    return cut


def with_two(function):
    def run(arguments, folder):
        with contextmanager(two_engines)(arguments, folder) as (cluster, notebook):
            return function(cluster, notebook)

    return run


SHORT = {
    "kill -9 of an engine": with_two(an_engine_is_killed),
    "kill -9 of an engine's runtime": with_two(a_runtime_is_killed),
    "SIGSTOP of an engine": with_two(an_engine_is_stopped),
    "kill -9 of the controller": with_two(the_controller_is_killed),
    "SIGSTOP of the controller": with_two(the_controller_is_stopped),
    "kill -9 of the evaluator": with_two(the_evaluator_is_killed),
    "SIGSTOP of the evaluator": with_two(the_evaluator_is_stopped),
    "a full disk": a_full_disk,
    "20,000 half-open connections": half_open_connections,
    "1,024 descriptors": few_descriptors,
}
LONG = {
    "a link that is cut for 20 s": a_cut_link(20),
    "a link that is cut for 120 s": a_cut_link(120),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program, built with the echo evaluator")
    parser.add_argument("folder", type=Path, help="for files")
    parser.add_argument("--ping", type=int, default=3000, help="milliseconds between heartbeats; 11 are missed before an engine is gone")
    parser.add_argument("--long", action="store_true", help="those that take minutes too")
    parser.add_argument("--only", default="", help="those whose name contains this")
    parser.add_argument("--json", action="store_true", help="JSON in place of a table")
    arguments = parser.parse_args()

    faults = SHORT | (LONG if arguments.long else {})
    rows, failed = {}, False
    for number, (name, make) in enumerate(faults.items()):
        if arguments.only not in name:
            continue
        try:
            seconds, seen, lost = make(arguments, arguments.folder / f"fault{number}")
            rows[name] = {"seconds": round(seconds, 2), "seen": seen, "lost": lost}
        except Skipped as reason:
            rows[name] = {"skipped": str(reason)}
        except Exception as error:
            rows[name] = {"failed": f"{type(error).__name__}: {error}"}
            failed = True
        if not arguments.json:
            row = rows[name]
            cells = row.values() if "seconds" in row else ["–", f"{next(iter(row))}: {next(iter(row.values()))}", "–"]
            print("|", name, "|", " | ".join(str(cell).replace("|", "\\|") for cell in cells), "|", flush=True)
    if arguments.json:
        print(json.dumps(rows))
    sys.exit(failed)


if __name__ == "__main__":
    main()
