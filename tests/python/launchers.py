"""Engines that launchers start on other machines, in a batch system and under MPI, all on this one.

For each launcher a notebook starts a cluster, runs a cell and a map on it, changes it and stops it, and so does the
command line. Prints, as JSON, what the notebook's cells put out.
"""

import argparse
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import batch_systems
import sites
from kernel import running

# Seconds for one command.
TIMEOUT = 120

HELLO = '%%px\nprintln!("hello from {}", phalanx::engine_id().unwrap());'
MAP = """\
use phalanx::prelude::*;
let squares: Vec<u64> = Client::connect()?.load_balanced_view().map_sync(|x: u64| x * x, 0..8u64)?;
println!("{squares:?}");
"""


def numbered(outputs):
    """The engines that have printed a greeting, in order."""
    lines = "".join(outputs).splitlines()
    return sorted(int(line.split()[-1]) for line in lines if line.startswith("hello from"))


def notebook(start):
    """A cluster that belongs to a notebook."""
    with running() as kernel:
        yield "started", kernel.run(f"%cluster start {start}")[-1].split(" in ")[0]
        yield "hello", numbered(kernel.run(HELLO))
        yield "map", kernel.run(MAP)[-1].strip()
        kernel.run("%cluster scale 3")
        kernel.run("%cluster sync")
        yield "scaled", numbered(kernel.run(HELLO))
        kernel.run("%cluster restart")
        yield "restarted", numbered(kernel.run(HELLO))
        yield "stopped", kernel.run("%cluster stop")[-1].strip()


def daemon(phalanx, start):
    """A cluster that outlives the command that starts it, from its start to its end."""

    def run(*arguments):
        command = [phalanx, "cluster", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout

    run("start", *start.split(), "--daemonize", "--cluster-id", "daemon")
    [listed] = json.loads(run("list", "--output", "json"))
    yield "listed", [listed["launcher"], listed["engines"]]
    with running() as kernel:
        kernel.run("%cluster connect daemon")
        yield "hello", numbered(kernel.run(HELLO))
        kernel.run("%cluster scale 3")
        yield "status", "3 engines" in kernel.run("%cluster status")[0]
    yield "stopped", run("stop", "daemon").strip()


# The state of a job that waits in its queue, as a notebook shows it in the system's words.
WAITS = {
    "pbs": "Q workq",
    "sge": "dropped because it is full",
    "lsf": "PEND Job slot limit reached",
    "htcondor": "idle",
}


def held(system, folder):
    """Returns true if a cluster whose job is held fails with the reason, and the job is cancelled."""
    profiles = folder / "clusters.toml"
    profiles.write_text(f'[cluster.held]\nlauncher = "{system}"\nn = 2\ntimeout = 2\n')
    os.environ["PHALANX_CLUSTERS"] = str(profiles)
    (folder / "site/hold").touch()
    with running() as kernel:
        shown = kernel.fails("%cluster start held")
    return WAITS[system] in shown or shown


@contextmanager
def ssh(folder, mark):
    with sites.ssh_server(folder / "site", mark):
        yield


@contextmanager
def mpi(folder, mark):
    # As root, and with more processes than cores.
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        os.environ[name] = "1"
    yield


@contextmanager
def slurm(folder, mark):
    with sites.slurm(folder / "site"):
        yield
        remaining = sites.jobs()
        if remaining:
            raise RuntimeError(f"jobs are left: {remaining}")


def batch(system):
    """A batch system's programs, which run jobs on this machine."""

    @contextmanager
    def site(folder, mark):
        with batch_systems.programs(system, folder / "site"):
            yield

    return site


SITES = {"ssh": ssh, "mpi": mpi, "slurm": slurm} | {system: batch(system) for system in batch_systems.PROGRAMS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("launcher", choices=SITES)
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for the site's files")
    parser.add_argument("--mark", required=True, help="a variable for processes whose environment is cleared")
    arguments = parser.parse_args()

    start = f"--launcher {arguments.launcher} -n 2"
    if arguments.launcher == "ssh":
        start += " --hosts node1,node2"
    with SITES[arguments.launcher](arguments.folder, arguments.mark):
        results = {"notebook": dict(notebook(start)), "daemon": dict(daemon(arguments.phalanx, start))}
        if arguments.launcher in WAITS:
            results["held"] = held(arguments.launcher, arguments.folder)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
