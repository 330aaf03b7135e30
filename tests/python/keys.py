"""The keys of a cluster and of a kernel: nowhere but in their connection files.

Prints, as JSON, the command lines and logs in which one of them stands, with everything logged.
"""

import argparse
import json
from pathlib import Path

import psutil
from echo_cluster import Cluster


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program, built with the echo evaluator")
    parser.add_argument("folder", type=Path, help="for files")
    arguments = parser.parse_args()

    with Cluster(arguments.phalanx, arguments.folder / "keys", log="trace") as cluster:
        engine = cluster.engine()
        notebook = cluster.notebook(1)
        notebook.run("%px print on")
        keys = [json.loads(cluster.files["client"].read_text())["key"], notebook.manager.session.key.decode()]
        ids = [cluster.controller.pid, engine.pid, notebook.manager.provisioner.process.pid]
        family = [psutil.Process(pid) for pid in ids]
        family += [child for process in list(family) for child in process.children(recursive=True)]
        # All that `ps` shows to every user of the machine.
        lines = [" ".join(process.cmdline()) for process in family]
    logs = {"cluster": cluster.log(), "kernel": (cluster.folder / "kernel.log").read_text(errors="replace")}
    findings = [line for line in lines if any(key in line for key in keys)]
    findings += [name for name, log in logs.items() if any(key in log for key in keys)]
    print(json.dumps({"found": findings, "processes": len(lines), "logged": all(logs.values())}))


if __name__ == "__main__":
    main()
