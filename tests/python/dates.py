"""Stock clients compute with the dates of our engines and controller; a stock hub keeps records of our
engines' and our kernel's tasks.

Prints the results as JSON.
"""

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path

import ipyparallel
from ipyparallel_client import start_controller
from kernel import running
from processes import process

# Seconds until an engine must have joined, and for each request after that.
JOIN_TIMEOUT = 90
TIMEOUT = 30
# Milliseconds between heartbeats of the stock controller, which registers engines at the second.
PING = 250

DATES = ("submitted", "started", "completed", "received")


def stock_files(profile):
    """The connection files of a stock controller, once it has written them."""
    files = {kind: profile / f"security/ipcontroller-{kind}.json" for kind in ("client", "engine")}
    deadline = time.monotonic() + JOIN_TIMEOUT
    while not all(file.exists() and file.stat().st_size for file in files.values()):
        if time.monotonic() > deadline:
            raise TimeoutError("the stock controller writes no connection files")
        time.sleep(0.05)
    return files


def connected(file, engines):
    client = ipyparallel.Client(file, timeout=JOIN_TIMEOUT)
    client.wait_for_engines(engines, timeout=JOIN_TIMEOUT, interactive=False)
    return client


def are_dates(record):
    """Returns true if all dates of a record are dates to the client, and in order."""
    dates = [record[name] for name in DATES]
    return all(isinstance(date, datetime) for date in dates) and dates == sorted(dates)


def cells_of_others(client):
    """The records of other clients' cells, once the hub has them: it notes what came of a task after its client."""

    def has_ended(record):
        is_cell = record["header"]["msg_type"] == "execute_request"
        return is_cell and record["client_uuid"] != client.session.session and record["completed"]

    deadline = time.monotonic() + TIMEOUT
    while True:
        records = [record for record in client.db_query({"msg_id": {"$ne": ""}}) if has_ended(record)]
        if records or time.monotonic() > deadline:
            return records
        time.sleep(0.05)


def durations(result):
    return min(result.wall_time, result.serial_time, result.elapsed) >= 0


def on_our_controller(phalanx, engine, folder):
    """A task of a stock client that a Rust engine refuses has the dates of any other."""
    controller, files = start_controller(phalanx, folder)
    with controller, process([engine, "--file", files["engine"]]):
        try:
            client = connected(files["client"], 1)
            task = client[0].execute("1 + 1", block=False)
            task.wait(TIMEOUT)
            task.wait_for_output(TIMEOUT)
            yield "durations", durations(task)
            yield "records", [are_dates(record) for record in client.db_query({"msg_id": {"$in": task.msg_ids}})]
            client.close()
        finally:
            controller.terminate()


def on_a_stock_controller(engine, folder):
    """The stock hub's records of a Rust engine's tasks, submitted by a kernel and by a stock client."""
    profile, log = folder / "profile", folder / "log"
    command = [sys.executable, "-m", "ipyparallel.controller", "--ip=127.0.0.1", f"--ping={PING}"]
    with log.open("w") as written, process([*command, f"--profile-dir={profile}"], stderr=written):
        files = stock_files(profile)
        probe = ipyparallel.Client(files["client"], timeout=JOIN_TIMEOUT)
        with process([engine, "--file", files["engine"]]), running() as kernel:
            probe.wait_for_engines(1, timeout=JOIN_TIMEOUT, interactive=False)
            kernel.run(f"%cluster connect {files['client']}")
            kernel.run("%%px\n1 + 1")
            refused = probe[0].execute("1 + 1", block=False)
            refused.wait(TIMEOUT)
            yield "kernel", [are_dates(record) for record in cells_of_others(probe)]
            yield "stock", [are_dates(record) for record in probe.db_query({"msg_id": {"$in": refused.msg_ids}})]
            probe.close()
    yield "complaints", [line for line in log.read_text().splitlines() if "rror" in line or "Traceback" in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("engine", type=Path, help="the engine's program")
    parser.add_argument("folder", type=Path, help="for the connection files")
    arguments = parser.parse_args()
    own = dict(on_our_controller(arguments.phalanx, arguments.engine, arguments.folder))
    stock = dict(on_a_stock_controller(arguments.engine, arguments.folder))
    print(json.dumps({"ours": own, "stock": stock}))


if __name__ == "__main__":
    main()
