"""A cluster and a notebook whose cells are scripts of the echo evaluator, for the test programs beside this file."""

import json
import os
import resource
import signal
import subprocess
import time
from contextlib import ExitStack
from queue import Empty

import psutil
from jupyter_client.manager import KernelManager
from processes import wait_until

# Seconds within which whatever is waited for has happened.
TIMEOUT = 60


class Cluster:
    """A controller, its engines, and a notebook that is connected to it."""

    def __init__(self, phalanx, folder, controller=(), limit=None, log="warn"):
        self.phalanx, self.folder, self.stack, self.level = phalanx, folder, ExitStack(), log
        folder.mkdir()
        self.command = [phalanx, "controller", "--folder", folder, "--reuse", "--db", "sqlite", *controller]
        self.files = {kind: folder / f"ipcontroller-{kind}.json" for kind in ("client", "engine")}
        self.limit = limit
        self.engines = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def spawn(self, command, limit=None, **options):
        """A process that ends with the cluster."""
        log = open(self.folder / "log", "ab")
        lower = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        environment = {**os.environ, "PHALANX_LOG": self.level}
        process = subprocess.Popen(
            command, stderr=log, stdin=subprocess.DEVNULL, env=environment, preexec_fn=lower, **options
        )

        def end():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            process.wait(timeout=TIMEOUT)
            log.close()

        self.stack.callback(end)
        return process

    def start(self):
        """The controller says where its files are before it serves."""
        self.controller = self.spawn(self.command, self.limit, stdout=subprocess.PIPE, text=True)
        self.controller.stdout.readline()

    def engine(self, within=()):
        command = [*within, self.phalanx, "engine", "--file", self.files["engine"]]
        self.engines.append(self.spawn(command, stdout=subprocess.DEVNULL))
        return self.engines[-1]

    def notebook(self, engines):
        notebook = Notebook(self.phalanx, self.folder, self.level)
        self.stack.callback(notebook.end)
        notebook.run(f"%cluster connect {self.files['client']}")
        notebook.sees(engines)
        return notebook

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class Notebook:
    """A kernel whose cells are scripts."""

    def __init__(self, phalanx, folder, log="warn"):
        kernels = folder / "kernels/echo"
        kernels.mkdir(parents=True)
        spec = {
            "argv": [str(phalanx), "kernel", "--echo", "-f", "{connection_file}"],
            "display_name": "Echo",
            "language": "rust",
            "interrupt_mode": "message",
        }
        (kernels / "kernel.json").write_text(json.dumps(spec))
        self.manager = KernelManager(kernel_name="echo")
        self.manager.kernel_spec_manager.kernel_dirs.insert(0, str(kernels.parent))
        self.log = open(folder / "kernel.log", "wb")
        self.manager.start_kernel(stderr=self.log, env={**os.environ, "PHALANX_LOG": log})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.log.close()

    def send(self, code):
        return self.client.execute(code)

    def ended(self, cell, timeout=TIMEOUT):
        """Waits until a cell has ended; returns its output."""
        shown = []
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                raise TimeoutError(f"the cell ends: {shown}") from None
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    shown.append(content["text"])
                case "display_data" | "execute_result":
                    shown.append(content["data"].get("text/plain", ""))
                case "error":
                    shown.append(f"{content['ename']}: {content['evalue']}")
                case "status" if content["execution_state"] == "idle":
                    return "".join(shown)

    def run(self, code):
        return self.ended(self.send(code))

    def sees(self, engines, timeout=TIMEOUT):
        wait_until(lambda: f"{engines} engine" in self.run("%cluster status"), f"{engines} engines are seen", timeout)

    def child(self, word):
        """The notebook's process of that role."""
        kernel = psutil.Process(self.manager.provisioner.process.pid)
        matching = [child for child in kernel.children(recursive=True) if word in child.cmdline()]
        return matching[0]
