"""What `snakemake -n` and `dvc status` cost at the paper's scale with nothing to compute.

Both in a run's directory of their own with the paper's configuration: all games and methods, one
seed. Snakemake plans everything; for DVC every file has a stand-in that holds its own name,
recorded with `dvc commit`.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from functools import partial
from pathlib import Path

from speed.measure import Bench, Row, alone, interleaved, row, script
from workflow_src.config.configure import configure

ROOT = Path(__file__).parent.parent


def command(directory: Path, module: str, *arguments: str | Path) -> str:
    """Run a tool as a person does in ``directory``; what it said."""
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": paths, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    line = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(line, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def timed(directory: Path, says: str, module: str, *arguments: str | Path) -> float:
    """Seconds of a tool from start to end, which has to say ``says``."""
    start = time.perf_counter()
    said = command(directory, module, *arguments)
    seconds = time.perf_counter() - start
    assert says in said, said
    return seconds


def recorded(directory: Path) -> None:
    """Fill a run's directory with stand-ins of all files, and have DVC record them."""
    from dvc.repo import Repo

    from workflow_src.config.run import Config
    from workflow_src.versioning import graph, stages

    jobs = graph.jobs(directory)
    stages.write(
        directory,
        Config.load(directory / "config.yaml"),
        stages.stages(Config.load(directory / "config.yaml"), jobs),
    )
    for job in jobs:
        for name in job.outputs:
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{name}\n")
    with chdir(directory), redirect_stdout(io.StringIO()):
        Repo.init(no_scm=True).close()
    command(directory, "dvc", "commit", "--force", "--quiet")


def rows(at: Bench) -> Iterator[Row]:
    """Seconds of `snakemake -n` and of a `dvc status` that finds nothing to do."""
    with tempfile.TemporaryDirectory(prefix="speed-") as name:
        directory = Path(name)
        games = ["pong"] if at.tiny else []
        configure(ROOT / "config.yaml", None, games, directory)
        plan = [
            "--snakefile",
            ROOT / "Snakefile",
            "--directory",
            directory,
            "-n",
            "--quiet",
            "rules",
        ]
        sides = {"ours": partial(timed, ROOT, "total", "snakemake", *plan)}
        yield row("workflow, snakemake -n at paper scale", "s", interleaved(at.rounds, sides))
        alone(partial(recorded, directory))  # Snakemake's API leaves things behind in its process
        sides = {"ours": partial(timed, directory, "up to date", "dvc", "status")}
        yield row("workflow, dvc status with nothing to do", "s", interleaved(at.rounds, sides))


if __name__ == "__main__":
    script(rows)
