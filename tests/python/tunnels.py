"""A client and an engine whose connection files name an SSH server.

Prints, as JSON, what the notebook's cells put out.
"""

import argparse
import json
import subprocess
from pathlib import Path

import sites
from kernel import running
from processes import wait_until

# Seconds until a process must have ended.
TIMEOUT = 30

SHOW = '%%px\nprintln!("through the tunnel");'


def distant(folder, kind):
    """A copy of a connection file as another machine has it: there are no Unix sockets of the controller."""
    file = json.loads((folder / f"ipcontroller-{kind}.json").read_text())
    del file["phalanx_sockets"]
    copy = folder / f"{kind}.json"
    copy.write_text(json.dumps(file))
    return copy


def tunnels():
    """The processes of `ssh` that forward ports."""
    output = subprocess.run(["pgrep", "-f", "^[^ ]*ssh .*-N -T"], capture_output=True, text=True)
    return output.stdout.split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("engine", type=Path, help="the engine's program")
    parser.add_argument("folder", type=Path, help="for the files")
    parser.add_argument("--mark", required=True, help="a variable for processes whose environment is cleared")
    arguments = parser.parse_args()

    with sites.ssh_server(arguments.folder / "site", arguments.mark):
        folder = arguments.folder / "controller"
        folder.mkdir()
        command = [arguments.phalanx, "controller", "--folder", folder, "--ssh", "node1", "--enginessh", "node2"]
        controller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(2):
            controller.stdout.readline()
        engine = subprocess.Popen([arguments.engine, "--file", distant(folder, "engine")])
        try:
            with running() as kernel:
                kernel.run(f"%cluster connect {distant(folder, 'client')}")
                wait_until(lambda: "1 engine" in kernel.run("%cluster status")[0], "the engine is there")
                # Without the bar that a slow machine shows.
                shown = [text for text in kernel.run(SHOW) if text.startswith("[stdout")]
                results = {"shown": shown, "tunnels": len(tunnels())}
        finally:
            for process in (engine, controller):
                process.terminate()
                process.wait(timeout=TIMEOUT)
    results["left"] = tunnels()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
