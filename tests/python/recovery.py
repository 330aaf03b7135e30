"""Processes of a cluster that are stopped or killed, and what a notebook has afterwards.

An engine that was stopped until its controller took it for gone, a controller that was stopped until its
engine missed it, a controller that was killed and started again. Prints, as JSON, what the notebook's
cells put out after each.
"""

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path

import ipyparallel
from kernel import running
from processes import process, wait_until

# Seconds within which whatever is waited for has happened.
TIMEOUT = 60
# Milliseconds between heartbeats; ten of them may be missed.
PING = 250

KEPT = "%%px\nlet kept = 42;"
SHOW = '%%px\nprintln!("kept {kept}");'


class Cluster:
    def __init__(self, phalanx, folder):
        self.command = [phalanx, "controller", "--folder", folder, "--reuse", "--db", "sqlite", f"--ping={PING}"]
        self.files = {kind: folder / f"ipcontroller-{kind}.json" for kind in ("client", "engine")}
        self.start()

    def start(self):
        """The controller says where its files are before it serves."""
        self.controller = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.controller.stdout.readline()

    def end(self):
        self.controller.send_signal(signal.SIGCONT)
        self.controller.terminate()
        self.controller.wait(timeout=TIMEOUT)

    def connected(self):
        """A stock client that sees the engine."""
        client = ipyparallel.Client(self.files["client"], timeout=TIMEOUT)
        client.wait_for_engines(1, timeout=TIMEOUT, interactive=False)
        return client


def sees(kernel, count):
    """Returns true if the notebook sees so many engines."""
    return f"{count} engine" in "".join(kernel.run("%cluster status"))


def kept(kernel):
    """The engine's texts about its variable; output published just as the connection comes back may be lost."""
    shown = []

    def is_shown():
        shown[:] = [text for text in kernel.run(SHOW) if "kept" in text]
        return bool(shown)

    wait_until(is_shown, "the variable is shown")
    return shown


def an_engine_is_stopped(kernel, client, engine):
    uuid = client._engines[0]
    os.kill(engine.pid, signal.SIGSTOP)
    kernel.run("%%px --noblock -o lost\nlet other = 7;")
    wait_until(lambda: client.ids == [], "the engine is missed")
    wait_until(lambda: sees(kernel, 0), "the notebook misses it")
    failed = 'println!("{}", lost.wait().is_ok() && lost.get().is_err());'
    yield "failed", kernel.run(failed)
    os.kill(engine.pid, signal.SIGCONT)
    wait_until(lambda: client.ids == [0], "the engine is back")
    wait_until(lambda: sees(kernel, 1), "the notebook sees it")
    yield "same", client._engines[0] == uuid
    yield "kept", kept(kernel)


def the_controller_is_stopped(kernel, cluster, engine):
    cluster.controller.send_signal(signal.SIGSTOP)
    for line in engine.stderr:
        if "silent" in line:
            break
    cluster.controller.send_signal(signal.SIGCONT)
    yield "kept", kept(kernel)


def the_controller_is_killed(kernel, cluster):
    cluster.controller.kill()
    cluster.controller.wait(timeout=TIMEOUT)
    wait_until(lambda: sees(kernel, 1), "the notebook has what it saw")
    cluster.start()
    client = cluster.connected()
    yield "ids", client.ids
    client.close()
    # It is asked for its engines as soon as it is there, when there may be none yet.
    wait_until(lambda: sees(kernel, 1), "the notebook sees the engine")
    yield "kept", kept(kernel)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("engine", type=Path, help="the engine's program")
    parser.add_argument("folder", type=Path, help="for the connection files")
    arguments = parser.parse_args()

    cluster = Cluster(arguments.phalanx, arguments.folder)
    try:
        command = [arguments.engine, "--file", cluster.files["engine"]]
        options = {"stderr": subprocess.PIPE, "text": True, "env": {**os.environ, "PHALANX_LOG": "warn"}}
        with process(command, **options) as engine, running() as kernel:
            client = cluster.connected()
            kernel.run(f"%cluster connect {cluster.files['client']}")
            kernel.run(KEPT)
            results = {
                "engine stopped": dict(an_engine_is_stopped(kernel, client, engine)),
                "controller stopped": dict(the_controller_is_stopped(kernel, cluster, engine)),
            }
            client.close()
            results["controller killed"] = dict(the_controller_is_killed(kernel, cluster))
        print(json.dumps(results))
    finally:
        cluster.end()


if __name__ == "__main__":
    main()
