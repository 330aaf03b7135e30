"""Processes that a test starts, and what it waits for."""

import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import psutil

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


class PeakMemory(threading.Thread):
    """The largest memory of a process, in MiB, from now until it is read."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.process, self.most, self.over = psutil.Process(pid), 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, self.process.memory_info().rss)

    def taken(self):
        self.over.set()
        self.join()
        return self.most >> 20
