"""PBS, Grid Engine, LSF and HTCondor in the form of their programs, which run jobs on this machine.

They take the command lines and scripts that the real ones take, and no others, print what those print, and end jobs as
those do. `programs` puts the programs of one system on the PATH; each runs this file. A job waits for ever while the
folder has a file `hold`.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = {
    "pbs": ("qsub", "qstat", "qdel"),
    "sge": ("qsub", "qstat", "qdel"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm"),
}
# The seconds that each system gives a job between the request to end and SIGKILL; Grid Engine makes no request.
GRACE = {"pbs": 10, "sge": 0, "lsf": 10, "htcondor": 10}


@contextmanager
def programs(system, folder):
    """The system's programs, first on the PATH; afterwards its queue must be empty."""
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    for name in PROGRAMS[system]:
        script = binaries / name
        command = [sys.executable, __file__, system, str(folder), name]
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{binaries}:{path}"
    try:
        yield folder
        queue = Queue(folder)
        remaining = [job for job in queue.jobs() if queue.alive(job)]
        if remaining:
            raise RuntimeError(f"jobs are left: {remaining}")
    finally:
        os.environ["PATH"] = path


class Refused(Exception):
    """A refusal: the text that the system's program prints, and its exit status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


class Queue:
    """Jobs, each a file with the processes of its elements."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, number):
        return self.folder / f"job-{number}.json"

    def jobs(self):
        return sorted(int(path.stem.removeprefix("job-")) for path in self.folder.glob("job-*.json"))

    def elements(self, number):
        """The ids of an element's process, by its index; none for a job that nobody knows."""
        try:
            return {int(index): pid for index, pid in json.loads(self.path(number).read_text()).items()}
        except FileNotFoundError:
            return None

    def alive(self, number):
        """The indices of elements that wait or run."""
        elements = self.elements(number) or {}
        return [index for index, pid in elements.items() if pid is None or running(pid)]

    def submit(self, start, indices):
        """Starts the elements; the job's number."""
        number = max(self.jobs(), default=0) + 1
        held = (self.folder / "hold").exists()
        elements = {index: None if held else start(number, index) for index in indices}
        self.path(number).write_text(json.dumps(elements))
        return number

    def end(self, number, grace):
        pids = [pid for pid in self.elements(number).values() if pid is not None and running(pid)]
        # Those that wait have nothing to end.
        self.path(number).write_text(json.dumps({index: pid or -1 for index, pid in self.elements(number).items()}))
        # A job's processes are a session; a system finds those that have left it, too, which is more than is done here.
        if grace:
            signalled(pids, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(running(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        signalled(pids, signal.SIGKILL)


def signalled(pids, number):
    for pid in pids:
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            pass


def running(pid):
    """Returns true if a process runs; those that have ended wait for a parent that does not ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def started(command, variables, output, folder):
    """A process of a session of its own, which outlives this one."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return process.pid


def directives(text, mark):
    """The options of a script's lines that begin with a mark, in order."""
    lines = text.splitlines()
    if lines[0] != "#!/bin/sh":
        raise Refused(f"a script that begins with {lines[0]!r}")
    return [word for line in lines if line.startswith(f"{mark} ") for word in shlex.split(line.removeprefix(mark))]


class Options(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(f"{self.prog}: {message}", 2)


def options(program, *names):
    parser = Options(prog=program, add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(name)
    return parser


def spooled(folder, text):
    """The system's own copy of a script: the user may change theirs."""
    script = folder / f"spooled-{len(list(folder.glob('spooled-*')))}"
    script.write_text(text)
    return script


def script_of(arguments, allowed):
    """The script of a command line whose options are all among those that are taken."""
    *options, script = arguments
    if not set(options) <= set(allowed):
        raise Refused(f"options of the user: {options}")
    return Path(script).read_text()


def is_name(name):
    return re.fullmatch(r"[A-Za-z][\w.-]*", name)


def pbs_submit(queue, arguments):
    text = script_of(arguments, [])
    parser = options("qsub", "-N", "-J", "-j", "-o", "-q")
    parser.add_argument("-l", action="append", default=[])
    options_given = parser.parse_args(directives(text, "#PBS"))
    if options_given.j != "oe" or not is_name(options_given.N):
        raise Refused("qsub: illegal -j or -N value")
    first, last = map(int, options_given.J.split("-")) if options_given.J else (0, 0)
    if options_given.J and first >= last:
        raise Refused("qsub: illegal -J value")
    script = spooled(queue.folder, text)

    def start(number, index):
        variables = {"PBS_JOBID": f"{number}.head", "PBS_ENVIRONMENT": "PBS_BATCH"}
        if options_given.J:
            variables["PBS_ARRAY_INDEX"] = str(index)
        return started(["/bin/sh", script], variables, open(options_given.o, "w"), "/")

    number = queue.submit(start, range(first, last + 1))
    print(f"{number}[].head" if options_given.J else f"{number}.head")


def pbs_number(queue, program, arguments):
    [name] = arguments
    number = int(re.fullmatch(r"(\d+)(\[\])?\.head", name).group(1))
    if queue.elements(number) is None:
        raise Refused(f"{program}: Unknown Job Id {name}", 153)
    if not queue.alive(number):
        raise Refused(f"{program}: {name} Job has finished, use -x or -H to obtain historical job information", 35)
    return number, name


def pbs_state(queue, arguments):
    number, name = pbs_number(queue, "qstat", arguments)
    held = None in queue.elements(number).values()
    print("Job id            Name             User              Time Use S Queue")
    print("----------------  ---------------- ----------------  -------- - -----")
    print(f"{name:17} phalanx          me                       0 {'Q' if held else 'R'} workq")


def pbs_delete(queue, arguments):
    number, _ = pbs_number(queue, "qdel", arguments)
    queue.end(number, GRACE["pbs"])


def sge_submit(queue, arguments):
    text = script_of(arguments, ["-terse"])
    parser = options("qsub", "-N", "-S", "-t", "-j", "-o", "-q")
    parser.add_argument("-l", action="append", default=[])
    options_given = parser.parse_args(directives(text, "#$"))
    first, last = map(int, options_given.t.split("-"))
    if first < 1 or first > last or options_given.j != "y" or not is_name(options_given.N):
        raise Refused("Unable to run job: invalid option.\nExiting.")
    script = spooled(queue.folder, text)

    def start(number, index):
        variables = {"JOB_ID": str(number), "SGE_TASK_ID": str(index)}
        return started([options_given.S, script], variables, open(options_given.o, "w"), "/")

    number = queue.submit(start, range(first, last + 1))
    # The form that -terse gives to "Your job-array 1.1-2:1 ("phalanx-x") has been submitted".
    print(f"{number}.{options_given.t}:1")


def sge_number(queue, name):
    number = int(name)
    if not queue.alive(number):
        raise Refused(f"Following jobs do not exist: \n{number}")
    return number


def sge_state(queue, arguments):
    option, name = arguments
    if option != "-j":
        raise Refused(f'error: ERROR! invalid option argument "{option}"')
    number = sge_number(queue, name)
    print("==============================================================")
    print(f"job_number:                 {number}")
    print("owner:                      me")
    print("sge_o_shell:                /bin/bash")
    if None in queue.elements(number).values():
        print('scheduling info:            queue instance "all.q@n1" dropped because it is full')


def sge_delete(queue, arguments):
    [name] = arguments
    number = int(name)
    if not queue.alive(number):
        raise Refused(f'denied: job "{number}" does not exist')
    queue.end(number, GRACE["sge"])
    print(f"me has registered the job {number} for deletion")


def lsf_submit(queue, arguments):
    if arguments:
        raise Refused(f"{arguments[0]}: Bad argument. Job not submitted.", 255)
    text = sys.stdin.read()
    options_given = options("bsub", "-J", "-o", "-q", "-W").parse_args(directives(text, "#BSUB"))
    name, first, last = re.fullmatch(r"(.+)\[(\d+)-(\d+)\]", options_given.J).groups()
    if not is_name(name) or not 1 <= int(first) <= int(last):
        raise Refused("Bad job array. Job not submitted.", 255)
    script = spooled(queue.folder, text)

    def start(number, index):
        variables = {"LSB_JOBID": str(number), "LSB_JOBINDEX": str(index)}
        return started(["/bin/sh", script], variables, open(options_given.o, "w"), "/")

    number = queue.submit(start, range(int(first), int(last) + 1))
    queue_name = f"queue <{options_given.q}>" if options_given.q else "default queue <normal>"
    print(f"Job <{number}> is submitted to {queue_name}.")


def lsf_number(queue, name):
    if queue.elements(int(name)) is None:
        raise Refused(f"Job <{name}> is not found", 255)
    return int(name)


def lsf_state(queue, arguments):
    *options, name = arguments
    if options != ["-noheader", "-o", "stat pend_reason"]:
        raise Refused(f"bjobs: illegal option -- {options}", 255)
    number = lsf_number(queue, name)
    alive = queue.alive(number)
    for index, pid in queue.elements(number).items():
        print("PEND Job slot limit reached;" if pid is None else "RUN -" if index in alive else "EXIT -")


def lsf_kill(queue, arguments):
    [name] = arguments
    number = lsf_number(queue, name)
    if not queue.alive(number):
        raise Refused(f"Job <{name}>: Job has already finished", 255)
    # The real one returns before the job has ended.
    print(f"Job <{name}> is being terminated")
    queue.end(number, GRACE["lsf"])


def condor_words(text):
    """Arguments in the syntax within double quotes: single quotes hold blanks, and either is doubled in itself."""
    inner = re.fullmatch(r'"(.*)"', text).group(1).replace('""', '"')
    words = re.findall(r"(?:'(?:[^']|'')*'|[^\s'])+", inner)
    return [re.sub(r"'((?:[^']|'')*)'", lambda quoted: quoted.group(1).replace("''", "'"), word) for word in words]


def condor_submit(queue, arguments):
    text = script_of(arguments, ["-terse"])
    *lines, last = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    options_given = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in lines)
    count = int(re.fullmatch(r"queue (\d+)", last).group(1))
    unknown = options_given.keys() - {
        "universe", "batch_name", "executable", "arguments", "environment", "should_transfer_files", "output", "error", "log",
    }  # fmt: skip
    if unknown or options_given["universe"] != "vanilla" or options_given["should_transfer_files"] != "NO":
        raise Refused(f"ERROR: Failed to parse command file {sorted(unknown)}")
    if not os.access(options_given["executable"], os.X_OK):
        raise Refused(f"ERROR: Executable file {options_given['executable']} is not executable")

    def start(number, process):
        def expanded(name):
            return options_given[name].replace("$(Process)", str(process)).replace("$(Cluster)", str(number))

        variables = dict(word.split("=", 1) for word in condor_words(expanded("environment")))
        command = [options_given["executable"], *condor_words(expanded("arguments"))]
        return started(command, variables, open(expanded("output"), "w"), Path(arguments[-1]).parent)

    number = queue.submit(start, range(count))
    print(f"{number}.0 - {number}.{count - 1}")


def condor_state(queue, arguments):
    name, *fields = arguments
    if fields != ["-af", "JobStatus", "HoldReason"]:
        raise Refused(f"Error: invalid arguments {fields}")
    elements = queue.elements(int(name)) or {}
    for index in queue.alive(int(name)):
        print("1 undefined" if elements[index] is None else "2 undefined")


def condor_remove(queue, arguments):
    [name] = arguments
    if not queue.alive(int(name)):
        raise Refused(f"Couldn't find/remove all jobs in cluster {name}")
    print(f"All jobs in cluster {name} have been marked for removal")
    queue.end(int(name), GRACE["htcondor"])


ACTIONS = {
    "pbs": (pbs_submit, pbs_state, pbs_delete),
    "sge": (sge_submit, sge_state, sge_delete),
    "lsf": (lsf_submit, lsf_state, lsf_kill),
    "htcondor": (condor_submit, condor_state, condor_remove),
}


def main():
    system, folder, program, *arguments = sys.argv[1:]
    actions = dict(zip(PROGRAMS[system], ACTIONS[system], strict=True))
    try:
        actions[program](Queue(Path(folder)), arguments)
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(refused.status)


if __name__ == "__main__":
    main()
