"""Two notebooks and a Python client on the engines of one cluster that belongs to none of them.

The notebooks have a struct, a static, pushed variables and different dependencies. Prints, as JSON, what
their cells put out.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import ipyparallel
from dates import JOIN_TIMEOUT, process
from kernel import running

TIMEOUT = 60

FIRST = """%%px
use std::sync::atomic::{AtomicU64, Ordering};
static COUNT: AtomicU64 = AtomicU64::new(0);
#[derive(Debug, Clone)]
struct Größe { wert: f64, label: String }
impl Größe { fn doppelt(&self) -> f64 { self.wert * 2.0 } }
fn count() -> u64 { COUNT.fetch_add(1, Ordering::SeqCst) + 1 }
let größe = Größe { wert: 1.5, label: "ä".to_owned() };
let hidden: Box<dyn Fn(f64) -> f64 + Send> = Box::new(|x| x + 1.0);
println!("{}", count());"""

# A path dependency, so that the test needs no network.
DEPENDENCY = ':dep {name} = {{ path = "{path}" }}'
LIBRARY = """
pub static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
#[derive(Debug, Clone)]
pub struct Value(pub u64);
pub fn next() -> Value { Value(CALLS.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1) }
"""


def crate(folder, name):
    package = folder / name
    (package / "src").mkdir(parents=True)
    manifest = f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
    (package / "Cargo.toml").write_text(manifest)
    (package / "src/lib.rs").write_text(LIBRARY)
    return DEPENDENCY.format(name=name, path=package)


def on_engines(kernel, cell):
    """Returns the text that a cell prints on each engine, without labels, colours and bars."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(kernel.run(cell)))
    return [part.strip() for part in re.split(r"\[stdout:\d+\]", text)[1:]]


def uses(folder, connect, client, python):
    with running() as second:
        with running() as first:
            first.run(connect)
            yield "defines", on_engines(first, FIRST)
            first.run(crate(folder, "alpha"))
            yield "dependency", on_engines(first, "%%px\nlet value = alpha::next();\nprintln!(\"{value:?}\");")
            first.run("use phalanx::prelude::*;\nlet rc = Client::connect()?;\nrc.all().push(\"pushed\", &vec![1u64, 2])?;")

            second.run(connect)
            second.run(crate(folder, "beta"))
            yield "second", on_engines(
                second,
                '%%px\nprintln!("{größe:?} {} {} {}", größe.doppelt(), hidden(1.0), count());',
            )
            yield "types", on_engines(
                second, '%%px\nlet more = vec![value.clone(), alpha::next()];\nprintln!("{more:?}");'
            )
            yield "pushed", on_engines(second, '%%px\npushed.push(3);\nprintln!("{pushed:?} {:?}", beta::next());')

            yield "turns", on_engines(first, '%%px\nprintln!("{pushed:?} {more:?} {}", count());')
            first.run("%%px\nfn count() -> u64 { 100 }")
            yield "redefined", on_engines(second, '%%px\nprintln!("{} {größe:?}", count());')
            yield "python", client[python].apply_async(lambda: 42).get(TIMEOUT)
        # The first one has ended.
        yield "left", on_engines(second, '%%px\nlet größe = Größe { wert: 2.5, ..größe };\nprintln!("{größe:?}");')
    with running() as third:
        third.run(connect)
        yield "third", on_engines(third, '%%px\nprintln!("{größe:?} {pushed:?} {more:?} {}", count());')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phalanx", type=Path)
    parser.add_argument("engine", type=Path)
    parser.add_argument("folder", type=Path, help="for whatever is written")
    arguments = parser.parse_args()
    controller = [arguments.phalanx, "controller", "--folder", arguments.folder]
    files = {kind: arguments.folder / f"ipcontroller-{kind}.json" for kind in ("client", "engine")}
    with process(controller, stdout=subprocess.PIPE) as started:
        started.stdout.readline()
        rust = [arguments.engine, "--file", files["engine"]]
        python = [sys.executable, "-m", "ipyparallel.engine", f"--file={files['engine']}", "--log-level=ERROR"]
        with process([*rust, "--id", "0"]), process([*rust, "--id", "1"]):
            client = ipyparallel.Client(files["client"], timeout=JOIN_TIMEOUT)
            client.wait_for_engines(2, timeout=JOIN_TIMEOUT, interactive=False)
            with process(python):
                client.wait_for_engines(3, timeout=JOIN_TIMEOUT, interactive=False)
                connect = f"%cluster connect {files['client']}"
                results = dict(uses(arguments.folder, connect, client, 2))
            client.close()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
