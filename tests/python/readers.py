"""Clients that do not read: what they cost the controller and everybody else.

A client is stopped with results of 1.6 GB on their way to it, then another to whom 300 MB of output are published.
Prints, as JSON, the controller's memory in MiB and the seconds that the work of a client that reads took meanwhile.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import ipyparallel

from processes import PeakMemory, process

TIMEOUT = 120
RESULTS, RESULT_BYTES = 400, 4 << 20
LINES, LINE_BYTES = 3000, 100_000

# Submits, says so once the controller has all tasks, and waits to be stopped. No task ends before that: results that
# the client has read do not wait.
CLIENT = """
import sys, time, ipyparallel

def large(size, gate):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.01)
    return b"x" * size

def arrived():
    queue = client.queue_status()
    return queue["unassigned"] + sum(queue[engine]["tasks"] for engine in client.ids)

file, count, size, gate = sys.argv[1:]
client = ipyparallel.Client(file)
view = client.load_balanced_view()
for _ in range(int(count)):
    view.apply_async(large, int(size), gate)
while arrived() < int(count):
    time.sleep(0.05)
print("submitted", flush=True)
sys.stdin.read()
"""


@contextmanager
def stopped(file, results):
    """A client that has submitted so many tasks and reads no more."""
    gate = Path(file).with_name("stopped")
    values = [file, results, RESULT_BYTES, gate]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with process([sys.executable, "-c", CLIENT, *map(str, values)], **pipes) as client:
        client.stdout.readline()
        client.send_signal(signal.SIGSTOP)
        gate.touch()
        yield


def seconds(work):
    started = time.monotonic()
    work()
    return round(time.monotonic() - started, 2)


def small_tasks(client):
    view = client.load_balanced_view()
    assert view.map_async(lambda x: x + 1, range(100), chunksize=10).get(TIMEOUT) == list(range(1, 101))


def output(client):
    """Prints on one engine, and reads what it has printed."""

    def talk(lines, size):
        for _ in range(lines):
            print("x" * size)

    result = client[0].apply_async(talk, LINES, LINE_BYTES)
    result.get(TIMEOUT)
    result.wait_for_output(TIMEOUT)
    assert len(result.stdout) == LINES * (LINE_BYTES + 1), len(result.stdout)


def idle(client):
    """Returns true once all tasks of all clients have ended."""
    queue = client.queue_status()
    return not queue["unassigned"] and not any(queue[engine]["tasks"] for engine in client.ids)


def log_contains(log, text):
    """Returns true if the controller's log contains a text, or does within the time limit."""
    deadline = time.monotonic() + TIMEOUT
    while text not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    return text in log.read_text()


def uses(files, controller, log):
    client = ipyparallel.Client(files["client"], timeout=TIMEOUT)
    client.wait_for_engines(2, timeout=TIMEOUT, interactive=False)
    yield "alone", {"tasks": seconds(lambda: small_tasks(client)), "output": seconds(lambda: output(client))}
    with stopped(files["client"], RESULTS):
        memory = PeakMemory(controller.pid)
        # Behind the other's tasks, in turns with them.
        tasks = seconds(lambda: small_tasks(client))
        deadline = time.monotonic() + TIMEOUT
        while not idle(client) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield (
            "results",
            {"MiB": memory.taken(), "tasks": tasks, "logged": log_contains(log, "does not read its messages")},
        )
    with stopped(files["client"], 0):
        memory = PeakMemory(controller.pid)
        seconds_taken = seconds(lambda: output(client))
        yield "output", {"MiB": memory.taken(), "output": seconds_taken, "logged": log_contains(log, "it does not read")}
    client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for the connection files and the log")
    arguments = parser.parse_args()

    files = {kind: arguments.folder / f"ipcontroller-{kind}.json" for kind in ("client", "engine")}
    command = [arguments.phalanx, "controller", "--folder", arguments.folder]
    path = arguments.folder / "controller.log"
    options = {"stdout": subprocess.PIPE, "env": {**os.environ, "PHALANX_LOG": "warn"}}
    engine = [sys.executable, "-m", "ipyparallel.engine", f"--file={files['engine']}", "--log-level=ERROR"]
    with path.open("w") as log, process(command, stderr=log, **options) as controller:
        controller.stdout.readline()
        with process(engine), process(engine):
            results = dict(uses(files, controller, path))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
