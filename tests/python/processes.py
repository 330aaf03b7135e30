"""Processes that a test starts, and what it waits for."""

import signal
import subprocess
import time
from contextlib import contextmanager

# Seconds until a process that was asked to end has ended.
END_TIMEOUT = 60
# Seconds within which whatever is waited for has happened.
WAIT_TIMEOUT = 60


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


def wait_until(happened, what, timeout=WAIT_TIMEOUT):
    """Waits until something has happened; returns the seconds it took."""
    started = time.monotonic()
    while not happened():
        if time.monotonic() - started > timeout:
            raise TimeoutError(what)
        time.sleep(0.02)
    return time.monotonic() - started
