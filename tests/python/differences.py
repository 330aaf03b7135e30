"""Notebooks that cannot share the engines of another one, or not all of what it has left there: the messages they get.

The first has run cells with a package; the others have another build of the notebooks' library and another version of
the package, or another rustc (`--toolchain`). Prints the messages as JSON.
"""

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

from kernel import running

# Seconds for one command.
TIMEOUT = 120
NAME = "differences"

LIBRARY = "#[derive(Debug, Clone)]\npub struct Value(pub u64);\n"
DEFINES = """%%px
let value = alpha::Value(7);
let number = 42u64;
let gone = vec![1u64];
fn indexed(list: &[u64], at: usize) -> u64 {
    list[at]
}
println!("{value:?}");"""
MOVES = "%%px\ndrop(gone);"
USES = '%%px\nprintln!("{number}");'
USES_VALUE = '%%px\nprintln!("{value:?}");'
PANICS = "%%px\nindexed(&[1, 2], 5)"
USES_MOVED = '%%px\nprintln!("{gone:?}");'


def package(folder, version, library):
    (folder / "src").mkdir(parents=True)
    manifest = f'[package]\nname = "alpha"\nversion = "{version}"\nedition = "2021"\n'
    (folder / "Cargo.toml").write_text(manifest)
    (folder / "src/lib.rs").write_text(library)
    return f':dep alpha = {{ path = "{folder}" }}'


def plain(text):
    """On one line, without colours, and without the bar that a cell has while it is compiled."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return " ".join(line.rpartition("\r")[2].strip() for line in text.splitlines()).strip()


def run_cells(cells, **environment):
    """Runs cells in a new notebook with this environment: the status and the text of the last one."""
    with running(env={**os.environ, **environment}) as kernel:
        kernel.run(f"%cluster connect {NAME}")
        *before, last = cells
        for cell in before:
            kernel.run(cell)
        status, outputs = kernel.tried(last)
        return [status, plain("".join(outputs))]


def differ(arguments):
    folder = arguments.folder
    own = package(folder / "own", "0.1.0", LIBRARY)
    other = package(folder / "other", "0.2.0", LIBRARY.replace("u64", "i64"))
    with running() as first:
        first.run(f"%cluster connect {NAME}")
        first.run(own)
        first.run(DEFINES)
        first.run(MOVES)
        if arguments.toolchain:
            yield "rustc", run_cells([USES], RUSTUP_TOOLCHAIN=arguments.toolchain)
            return
        yield "library", run_cells([USES], PHALANX_CACHE_DIR=str(folder / "cache"))
        yield "same", run_cells([own, USES_VALUE])
        yield "panic", run_cells([own, PANICS])
        yield "moved", run_cells([own, USES_MOVED])
        # In this order: the second case's cell runs, and the namespace is one of the other package then.
        yield "package's variable", run_cells([other, USES_VALUE])
        yield "package", run_cells([other, USES])
        # Nobody has taken anything from the first.
        yield "first", plain("".join(first.run(USES)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for whatever is written")
    parser.add_argument("--toolchain", help="another toolchain of rustup, and nothing else")
    arguments = parser.parse_args()

    def run(*command):
        subprocess.run([arguments.phalanx, "cluster", *command], check=True, capture_output=True, timeout=TIMEOUT)

    run("start", "-n", "1", "--daemonize", "--cluster-id", NAME)
    try:
        messages = dict(differ(arguments))
    finally:
        run("stop", NAME)
    print(json.dumps(messages))


if __name__ == "__main__":
    main()
