"""Rust and Python engines in one cluster, used by a notebook and by a stock client.

On our controller and on ipyparallel's own. Prints the results as JSON.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import ipyparallel
from dates import JOIN_TIMEOUT, PING, TIMEOUT, connected, process, stock_files
from ipyparallel_client import start_controller
from kernel import running

TASKS = 20
SQUARES = f"""
use phalanx::prelude::*;
let rc = Client::connect()?;
println!("{{:?}}", rc.ids());
println!("{{:?}}", rc.load_balanced_view().map_sync(|x: u64| x * x, 0..{TASKS}u64)?);
println!("{{:?}}", rc.all().apply_sync(|| 6 * 7)?);
"""


def uses(kernel, client, python):
    """Yields the results of both kinds of user in one cluster, by name; `python` are the ids of the Python engines."""
    yield "notebook", "".join(kernel.run(SQUARES)).splitlines()
    yield "px", re.sub(r"\x1b\[[0-9;]*m", "", "".join(kernel.run("%%px\n1 + 1")))
    balanced = client.load_balanced_view()
    yield "balanced", balanced.map_async(lambda x: x * x, range(TASKS)).get(TIMEOUT) == [
        x * x for x in range(TASKS)
    ]
    yield "direct", client[python].apply_async(lambda: 42).get(TIMEOUT)


def alone(client):
    """A Python function where there are only Rust engines."""
    try:
        client.load_balanced_view().apply_async(lambda: 42).get(TIMEOUT)
    except ipyparallel.RemoteError as error:
        return [error.ename, "only Rust engines" in error.evalue]
    return None


def with_engines(arguments, files, controller):
    rust = [arguments.engine, "--file", files["engine"], "--id", "0"]
    python = [sys.executable, "-m", "ipyparallel.engine", f"--file={files['engine']}", "--log-level=ERROR"]
    with process(rust):
        client = connected(files["client"], 1)
        if controller == "ours":
            yield "alone", alone(client)
        with process(python), running() as kernel:
            client.wait_for_engines(2, timeout=JOIN_TIMEOUT, interactive=False)
            kernel.run(f"%cluster connect {files['client']}")
            yield from uses(kernel, client, [id for id in client.ids if id != 0])
        client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("engine", type=Path, help="the engine's program")
    parser.add_argument("folder", type=Path, help="for the connection files")
    arguments = parser.parse_args()

    results = {}
    controller, files = start_controller(arguments.phalanx, arguments.folder)
    try:
        results["ours"] = dict(with_engines(arguments, files, "ours"))
    finally:
        controller.terminate()
        controller.wait(timeout=TIMEOUT)
    profile = arguments.folder / "profile"
    command = [sys.executable, "-m", "ipyparallel.controller", "--ip=127.0.0.1", f"--ping={PING}"]
    with process([*command, f"--profile-dir={profile}"], stderr=subprocess.DEVNULL):
        results["stock"] = dict(with_engines(arguments, stock_files(profile), "stock"))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
