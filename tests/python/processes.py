"""Processes that a test starts."""

import signal
import subprocess
from contextlib import contextmanager

# Seconds until a process that was asked to end has ended.
END_TIMEOUT = 60


@contextmanager
def process(command, **options):
    """A process that ends with the block, stopped or not."""
    started = subprocess.Popen(command, **options)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGCONT)
        started.terminate()
        started.wait(timeout=END_TIMEOUT)
