"""Places in which a launcher starts engines, on this machine: an SSH server, a Slurm cluster."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from processes import wait_until

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/id.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
SetEnv {mark} XDG_CACHE_HOME={folder}/cache TMPDIR={temporary}
"""

SSH = """\
Host node*
    HostName 127.0.0.1
    Port {port}
    IdentityFile {folder}/id
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
"""

SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def free_ports(count):
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def ended(pid_file):
    """Ends the daemon of a file, and waits until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    os.kill(pid, 15)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"{pid_file} ends")


@contextmanager
def ssh_server(folder, mark):
    """An SSH server with keys of its own, and an `ssh` on the PATH that knows it as node1, node2, …"""
    folder.mkdir()
    for key in ("host", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    [port] = free_ports(1)
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder, mark=mark, temporary=tempfile.gettempdir()))
    (folder / "ssh_config").write_text(SSH.format(port=port, folder=folder))
    wrapper = folder / "bin/ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    wrapper.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    subprocess.run(["/usr/sbin/sshd", "-f", folder / "sshd_config", "-E", folder / "log"], check=True)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{wrapper.parent}:{path}"
    try:
        yield folder
    finally:
        os.environ["PATH"] = path
        ended(folder / "sshd.pid")


@contextmanager
def munge():
    """The daemon that signs for Slurm; one that runs already is left alone."""
    if Path("/run/munge/munge.socket.2").exists():
        yield
        return
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
        Path(folder).mkdir(exist_ok=True, parents=True)
        shutil.chown(folder, "munge", "munge")
    subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)
    try:
        yield
    finally:
        ended(Path("/run/munge/munged.pid"))


@contextmanager
def slurm(folder):
    """A Slurm cluster of two nodes on this machine."""
    (folder / "state").mkdir(parents=True)
    port, first = free_ports(1)[0], 0
    while first == 0:
        candidate = free_ports(1)[0]
        try:
            with socket.create_server(("127.0.0.1", candidate)), socket.create_server(("127.0.0.1", candidate + 1)):
                first = candidate
        except OSError:
            continue
    config = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    config.write_text(SLURM.format(host=host, port=port, folder=folder, first=first, last=first + 1))
    os.environ["SLURM_CONF"] = str(config)
    with munge():
        pids = [folder / "slurmctld.pid", *(folder / f"slurmd-n{node}.pid" for node in (1, 2))]
        try:
            subprocess.run(["slurmctld", "-f", config], check=True)
            for node in (1, 2):
                subprocess.run(["slurmd", "-f", config, "-N", f"n{node}"], check=True)

            def idle():
                answer = subprocess.run(["sinfo", "-h", "-o", "%T%D"], capture_output=True, text=True)
                return answer.stdout.strip() == "idle2"

            wait_until(idle, "both nodes are idle")
            yield folder
        finally:
            for pid in reversed(pids):
                ended(pid)
            del os.environ["SLURM_CONF"]


def jobs():
    """The jobs in Slurm's queue."""
    return subprocess.run(["squeue", "-h", "-o", "%j %T"], check=True, capture_output=True, text=True).stdout.split()
