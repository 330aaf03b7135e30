"""Starts a kernel with engines that are in the middle of a cell, and ends it in one of several ways."""

import argparse
import os
import signal
import sys

from kernel import CELL_TIMEOUT, running

WAYS = {
    "shutdown": lambda kernel: None,
    "terminate": lambda kernel: os.kill(kernel.pid, signal.SIGTERM),
    "kill": lambda kernel: os.kill(kernel.pid, signal.SIGKILL),
    # This process is gone without a word to the kernel, as a server that was killed.
    "abandon": lambda kernel: os._exit(0),
}


def start_endless(kernel, code):
    """Runs a cell that prints `begun` on two engines and does not end; returns once both have begun."""
    msg_id = kernel.client.execute(code)
    begun = 0
    while begun < 2:
        message = kernel.client.get_iopub_msg(timeout=CELL_TIMEOUT)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        if message["msg_type"] == "error":
            sys.exit("\n".join(message["content"]["traceback"]))
        begun += str(message["content"]).count("begun") * (message["msg_type"] != "execute_input")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    arguments = parser.parse_args()
    with running("phalanx-echo") as kernel:
        kernel.run("%cluster start -n 2")
        start_endless(kernel, "%%px\nprint begun\nsleep 600")
        WAYS[arguments.way](kernel)


if __name__ == "__main__":
    main()
