"""Clients that send more than can be kept: what they cost the controller and everybody else.

One submits tasks with arguments of 50 MB, more than 5 GB of them, and reads no results; meanwhile another has small
tasks run. The first is stopped, goes on, and is killed. Then one with 20,000 small tasks that wait is killed, and last
come hostile bytes. Prints, as JSON, the controller's memory in MiB and the seconds that the small tasks took.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import ipyparallel
import psutil

from processes import PeakMemory, process

TIMEOUT = 120
LARGE, LARGE_BYTES = 100, 50 << 20
MANY = 20_000
HOSTILE = 300

# Submits, says so, and waits to be killed. The tasks hold one of the engines.
CLIENT = """
import sys, time, ipyparallel
client = ipyparallel.Client(sys.argv[1])
client.wait_for_engines(2, interactive=False)
view = client.load_balanced_view(targets=client.ids[:1])
count, size = map(int, sys.argv[2:])
held = view.apply_async(time.sleep, 1_000_000)
data = b"x" * size
results = []
for _ in range(count):
    results.append(view.apply_async(lambda data: None, data))
print("submitted", flush=True)
sys.stdin.read()
"""


@contextmanager
def until_killed(command):
    """A process that is killed at the end of the block."""
    started = subprocess.Popen(command)
    try:
        yield
    finally:
        started.kill()
        started.wait()


@contextmanager
def flooding(file, count, size):
    """A client that submits so many tasks of this size."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with process([sys.executable, "-c", CLIENT, file, str(count), str(size)], **pipes) as client:
        yield client


def seconds(work):
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 2)


def small_tasks(client):
    """Twenty tasks, one after the other, on the engine that is free."""
    view = client.load_balanced_view(targets=client.ids[1:])
    for number in range(20):
        assert view.apply_async(lambda x: x + 1, number).get(TIMEOUT) == number + 1


def waiting(client, wanted):
    """Waits until the number of waiting tasks is as wanted."""
    deadline = time.monotonic() + TIMEOUT
    while not wanted(count := client.queue_status()["unassigned"]):
        assert time.monotonic() < deadline, count
        time.sleep(0.1)
    return count


def full(client):
    """Waits until the number of waiting tasks does not grow any more."""
    count, since = 0, time.monotonic()
    while time.monotonic() < since + 3:
        now = waiting(client, lambda _: True)
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.1)
    return count


def ports(file):
    content = json.loads(Path(file).read_text())
    names = ["registration", "control", "mux", "task", "iopub", "notification", "broadcast"]
    return [content[name] for name in names]


def greeting():
    ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
    return b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48) + bytes([4, len(ready)]) + ready


def hostile(file):
    """Connections with bytes of no meaning, whole handshakes with cut and with unsigned messages."""
    chance = random.Random(7)
    connections = []
    for number in range(HOSTILE):
        port = chance.choice(ports(file))
        connection = socket.create_connection(("127.0.0.1", port))
        junk = chance.randbytes(chance.randrange(1, 2000))
        frames = b"".join(bytes([1, 3]) + chance.randbytes(3) for _ in range(1000)) + b"\0\0"
        signed = b"".join(bytes([1, len(part)]) + part for part in (b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}"))
        sent = [
            junk,
            greeting() + junk,
            greeting() + b"\2" + (1 << 60).to_bytes(8, "big"),
            greeting() + b"\3" + (1 << 20).to_bytes(8, "big") + junk,
            greeting() + frames,
            greeting() + signed + b"\0\2{}",
            greeting()[: chance.randrange(1, 90)],
        ]
        try:
            connection.sendall(sent[number % len(sent)])
        except OSError:
            pass
        connections.append(connection)
    return connections


def uses(files, controller):
    client = ipyparallel.Client(files["client"], timeout=TIMEOUT)
    client.wait_for_engines(2, timeout=TIMEOUT, interactive=False)
    yield "alone", {"tasks": seconds(lambda: small_tasks(client))}
    with flooding(files["client"], LARGE, LARGE_BYTES) as flood:
        memory = PeakMemory(controller.pid)
        count = full(client)
        flooded = seconds(lambda: small_tasks(client))
        flood.send_signal(signal.SIGSTOP)
        stopped = seconds(lambda: small_tasks(client))
        flood.send_signal(signal.SIGCONT)
        more = full(client)
        flood.kill()
        killed = seconds(lambda: small_tasks(client))
        yield "large", {
            "MiB": memory.taken(),
            "waiting": max(count, more),
            "tasks": flooded,
            "stopped": stopped,
            "killed": killed,
        }
    client.abort(block=False)
    with flooding(files["client"], MANY, 1) as flood:
        memory = PeakMemory(controller.pid)
        before = psutil.Process(controller.pid).memory_info().rss >> 20
        waiting(client, lambda count: count >= MANY)
        flooded = seconds(lambda: small_tasks(client))
        flood.kill()
        killed = seconds(lambda: small_tasks(client))
        yield "many", {"MiB": memory.taken(), "before": before, "tasks": flooded, "killed": killed}
    memory = PeakMemory(controller.pid)
    connections = hostile(files["client"])
    yield "hostile", {"tasks": seconds(lambda: small_tasks(client)), "MiB": memory.taken()}
    for connection in connections:
        connection.close()
    client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for the connection files and the log")
    arguments = parser.parse_args()

    files = {kind: str(arguments.folder / f"ipcontroller-{kind}.json") for kind in ("client", "engine")}
    command = [arguments.phalanx, "controller", "--folder", arguments.folder]
    options = {"stdout": subprocess.PIPE, "env": {**os.environ, "PHALANX_LOG": "warn"}}
    engine = [sys.executable, "-m", "ipyparallel.engine", f"--file={files['engine']}", "--log-level=ERROR"]
    log = (arguments.folder / "controller.log").open("w")
    seen = {}
    with log, process(command, stderr=log, **options) as controller:
        controller.stdout.readline()
        # One of them is held by a task.
        with until_killed(engine), until_killed(engine):
            for case, row in uses(files, controller):
                seen[case] = row
                print(case, row, file=sys.stderr)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
