"""In somebody else's clone, or after ``git checkout``: bring what ``dvc.lock`` says, check it, and make Snakemake agree."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo

from workflow_src.config import Config
from workflow_src.errors import UserError
from workflow_src.versioning import graph, lock
from workflow_src.versioning.stages import Stage, check, some, stages


def adopt(run: Path) -> tuple[list[str], bool]:
    """Pull the recorded files that are not here, hash each anew, and have Snakemake take those that are right as made.

    Returns lines that say what was adopted, what was not and why, and whether everything that is recorded was. A file that
    was edited is neither adopted nor overwritten. `UserError` when ``dvc.yaml`` is of another configuration, ``dvc.lock`` is
    damaged or either tool is at work.
    """
    config = Config.load(run / "config.yaml")
    found = stages(config, graph.jobs(run))
    check(run, config, found)
    with lock.dvc(run) as repo:
        entries = lock.read(Path())
        recorded = [stage for stage in found if stage.name in entries]
        missing = f"missing here, in the cache and in {lock.remote(repo)}"
        trouble = _bring(repo, [stage.name for stage in recorded])
        spelled, changed = lock.files(Path(), repo), repo.status()
        wrong = {stage.target: _wrong(repo, stage, spelled[stage.name], changed.get(stage.name, [])) for stage in recorded}
    wrong = {target: why for target, why in wrong.items() if why}
    absent = [target for target, why in wrong.items() if why == _MISSING]
    good = _whole(found, [stage for stage in recorded if stage.target not in wrong])
    if any(stage.stale for stage in good):
        _touch(run, [stage.target for stage in good])
    lines = [f"adopted {len(good)} of {len(recorded)} recorded stages: Snakemake has nothing to do for them"]
    lines += [f"  {target}: {why}" for target, why in wrong.items() if why != _MISSING]
    if absent:
        lines.append(f"  {missing}: {some(absent)}; push them from where they were made, or make them with Snakemake")
    lines += [
        f"  {stage.target}: right, but made of what was not adopted"
        for stage in recorded
        if stage.target not in wrong and stage not in good
    ]
    lines += [f"  {trouble}"] if wrong and trouble else []
    others = len(found) - len(recorded)
    lines += [f"{others} of {len(found)} stages are not recorded yet: Snakemake makes them"] if others else []
    return lines, len(good) == len(recorded)


def _bring(repo: Repo, names: list[str]) -> str:
    """Put recorded files in their place, from the cache or the remote, as far as that goes; what DVC said if not."""
    said = ""
    try:
        repo.fetch(targets=names)
    except DvcException as error:
        said = f"DVC: {' '.join(str(error).split())}"
    for name in names:
        with contextlib.suppress(DvcException):  # what is wrong is seen, and named, file by file
            repo.checkout(targets=[name])
    return said


_MISSING = "missing"


def _wrong(repo: Repo, stage: Stage, spelled: dict[str, str] | None, changed: list) -> str:
    """Why a recorded stage's files cannot be adopted, or ``""``."""
    if spelled is None:
        return _MISSING
    for file, md5 in spelled.items():
        if not Path(file).exists():
            partly = any(Path(other).exists() for other in spelled)
            return f"{file} is {_MISSING}, also in the cache and the remote" if partly else _MISSING
        if (found := lock.md5(Path(file))) != md5:
            cached = os.path.relpath(repo.cache.local.oid_to_path(md5))
            if Path(cached).exists() and lock.md5(Path(cached)) != md5:
                return f"{file} is damaged, as is the cache's copy: `rm {file} {cached}`, then adopt again"
            return f"{file} was edited or damaged (its MD5 is {found}, not {md5} as in dvc.lock): remove it, then adopt again"
    if stray := stage.stray(spelled):
        return f"{some(stray)}: not of dvc.lock; remove it"
    if changed:
        return f"recorded of other settings or code ({_shown(changed)}): run Snakemake, which makes it anew"
    return ""


def _shown(changed: list) -> str:
    """What DVC says has changed, in a few words."""
    names: list[str] = []
    for what in changed:
        for entries in what.values() if isinstance(what, dict) else [{what: ""}]:
            for name, how in entries.items():
                names += list(how) if isinstance(how, dict) else [name]
    return some(names)


def _whole(found: list[Stage], right: list[Stage]) -> list[Stage]:
    """Those of the stages that are made of nothing but what is right itself, up to the first."""
    maker = {out: stage for stage in found for out in stage.outs}
    good: list[Stage] = []
    for stage in right:  # in the order of the data
        if all(maker[dep] in good for dep in stage.deps if dep in maker):
            good.append(stage)
    return good


def _touch(run: Path, targets: list[str]) -> None:
    """Have Snakemake note that targets are made of what is here, without making them."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", graph.SNAKEFILE, "--directory", run, "--touch", "--forceall"]
    environment = os.environ | {"DVC_STAGE": "adopt"}  # as in `dvc repro`: there is nothing to record
    done = subprocess.run([*command, "--quiet", "all", "--", *targets], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise UserError(explain_snakemake(run, done.stderr))


def explain_snakemake(run: Path, said: str) -> str:
    """Why Snakemake ended with an error, in a line."""
    if "cannot be locked" in said:
        return f"Snakemake is at work in {run}, or was killed there: wait, or `snakemake --directory {run} --unlock`"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"Snakemake: {next((line for line in lines if 'rror' in line), lines[-1] if lines else 'ended with an error')}"
