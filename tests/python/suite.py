"""ipyparallel's own tests, module by module, with our controller and, where it matters, with ipyparallel's.

The tests are those of the installed package, and so are the engines: Python's. ipyparallel starts the controller
itself (suite_controller.py). Prints a table, or JSON with --json.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from xml.etree import ElementTree

import psutil
from ipyparallel import tests

import sites

# Seconds for one module.
TIMEOUT = 600
# The engines and controllers that a run has started carry it in their environment.
MARK = "PHALANX_SUITE_RUN"
# The settings of ipyparallel's repository; of its warnings that are errors, the one that a controller can cause.
SETTINGS = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error:Interpreting naive datetime
"""
# Open MPI as root, and with more processes than cores.
OPEN_MPI = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe")
HERE = Path(__file__).parent


def modules(only):
    names = (path.stem for path in sorted(Path(tests.__file__).parent.glob("test_*.py")))
    return [name for name in names if only in name]


def end_of_run(value):
    """Ends the processes that a run has left; returns their number."""
    remaining = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == value:
                process.kill()
                remaining += 1
        except psutil.Error:
            pass
    return remaining


@contextmanager
def slurm(folder):
    """A Slurm cluster where there can be one, and the folder that the suite takes for one that all machines see."""
    if os.geteuid() != 0 or shutil.which("slurmctld") is None:
        yield
        return
    shared = Path("/data")
    is_new = not shared.exists()
    shared.mkdir(exist_ok=True)
    try:
        with sites.slurm(folder):
            yield
    finally:
        if is_new:
            shared.rmdir()


SITES = {"test_slurm": slurm}


def run(module, controller, folder):
    """Runs one module; its tests by result, with what each that failed says."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text(SETTINGS)
    mark = str(folder)
    environment = {
        **os.environ,
        **dict.fromkeys(OPEN_MPI, "1"),
        MARK: mark,
        "PYTHONPATH": str(HERE),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    if controller:
        environment["SUITE_CONTROLLER"] = json.dumps(controller)
    command = [sys.executable, "-m", "pytest", "-p", "suite_controller", "-p", "no:cacheprovider", "-c", "pytest.ini"]
    command += ["--rootdir", ".", "--junit-xml", "results.xml", "--pyargs", f"ipyparallel.tests.{module}"]
    with (folder / "log").open("w") as log:
        started = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            started.wait(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        remaining = end_of_run(mark)
    return count_results(folder / "results.xml", remaining)


def count_results(results, remaining):
    counts = {"passed": 0, "failed": {}, "skipped": 0, "left": remaining}
    if not results.exists():
        return counts | {"failed": {"(module)": "did not come to its end"}}
    for case in ElementTree.parse(results).iter("testcase"):
        wrong = [part for part in case if part.tag in ("failure", "error")]
        if wrong:
            counts["failed"][case.get("name")] = wrong[0].get("message", "").strip().splitlines()[0][:200]
        elif case.find("skipped") is not None:
            counts["skipped"] += 1
        else:
            counts["passed"] += 1
    return counts


def shown(counts):
    if counts is None:
        return "–"
    parts = [f"{counts['passed']} passed"]
    if counts["failed"]:
        parts.append(f"**{len(counts['failed'])} failed**")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} skipped")
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for files and logs")
    parser.add_argument("--only", default="", help="modules whose names contain this")
    parser.add_argument("--theirs", choices=("failed", "all", "none"), default="failed",
                        help="modules to run with ipyparallel's controller too")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="JSON in place of a table")
    arguments = parser.parse_args()

    ours = [str(arguments.phalanx.resolve()), "controller"]
    results = {}
    if not arguments.json:
        print("| module | our controller | ipyparallel's |\n|---|---|---|", flush=True)
    for module in modules(arguments.only):
        folder = arguments.folder / module
        site = SITES.get(module, nullcontext)
        with site(folder / "site"):
            row = results[module] = {"ours": run(module, ours, folder / "ours"), "theirs": None}
            if arguments.theirs == "all" or (arguments.theirs == "failed" and row["ours"]["failed"]):
                row["theirs"] = run(module, None, folder / "theirs")
        if not arguments.json:
            print(f"| `{module}` | {shown(row['ours'])} | {shown(row['theirs'])} |", flush=True)
    if arguments.json:
        print(json.dumps(results))
        return
    for module, row in results.items():
        for whose in ("ours", "theirs"):
            for name, reason in (row[whose] or {"failed": {}})["failed"].items():
                print(f"{whose}: {module}::{name}: {reason}")


if __name__ == "__main__":
    main()
