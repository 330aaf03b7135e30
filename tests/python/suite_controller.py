"""A plugin of pytest: ipyparallel's own tests, with the controller of $SUITE_CONTROLLER (JSON, a command).

ipyparallel starts it itself, as its users have it do: `ControllerLauncher.controller_cmd`, in the configuration of
`ipp.Cluster` or in the profile's `ipcluster_config.py`. Without the variable it is ipyparallel's.
"""

import json
import os
from pathlib import Path

import ipyparallel
import pytest
from ipyparallel import tests
from traitlets.config import Config

COMMAND = json.loads(os.environ.get("SUITE_CONTROLLER", "null"))
# Options with which the suite starts the controller that most of its tests share.
SHARED = ["--log-level=10", "--ping=250", "--dictdb"]
CONFIG = "c = get_config()\nc.ControllerLauncher.controller_cmd = {command!r}\n"

shared = []


def configure(config):
    if COMMAND:
        config.ControllerLauncher.controller_cmd = COMMAND
    return config


def setup():
    """The shared controller, by `ipp.Cluster` where the suite has a launcher of its own."""
    options = {"profile": "iptest", "cluster_id": "", "controller_args": SHARED, "load_profile": False}
    cluster = ipyparallel.Cluster(config=configure(Config()), log_level=40, **options)
    cluster.start_controller_sync()
    shared.append(cluster)
    # Waits for the connection files.
    cluster.connect_client_sync().close()
    tests.add_engines(1)


def teardown():
    stop_engines()
    shared.pop().stop_cluster_sync()


# Before the suite's fixtures take them.
stop_engines, tests.setup, tests.teardown = tests.teardown, setup, teardown


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    """The configuration of the clusters that tests start for themselves."""
    value = yield
    if fixturedef.argname == "cluster_config":
        configure(value)
    if fixturedef.argname == "ipython_dir" and COMMAND:
        profile = Path(value) / "profile_default"
        (profile / "ipcluster_config.py").write_text(CONFIG.format(command=COMMAND))
    return value
