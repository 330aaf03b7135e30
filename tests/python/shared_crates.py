"""Notebooks on one cluster, each with dependencies of its own: crates come with the cells that use them, and what
does not compile in a notebook is left out there by name.

Prints, as JSON, what their cells put out.
"""

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

from kernel import running
from notebooks import crate, on_engines

TIMEOUT = 60
NAME = "dependencies"
CONNECT = f"%cluster connect {NAME}"
# A crate that the notebooks' library has: no package is new when it is added.
LIBRARYS = ':dep serde_json = "1"'

FIRST = """%%px
use alpha::Value;
struct P { x: f64 }
let value = alpha::next();
let p = P { x: 1.5 };
println!("{value:?} {}", p.x);"""
ONLY_THERE = """%%px
fn only() -> &'static str { env!("ONLY_THERE") }
let of_only = only().len();
let kept = 7;
println!("{of_only}");"""


def told(kernel, cell):
    """Runs a cell: its status, and its output as one text without colours."""
    status, outputs = kernel.tried(cell)
    return [status, re.sub(r"\x1b\[[0-9;]*m", "", "".join(outputs))]


def uses(folder):
    alpha = crate(folder, "alpha")
    with running(env={**os.environ, "ONLY_THERE": "yes"}) as a, running() as b:
        a.run(alpha)
        a.run(CONNECT)
        yield "a defines", on_engines(a, FIRST)

        b.run(LIBRARYS)
        b.run(CONNECT)
        yield "b takes over", on_engines(b, '%%px\nprintln!("{value:?} {}", p.x);')
        yield "b defines", on_engines(b, '%%px\nlet j = serde_json::json!({"x": p.x});\nprintln!("{j}");')
        b.run(crate(folder, "beta"))
        yield "b defines more", on_engines(b, '%%px\nlet more = beta::next();\nprintln!("{more:?}");')

        yield "a takes over", on_engines(a, '%%px\nprintln!("{} {more:?}", j["x"].as_f64().unwrap());')
        a.run(LIBRARYS)
        yield "a goes on", on_engines(a, '%%px\nlet y = serde_json::json!([j, 1]);\nprintln!("{y} {value:?}");')

        with running() as c:
            c.run(CONNECT)
            yield "c joins late", on_engines(c, '%%px\nprintln!("{y} {value:?} {more:?} {}", beta::next().0);')
        with running() as e:
            e.run(LIBRARYS)
            e.run(alpha)
            e.run(CONNECT)
            yield "e had both", on_engines(e, '%%px\nlet z = (j.clone(), alpha::next());\nprintln!("{z:?}");')
        yield "b sees all", on_engines(b, '%%px\nprintln!("{y} {}", z.1.0);')

        yield "a alone", on_engines(a, ONLY_THERE)
        yield "b leaves out", told(b, '%%px\nprintln!("{kept} {y}");')
        yield "b misses", told(b, "%px only()")
        yield "b goes on", on_engines(b, '%%px\nlet kept = kept + 1;\nprintln!("{kept} {}", p.x);')
        yield "a has all", on_engines(a, '%%px\nprintln!("{} {kept} {of_only}", only());')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("phalanx", type=Path, help="the program")
    parser.add_argument("folder", type=Path, help="for whatever is written")
    arguments = parser.parse_args()

    def run(*words):
        subprocess.run([arguments.phalanx, "cluster", *words], check=True, capture_output=True, timeout=TIMEOUT)

    run("start", "-n", "2", "--daemonize", "--cluster-id", NAME)
    try:
        seen = dict(uses(arguments.folder))
    finally:
        run("stop", NAME)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
