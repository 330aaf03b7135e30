"""A running Phalanx kernel for the test programs beside this file."""

import sys
from contextlib import contextmanager

from jupyter_client.manager import start_new_kernel

# Seconds until a kernel must have answered, and for one cell: the first one may build the notebooks' library.
STARTUP_TIMEOUT = 60
CELL_TIMEOUT = 600

# The key in an output's metadata that marks a progress bar (`phalanx_protocol::look::bar`).
BAR = "progress"


class Kernel:
    def __init__(self, manager, client):
        self.manager = manager
        self.client = client

    def run(self, code):
        """Runs a cell; returns its outputs as text, one item each. A failing cell ends the program."""
        status, outputs = self.tried(code)
        if status != "ok":
            sys.exit(f"cell failed: {code}\n" + "\n".join(outputs))
        return outputs

    def fails(self, code):
        """Runs a cell that must fail; returns its text. A cell that does not fail ends the program."""
        status, outputs = self.tried(code)
        if status == "ok":
            sys.exit(f"cell did not fail: {code}\n" + "\n".join(outputs))
        return "\n".join(outputs)

    def tried(self, code):
        """Runs a cell; returns its status and its outputs without bars, which only slow cells have."""
        outputs = []

        def keep(message):
            content = message["content"]
            if content.get("metadata", {}).get(BAR):
                return
            if message["msg_type"] == "stream":
                outputs.append(content["text"])
            elif message["msg_type"] in ("display_data", "execute_result"):
                outputs.append(content["data"].get("text/plain", ""))
            elif message["msg_type"] == "error":
                outputs.append("\n".join(content["traceback"]))

        # A client that allows input counts as a console, where a bar is text on stderr.
        reply = self.client.execute_interactive(code, allow_stdin=False, output_hook=keep, timeout=CELL_TIMEOUT)
        return reply["content"]["status"], outputs

    @property
    def pid(self):
        return self.manager.provisioner.process.pid


@contextmanager
def running(name="phalanx", **options):
    manager, client = start_new_kernel(kernel_name=name, startup_timeout=STARTUP_TIMEOUT, **options)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
