"""One engine far from everything: a copied program in an empty folder, with an empty environment, on
what looks like another machine, joins a kernel's cluster and runs a cell that uses a crate.

Prints, as JSON, what the cell put out.
"""

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path

import ipyparallel
from kernel import running

# Seconds until the engine must have joined.
JOIN_TIMEOUT = 60

CRATE = {
    "Cargo.toml": '[package]\nname = "tiny"\nversion = "0.1.0"\nedition = "2024"\n',
    "src/lib.rs": "pub fn triple(x: u64) -> u64 { 3 * x }\n",
}

CELL = """\
%%px --targets 1
let libraries: std::collections::BTreeSet<String> = std::fs::read_to_string("/proc/self/maps")
    .unwrap()
    .lines()
    .filter_map(|line| line.split_whitespace().nth(5))
    .filter(|path| path.contains(".so"))
    .map(str::to_string)
    .collect();
for library in libraries {
    println!("loaded {library}");
}
println!("variables {}", std::env::vars().filter(|(name, value)| ["HOME", "PATH"].contains(&name.as_str()) && !value.is_empty()).count());
tiny::triple(14)
"""

# A host name of its own makes it another machine to the client: artifacts go by wire, not by path.
ELSEWHERE = 'echo elsewhere > /proc/sys/kernel/hostname && exec env -i HOME= PATH= "MARK" ./phalanx-engine --file engine.json'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", type=Path, help="the program to copy")
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--mark", required=True, help="VARIABLE=VALUE that the engine must carry")
    arguments = parser.parse_args()

    crate = arguments.folder / "tiny"
    for name, text in CRATE.items():
        path = crate / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    home = arguments.folder / "engine"
    home.mkdir()
    shutil.copy2(arguments.engine, home / "phalanx-engine")

    with running() as kernel:
        kernel.run("%cluster start -n 1")
        status = "".join(kernel.run("%cluster status"))
        client_file = Path(re.search(r"\S*-client\.json", status)[0])
        # A controller keeps its two files side by side.
        shutil.copy2(client_file.with_name(client_file.name.replace("-client", "-engine")), home / "engine.json")
        engine = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", ELSEWHERE.replace("MARK", arguments.mark)],
            cwd=home,
        )
        try:
            client = ipyparallel.Client(client_file)
            client.wait_for_engines(2, timeout=JOIN_TIMEOUT, interactive=False)
            kernel.run(f':dep tiny = {{ path = "{crate}" }}')
            print(json.dumps({"outputs": kernel.run(CELL), "kept": sorted(path.name for path in home.iterdir())}))
        finally:
            engine.terminate()
            engine.wait(timeout=JOIN_TIMEOUT)


if __name__ == "__main__":
    main()
