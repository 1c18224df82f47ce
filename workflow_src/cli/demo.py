"""`make demo`: Catch is learned, killed on purpose, and goes on to the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from workflow_src.cli.options import FOLDER
from workflow_src.errors import UserError

AGENT, GAME, SEED = "catch", "catch", 0
_KILLED_AFTER = 2  # epochs
# What a demo leaves in its directory.
_ITS_OWN = {".snakemake", "checkpoints", "config.yaml", "logs", "results", "undisturbed"}


@click.command()
@click.option("--into", type=FOLDER, required=True, help="The run's directory; made again.")
def demo(into: Path) -> None:
    """Learn Catch in two minutes: twice at once, and one of both is killed and goes on."""
    from workflow_src.config.configure import configure
    from workflow_src.config.run import PACKAGED
    from workflow_src.csv_files import read_cells

    start = time.monotonic()
    _check_ours(into)
    shutil.rmtree(into, ignore_errors=True)
    configure(PACKAGED, "demo", [], into)
    apart = into / "undisturbed"
    with _process(_undisturbed(apart), into) as left_alone:
        with _process(_snakemake(into), None) as first:
            _wait_for_epochs(into, _KILLED_AFTER, first)
            os.killpg(first.pid, signal.SIGKILL)
        click.echo(f"killed after epoch {_KILLED_AFTER}; started again", err=True)
        _must(subprocess.run(_snakemake(into, "--unlock"), capture_output=True).returncode)
        _must(subprocess.run(_snakemake(into)).returncode)
        _must(left_alone.wait())
    _compare(into / f"results/agents/{AGENT}/{GAME}-s{SEED}", apart)
    for table in (f"agents/{AGENT}/{GAME}-s{SEED}/history.csv", "tables/agent_scores.csv"):
        click.echo(read_cells(into / "results" / table).to_csv(index=False))
    click.echo(f"the curve: {into / 'results/figures/agent_curves.png'}")
    click.echo(f"all of it took {time.monotonic() - start:.0f} s")


def _check_ours(into: Path) -> None:
    """`UserError` unless ``into`` is missing, empty, or an earlier demo and nothing else."""
    from workflow_src.config.configure import configure
    from workflow_src.config.run import PACKAGED

    found = {path.name for path in into.iterdir()} if into.exists() else set()
    if not found:
        return
    others = sorted(found - _ITS_OWN)
    if others:
        raise UserError(f"{into} has {others[0]}, which is no demo's: choose another directory")
    with tempfile.TemporaryDirectory() as folder:
        written = configure(PACKAGED, "demo", [], Path(folder)).read_bytes()
    config = into / "config.yaml"
    if not config.is_file() or config.read_bytes() != written:
        raise UserError(f"{into} is a run, but not the demo's: choose another directory")


def _undisturbed(out: Path) -> list[str]:
    """The training alone, into another folder; paths are relative to the run's directory."""
    named = {"agent": AGENT, "game": GAME, "seed": SEED, "out": out.name}
    named |= {"history": f"{out.name}/history.csv", "working": f"{out.name}/working"}
    options = [part for name, value in named.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "workflow_src", "agents", *options, "--workers", "1", "--quiet"]


def _snakemake(run: Path, *options: str) -> list[str]:
    from workflow_src.versioning.graph import SNAKEFILE

    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    command += ["--directory", str(run), "--cores", "1", "--quiet", "all", *options]
    return [*command, "--", "agents"]


@contextlib.contextmanager
def _process(command: list[str], directory: Path | None) -> Any:
    """A process in a group of its own, which has ended after the block."""
    process = subprocess.Popen(command, cwd=directory, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_epochs(run: Path, epochs: int, process: subprocess.Popen) -> None:
    """Until the history of the run's agent has so many rows."""
    history = run / f"results/agents/{AGENT}/{GAME}-s{SEED}/history.csv"
    while process.poll() is None:
        if history.exists() and history.read_text().count("\n") > epochs:
            return
        time.sleep(0.2)
    _must(process.returncode or 1)


def _must(code: int) -> None:
    if code:
        raise UserError("the training ended with an error, which is shown above: correct it")


def _compare(one: Path, other: Path) -> None:
    """Print the checksums of both folders' files; `UserError` if any differ."""
    for file in sorted(one.iterdir()):
        sums = [_checksum(folder / file.name) for folder in (one, other)]
        said = "the same bytes" if sums[0] == sums[1] else "NOT the same bytes"
        click.echo(f"{file.name}: {said} as undisturbed, sha256 {sums[0][:16]}")
        if sums[0] != sums[1]:
            raise UserError(f"{file} differs from {other / file.name}: please report this")


def _checksum(file: Path) -> str:
    """The SHA-256 of a file, or of a table without its checksum, which names its place."""
    from workflow_src.csv_files import read_cells

    content = read_cells(file).to_csv().encode() if file.suffix == ".csv" else file.read_bytes()
    return hashlib.sha256(content).hexdigest()
