"""Our controller and engines in ipyparallel's place: started by its launchers, found by its tools.

Prints, as JSON, what it sees of them.
"""

import argparse
import json
import os
import signal
import subprocess
from pathlib import Path

import ipyparallel
from processes import wait_until
from traitlets.config import Config

# Seconds for one command or one wait.
TIMEOUT = 60


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout


def started_by_ipyparallel(phalanx, engine):
    """The engines of a cluster that ipyparallel starts, told of the controller by a variable or by a file."""
    config = Config()
    config.ControllerLauncher.controller_cmd = [str(phalanx), "controller"]
    config.EngineLauncher.engine_cmd = [str(engine)]
    for by_variable in (True, False):
        cluster = ipyparallel.Cluster(
            n=2, config=config, profile="theirs", send_engines_connection_env=by_variable, log_level=40
        )
        client = cluster.start_and_connect_sync()
        yield client.ids
        client.close()
        cluster.stop_cluster_sync()


def found_by_ipyparallel(phalanx):
    """A cluster of ours, in ipyparallel's profile."""
    run(phalanx, "cluster", "start", "-n", "2", "--daemonize", "--profile", "ours", "--cluster-id", "x", "--db", "sqlite")
    listed = json.loads(run("ipcluster", "list", "-o", "json").splitlines()[-1])
    yield "listed", [entry["cluster"]["cluster_id"] for entry in listed]
    cluster = ipyparallel.Cluster.from_file(profile="ours", cluster_id="x")
    client = ipyparallel.Client(profile="ours", cluster_id="x")
    yield "ids", client.ids
    uuid = client._engines[0]
    os.kill(cluster.engines["phalanx"].launchers["0"].pid, signal.SIGKILL)
    wait_until(lambda: client.ids == [0, 1] and client._engines[0] != uuid, "engine 0 is started again")
    yield "revived", client.ids
    client.close()
    cluster.stop_cluster_sync()
    wait_until(lambda: json.loads(run(phalanx, "cluster", "list", "--output", "json")) == [], "the cluster ends")
    security = Path(os.environ["IPYTHONDIR"]) / "profile_ours/security"
    yield "left", [path.name for path in security.iterdir()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("engine", type=Path, help="the engine's program")
    arguments = parser.parse_args()

    results = {
        "started": list(started_by_ipyparallel(arguments.phalanx, arguments.engine)),
        "found": dict(found_by_ipyparallel(arguments.phalanx)),
    }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
