"""What tests of the real workflow share: a copy of its sources, and commands run on it."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
WARM = Path(__file__).parent / "warm"
PARTS = [
    "Snakefile",
    "config.yaml",
    "environment.yml",
    "profiles",
    "reference",
    "requirements.lock",
    "rules",
]
PARTS += ["docs", "workflow_src"]
SMALL = {
    "episodes": {"frames": {"pretrain": 1500, "probe": 3000}, "num_envs": 2},
    # A thread each: two jobs of two threads on two cores mostly wait for each other.
    "training": {"epochs": 2, "batch_size": 16, "threads": 1},
    "probe": {"epochs": 3, "threads": 1},
}
KEPT = ("maj-clf", "random-cnn", "st-dim")
ROWS = yaml.safe_load((ROOT / "config.yaml").read_text())["methods"]
OTHERS = [name for name in ROWS if name not in KEPT]
TINY = SMALL | {
    "games": ["spaceinvaders", "mspacman"],
    "only": {"methods": list(KEPT), "protocols": ["paper"]},
    "ledger": None,
    "scaling": None,
}


def also(base: dict, change: dict) -> dict:
    """``base`` with ``change`` in it; unlike `merge`, keys that are null stay, which take away what
    a preset is laid over.
    """
    both = {
        k: also(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v
        for k, v in change.items()
    }
    return base | both


@functools.cache
def warm_server() -> str:
    """The socket of a process that has imported the libraries, see `warm/server.py`.

    It ends with this process, which holds its standard input.
    """
    address = f"{tempfile.mkdtemp()}/socket"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, WARM / "server.py", address], **pipes)
    assert server.stdout.readline() == b"ready\n"
    warm_server.process = server  # kept, or its input would be closed
    return address


def run(source: Path, *command: str | Path, warm: bool = True) -> subprocess.CompletedProcess:
    """Run a command on the sources of ``source``, which finds the programs of this environment as
    after activating it. ``warm``: in forks of a process that has imported the libraries.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    places = [str(source), str(ROOT), *([str(WARM)] if warm else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "PATH": path}
    if warm:
        environment["WARM_SERVER"] = warm_server()
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=source, env=environment
    )


def snakemake(source: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run(
        source,
        Path(sys.executable).with_name("snakemake"),
        "--directory",
        directory,
        "--cores",
        "2",
        *arguments,
    )


def configure(source: Path, directory: Path, change: dict) -> None:
    """Write the configuration of a run as a person would, with a preset of their own."""
    preset = directory.with_name(f"{directory.name}.preset.yaml")
    preset.parent.mkdir(parents=True, exist_ok=True)
    preset.write_text(yaml.safe_dump(change))
    arguments = ["configure", "--preset", preset, "--into", directory]
    done = run(source, sys.executable, "-m", "workflow_src", *arguments)
    assert done.returncode == 0, done.stderr


def jobs(source: Path, directory: Path, *targets: str) -> dict[str, int]:
    """{rule: jobs} that a dry run would do."""
    done = snakemake(source, directory, "-n", "--quiet", "rules", "--", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return {
        line[0]: int(line[1])
        for line in lines
        if len(line) == 2 and line[1].isdigit() and line[0] not in ("all", "total")
    }
