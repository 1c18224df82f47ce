"""Attack the workflow with mutated configurations, damaged files and kills: `make fuzz`."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fuzz import configs, files, kills
from fuzz.count import BAD, Counts


def total(parts: dict[str, Counts]) -> Counts:
    """All counts as one."""
    whole = Counts()
    for part in parts.values():
        whole.tried.update(part.tried)
        whole.bad += part.bad
    return whole


def main() -> int:
    """Run ``--rounds`` tries of each kind; 1 if any was lost, silent or a traceback."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["configurations", "files", "kills"])
    asked = parser.parse_args()
    found: dict[str, Counts] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        # In a process of its own: what runs PyTorch is not forked afterwards.
        make = "import sys; from fuzz import world; world.make(world.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", make, run], check=True)
        os.chdir(run)
        for name in ("configurations", "kills", "files"):
            if asked.only not in (None, name):
                continue
            rng, begun = np.random.default_rng([asked.seed, len(name)]), time.monotonic()
            if name == "configurations":
                parts = {"": configs.fuzz(asked.rounds, rng, Path(folder))}
            elif name == "kills":
                parts = {"": kills.fuzz(asked.rounds, rng)}
            else:
                parts = files.fuzz(asked.rounds, rng)
                for kind, counts in parts.items():
                    print(f"  {kind}: {counts}")
            found[name] = total(parts)
            print(f"{name}: {found[name]} ({time.monotonic() - begun:.0f} s)", flush=True)
        os.chdir("/")
    whole = total(found)
    print("\n".join(whole.bad[:20]))
    print(f"fuzz, seed {asked.seed}: {whole}")
    return int(any(whole.tried[outcome] for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())
