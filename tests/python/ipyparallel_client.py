"""A stock ipyparallel Client and stock Python engines on our controller.

Prints, as JSON, the results of everything its users do.
"""

import argparse
import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import ipyparallel

# Seconds until both engines must have joined, and for each request after that.
JOIN_TIMEOUT = 90
TIMEOUT = 30
ENGINES = 2


def start_controller(program, folder):
    """The controller says where its connection files are before it serves."""
    files = {kind: folder / f"{kind}.json" for kind in ("client", "engine")}
    command = [program, "controller", "--client-file", files["client"], "--engine-file", files["engine"]]
    command += ["--db", "sqlite", "--db-file", folder / "tasks.db"]
    controller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if not controller.stdout.readline():
        sys.exit(f"the controller ended: {controller.wait(timeout=TIMEOUT)}")
    return controller, files


def uses(client):
    """Yields the results of a user's calls of a client, by name."""
    everyone, balanced = client[:], client.load_balanced_view()
    yield "ids", client.ids
    pids = everyone.apply_async(os.getpid).get(TIMEOUT)
    yield "processes", len({*pids, os.getpid()})
    yield "map", balanced.map_async(lambda x: x * x, range(20)).get(TIMEOUT)
    everyone.push({"a": 20}, block=False).get(TIMEOUT)
    yield "pull", everyone.pull("a", block=False).get(TIMEOUT)
    everyone.scatter("part", list(range(10)), block=False).get(TIMEOUT)
    yield "gather", list(everyone.gather("part", block=False).get(TIMEOUT))
    yield "sum", sum(everyone.apply_async(operator.mul, 21, 1).get(TIMEOUT))

    result = everyone.execute("print('said'); a + 1", silent=False, block=False)
    result.get(TIMEOUT)
    result.wait_for_output(TIMEOUT)
    yield "stdout", result.stdout
    yield "status", result.status
    yield "results", [reply.execute_result["data"]["text/plain"] for reply in result.get()]

    try:
        everyone.execute("1 / 0", block=False).get(TIMEOUT)
    except ipyparallel.CompositeError as error:
        yield "errors", [each[0] for each in error.elist]
    first = balanced.apply_async(lambda: 1)
    with balanced.temp_flags(after=[first]):
        yield "after", balanced.apply_async(lambda: 2).get(TIMEOUT)
    yield "queues", client.queue_status()["unassigned"]

    with balanced.temp_flags(label="labelled"):
        task = balanced.apply_async(lambda: 42)
    task.get(TIMEOUT)
    records = client.db_query({"label": {"$glob": "label*"}}, keys=["label"])
    yield "records", [record["label"] for record in records if record["msg_id"] in task.msg_ids]
    yield "resubmitted", client.resubmit(task.msg_ids).get(TIMEOUT)
    client.purge_hub_results("all")
    yield "history", client.hub_history()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for the connection files")
    arguments = parser.parse_args()

    controller, files = start_controller(arguments.phalanx, arguments.folder)
    engine = [sys.executable, "-m", "ipyparallel.engine", f"--file={files['engine']}", "--log-level=ERROR"]
    engines = [subprocess.Popen(engine) for _ in range(ENGINES)]
    try:
        client = ipyparallel.Client(files["client"])
        client.wait_for_engines(ENGINES, timeout=JOIN_TIMEOUT, interactive=False)
        print(json.dumps(dict(uses(client))))
        client.close()
    finally:
        for process in [*engines, controller]:
            process.terminate()
        for process in [*engines, controller]:
            process.wait(timeout=TIMEOUT)


if __name__ == "__main__":
    main()
