"""A run's job graph through Snakemake's API: files, their inputs, whether they are current.

Uses what Snakemake 9.27 does not promise (``_workflow``, ``dag.reason``, ``persistence``): its
version is pinned in requirements.lock, and tests/test_versioning.py runs all of it.
"""

import asyncio
import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from workflow_src import checkout
from workflow_src.errors import UserError

NOT_ITS_JOBS = "not as its job left it"
SNAKEFILE = checkout.folder() / "Snakefile"


@dataclass(frozen=True)
class Job:
    """One call of a rule."""

    rule: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    settings: tuple[str, ...]  # of config.yaml, as dotted names
    code: tuple[tuple[str, str], ...]  # (name, digest): by which code the files are made


@contextlib.contextmanager
def _workflow(run: Path) -> Iterator[Any]:
    """The workflow of all of a run's artifacts, planned and not executed."""
    # As profiles/default has it: files of any size are compared by their content.
    settings = DAGSettings(max_checksum_file_size=10**12)
    with (
        contextlib.chdir(run),
        SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as said,
    ):
        try:
            workflow = api.workflow(
                ResourceSettings(cores=1), ConfigSettings(), snakefile=SNAKEFILE, workdir=Path.cwd()
            )
            workflow.dag(settings).summary()  # builds the graph
        except WorkflowError as error:
            raise UserError(
                f"Snakemake cannot plan {run}: {' '.join(str(error).split()) or said.getvalue()}"
            ) from error
        yield workflow._workflow


def jobs(run: Path) -> dict[Job, str]:
    """Every job of a run that makes files, with the reason if its files are not current.

    In data-flow order; the reason is ``""`` if they are current.

    A file is current when Snakemake would not make it again, and its own job was the last to write
    it: when another wrote it, as DVC does when it restores, Snakemake's notes are of another file
    (and Snakemake itself does not see that).
    """
    with _workflow(run) as workflow:
        dag, persistence = workflow.dag, workflow.persistence
        found = {}
        for job in (
            job
            for level in dag.toposorted()
            for job in sorted(level, key=lambda job: list(job.output))
        ):
            if not job.output:
                continue
            why = ""
            for file in job.output:
                note = persistence.metadata(file)
                if not Path(file).exists():
                    why = "missing"
                elif asyncio.run(persistence.incomplete(job)):
                    why = "half-made"
                elif dag.reason(job):
                    why = "to be made again"
                elif (
                    note is None
                    or abs(Path(file).stat().st_mtime - (note.get("endtime") or 0)) > 1e-3
                ):
                    why = NOT_ITS_JOBS
                if why:
                    why = f"{file} is {why}"
                    break
            files = tuple(map(str, job.output)), tuple(map(str, job.input))
            settings, code = job.params.get("settings", {}), job.params.get("code", {})
            found[Job(job.rule.name, *files, tuple(settings), tuple(code.items()))] = why
        return found


def check_idle(run: Path) -> None:
    """`UserError` when Snakemake is at work in a run's directory."""
    if any((run / ".snakemake" / "locks").glob("*")):
        raise _locked(run)


def _locked(run: Path) -> UserError:
    mend = f"wait for it; if it was killed, `snakemake --directory {run} --unlock`"
    return UserError(f"Snakemake is at work in {run}: {mend}")


def snakemake(run: Path, *arguments: str, **options) -> None:
    """Run Snakemake in a run's directory; `UserError` when it fails."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        SNAKEFILE,
        "--directory",
        run,
        "--quiet",
        "rules",
    ]
    done = subprocess.run(
        [*command, "progress", *arguments], stderr=subprocess.PIPE, text=True, **options
    )
    if done.returncode == 0:
        return
    if "cannot be locked" in done.stderr:
        raise _locked(run)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    raise UserError(
        f"Snakemake in {run}: "
        f"{next((line for line in lines if 'rror' in line), 'ended with an error')}"
    )
