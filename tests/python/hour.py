"""An hour of work of two notebooks and a Python client on one cluster, in about a minute.

The cluster is a daemon's, of two Rust and two Python engines. The notebooks have different dependencies, share a
struct, a static, variables and pushed lists, and work at the same time as the Python client; meanwhile a notebook
is closed and opened again, the Python client leaves and comes back for its results, tasks fail, panic and are
interrupted, and an engine is killed. Prints, as JSON, what went otherwise than it should, and the errors that were meant.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ipyparallel
import psutil

from kernel import running
from notebooks import crate
from processes import process, wait_until

# Seconds for one command or one wait.
TIMEOUT = 120
NAME = "hour"
RUST, PYTHON = [0, 1], [2, 3]
# Times that everybody works at once.
ROUNDS = 4

SHARED = """%%px
use std::sync::atomic::{AtomicU64, Ordering};
static TURNS: AtomicU64 = AtomicU64::new(0);
#[derive(Debug, Clone, PartialEq)]
struct Sample { value: f64, label: String }
impl Sample { fn scaled(&self, by: f64) -> f64 { self.value * by } }
fn turn() -> u64 { TURNS.fetch_add(1, Ordering::SeqCst) + 1 }
let sample = Sample { value: 1.5, label: "ä".to_owned() };
println!("{}", turn());"""
PRELUDE = "use phalanx::prelude::*;\nlet rc = Client::connect()?;"
MAP = 'println!("{}", rc.load_balanced_view().map_sync(|x: u64| x * x, 0..40u64)?.iter().sum::<u64>());'
SQUARES = sum(x * x for x in range(40))


class Hour:
    """The observations, and those that are not as expected."""

    def __init__(self):
        self.started = time.monotonic()
        self.wrong = []
        self.expected_errors = {}

    def log(self, what):
        """Logs the next step on stderr, with the time."""
        print(f"{time.monotonic() - self.started:6.1f} s: {what}", file=sys.stderr, flush=True)

    def expect(self, what, actual, expected):
        if actual != expected:
            self.wrong.append(f"{what}: {actual!r} in place of {expected!r}")

    def expect_error(self, what, shown, *parts):
        """Checks that an expected error contains these words."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        self.expected_errors[what] = plain.strip().splitlines()[-1] if plain.strip() else ""
        missing = [part for part in parts if part not in plain]
        if missing:
            self.wrong.append(f"{what}: no {missing} in {plain!r}")


def on_engines(kernel, cell):
    """Returns the text that a cell prints on each engine, without labels, colours and bars."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(kernel.run(cell)))
    return [part.strip() for part in re.split(r"\[stdout:\d+\]", text)[1:]]


def connected():
    client = ipyparallel.Client(profile=NAME, cluster_id=NAME, timeout=TIMEOUT)
    client.wait_for_engines(4, timeout=TIMEOUT, interactive=False)
    return client


def rust_work(hour, kernel, who, number):
    """One notebook's cells of a round; the other's run at the same time."""
    name = f"{who}{number}"
    shown = on_engines(
        kernel, f'%%px\nlet {name} = sample.scaled({number}.0);\nprintln!("{{{name}}} {{}}", turn() > 0);'
    )
    hour.expect(f"{name}, cell", shown, [f"{1.5 * number} true".replace(".0 ", " ")] * 2)
    hour.expect(f"{name}, map", "".join(kernel.run(MAP)).strip(), str(SQUARES))
    kernel.run(f'rc.all().push("list_{name}", &vec![{number}u64; 3])?;')
    shown = on_engines(kernel, f'%%px\nlist_{name}.push(7);\nprintln!("{{list_{name}:?}}");')
    hour.expect(f"{name}, pushed", shown, [str([number] * 3 + [7])] * 2)


def python_work(hour, client, number):
    balanced = client.load_balanced_view()
    squares = balanced.map_async(lambda x: x * x, range(40)).get(TIMEOUT)
    hour.expect(f"python {number}, map", sum(squares), SQUARES)
    direct = client[PYTHON]
    direct.push({"held": number}, block=True)
    hour.expect(f"python {number}, pull", direct.pull("held", block=True), [number, number])


def together(hour, first, second, client, number):
    hour.log(f"round {number}")
    with ThreadPoolExecutor(3) as pool:
        work = [
            pool.submit(rust_work, hour, first, "a", number),
            pool.submit(rust_work, hour, second, "b", number),
            pool.submit(python_work, hour, client, number),
        ]
        for each in work:
            each.result(TIMEOUT)


def errors(hour, first, second, client):
    """Errors that are meant cost those who made them, and nobody else."""
    hour.log("errors")
    shown = first.fails('%%px\nlet list: Vec<u64> = vec![];\nprintln!("{}", list[turn() as usize]);')
    hour.expect_error("a panic", shown, "index out of bounds", "In[")
    hour.expect("after a panic", on_engines(second, '%%px\nprintln!("{sample:?}");'), [
        'Sample { value: 1.5, label: "ä" }'
    ] * 2)  # fmt: skip
    try:
        client[PYTHON].apply_async(lambda: 1 / 0).get(TIMEOUT)
    except ipyparallel.error.CompositeError as error:
        hour.expect_error("a Python error", str(error), "ZeroDivisionError")
    else:
        hour.wrong.append("a Python error was none")
    with ThreadPoolExecutor(1) as pool:
        begun = first.path.with_name("begun")
        sleeping = pool.submit(
            first.fails,
            f'%%px\nstd::fs::write({json.dumps(str(begun))}, "")?;\nstd::thread::sleep(std::time::Duration::from_secs(600));',
        )
        wait_until(begun.exists, "the long cell runs", TIMEOUT)
        first.manager.interrupt_kernel()
        hour.expect_error("an interrupt", sleeping.result(TIMEOUT), "nterrupt")
    shown = second.fails("%%px\nlet x: u64 = sample;")
    hour.expect_error("a compile error", shown, "mismatched types")
    hour.expect("after an interrupt", "".join(second.run(MAP)).strip(), str(SQUARES))


def python_leaves(hour, client):
    """A client that has left finds the results of its tasks when it comes back."""
    hour.log("a client leaves")
    waits = client.load_balanced_view().map_async(lambda x: x + 1, range(30), chunksize=1)
    msg_ids = list(waits.msg_ids)
    wait_until(lambda: set(msg_ids) <= set(client.hub_history()), "the controller has all tasks", TIMEOUT)
    client.close()
    client = connected()
    actual = [value for part in client.get_result(msg_ids).get(TIMEOUT) for value in part]
    hour.expect("results of a client that left", actual, list(range(1, 31)))
    return client


def an_engine_is_killed(hour, first, second, client):
    """Engine 1 is started again, empty, by the cluster's daemon; the notebooks define anew what they need there."""
    hour.log("an engine is killed")
    uuid = client._engines[1]
    pid = int(on_engines(first, '%%px\nprintln!("{}", std::process::id());')[1])
    engine = next(each for each in psutil.Process(pid).parents() if "--file" in each.cmdline())
    engine.send_signal(signal.SIGKILL)
    wait_until(lambda: client.ids == RUST + PYTHON and client._engines[1] != uuid, "engine 1 is started again", TIMEOUT)
    wait_until(lambda: "4 engines" in "".join(first.run("%cluster status")), "a notebook sees it", TIMEOUT)
    shown = first.fails('%%px\nprintln!("{sample:?}");')
    hour.expect_error("variables that an engine has lost", shown, "sample")
    shown = "".join(second.run('%%px -t 0\nprintln!("{}", sample.value);'))
    hour.expect("the engine that lived", "1.5" in shown.split(), True)
    first.run("%cluster restart")
    hour.expect("restarted", on_engines(first, SHARED), ["1", "1"])
    hour.expect("another notebook after a restart", on_engines(second, '%%px\nprintln!("{}", turn());'), ["2", "2"])


@contextmanager
def cluster(phalanx):
    def run(*parts):
        return subprocess.run(
            [phalanx, "cluster", *parts], check=True, capture_output=True, text=True, timeout=TIMEOUT
        ).stdout

    run("start", "-n", "2", "--daemonize", "--profile", NAME, "--cluster-id", NAME)
    try:
        yield
    finally:
        run("stop", NAME)


def work(hour, arguments):
    with ExitStack() as stack:
        stack.enter_context(cluster(arguments.phalanx))
        python = [
            sys.executable,
            "-m",
            "ipyparallel.engine",
            f"--profile={NAME}",
            f"--cluster-id={NAME}",
            "--log-level=ERROR",
        ]
        for _ in PYTHON:
            stack.enter_context(process(python))
        client = connected()
        hour.expect("ids", client.ids, RUST + PYTHON)
        first = stack.enter_context(running())
        with running() as second:
            first.path = second.path = arguments.folder / "files"
            for kernel, name in ((first, "alpha"), (second, "beta")):
                kernel.run(f"%cluster connect {NAME}")
                kernel.run(crate(arguments.folder, name))
                kernel.run(PRELUDE)
            hour.expect("defines", on_engines(first, SHARED), ["1", "1"])
            hour.expect(
                "dependency",
                on_engines(first, '%%px\nlet value = alpha::next();\nprintln!("{value:?}");'),
                ["Value(1)"] * 2,
            )
            hour.expect(
                "other dependency",
                on_engines(second, '%%px\nprintln!("{value:?} {:?} {}", beta::next(), turn());'),
                ["Value(1) Value(1) 2"] * 2,
            )
            for number in range(1, ROUNDS):
                together(hour, first, second, client, number)
            errors(hour, first, second, client)
        client = python_leaves(hour, client)
        with running() as second:
            second.path = first.path
            second.run(f"%cluster connect {NAME}")
            second.run(PRELUDE)
            hour.expect(
                "a notebook opened again",
                on_engines(second, '%%px\nprintln!("{sample:?} {value:?} {} {}", a1, b1);'),
                ['Sample { value: 1.5, label: "ä" } Value(1) 1.5 1.5'] * 2,
            )
            together(hour, first, second, client, ROUNDS)
            an_engine_is_killed(hour, first, second, client)
            together(hour, first, second, client, ROUNDS + 1)
        client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for whatever is written")
    arguments = parser.parse_args()
    hour = Hour()
    work(hour, arguments)
    hour.log("the end")
    print(json.dumps({"wrong": hour.wrong, "expected_errors": hour.expected_errors, "seconds": round(time.monotonic() - hour.started)}))


if __name__ == "__main__":
    main()
