"""Record in DVC what Snakemake has made, where it is complete and current."""

import collections
import contextlib
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml, load_yaml

from workflow_src import artifacts, provenance
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.versioning import graph, lock
from workflow_src.versioning.graph import NOT_ITS_JOBS
from workflow_src.versioning.stages import Stage, stages, write


def record(run: Path) -> list[str]:
    """Record in ``dvc.lock`` every stage whose files are complete and current; run nothing.

    ``dvc.yaml`` and ``code.yaml`` are written before, and DVC is begun where there is none. Returns
    lines that say what is recorded and what is not. `UserError` when ``dvc.lock`` is damaged, DVC
    is at work, or its cache cannot be written; ``dvc.lock`` is then as it was.
    """
    started = time.time_ns()
    config = Config.load(run / "config.yaml")
    found = stages(config, graph.jobs(run))
    before = lock.read(run)
    if not (run / ".dvc").is_dir():
        begin(run)
    write(run, config, found)
    with lock.dvc(run) as repo, lock.alone(repo):
        changed = repo.status()
        maker = {out: stage.name for stage in found for out in stage.outs}
        why_not = {
            stage.name: _why_not(stage, before, changed[stage.name])
            for stage in found
            if stage.name in changed
        }
        for stage in found:  # in the order of the data
            held = [dep for dep in sorted(stage.deps) if why_not.get(maker.get(dep, ""))]
            if held and why_not.get(stage.name) == "":
                why_not[stage.name] = f"made of {held[0]}, which is not recorded as it is here"
        to_commit = [
            stage
            for stage in repo.index.stages
            if stage.name in changed and not why_not.get(stage.name)
        ]
        for stage in to_commit:
            stage.save()
            stage.commit(relink=False)  # what Snakemake has made keeps its modification time
            _check_cached(repo, stage)
        sources = [
            dep.def_path
            for stage in repo.index.stages
            if stage.name == provenance.STAGE
            for dep in stage.deps
        ]
        _check_unchanged(started, found, sources)
        _write_lock(repo, to_commit)
        lock.write_listing(Path(), repo)
    said = {stage.target: why_not[stage.name] for stage in found if why_not.get(stage.name)}
    whole = len(found) - sum(why != _NOT_HERE for why in said.values())
    now = sum(stage.name != provenance.STAGE for stage in to_commit)
    return [f"dvc.lock: {whole} of {len(found)} stages recorded, {now} of them now", *_lines(said)]


def _check_cached(repo: Repo, stage: PipelineStage) -> None:
    """`UserError` when a file of a stage is not in the cache, which DVC only logs."""
    for out in (out for out in stage.outs if out.use_cache):
        inside = out.get_obj().as_dict().items() if out.hash_info.isdir else ()
        files = {"/".join(key): info.value for key, (_, info) in inside}
        for file, md5 in {"": out.hash_info.value, **files}.items():
            if not Path(repo.cache.local.oid_to_path(md5)).exists():
                raise UserError(
                    f"cannot write {Path(out.def_path) / file} into DVC's cache: is the disk full?"
                )


def begin(run: Path) -> None:
    """Make a run a separate DVC repository with its own cache and remote."""
    with (
        lock.explained_dvc(run),
        contextlib.chdir(run),
        Repo.init(no_scm=True) as repo,
        repo.config.edit("repo") as settings,
    ):
        settings["core"] |= {"analytics": False, "check_update": False, "remote": "local"}
        settings["remote"]["local"] = {"url": "remote"}


_NOT_MADE = "not made yet"
_NOT_HERE = "recorded, but not here (`make adopt` brings what a remote has)"


def _why_not(stage: Stage, before: Container[str], changed: list) -> str:
    """Why a stage's changed files cannot be recorded; ``""`` if they can."""
    if not any(Path(file).exists() for file in stage.files):
        if stage.name not in before:
            return _NOT_MADE
        if not lock.otherwise(changed):
            return _NOT_HERE  # and recorded of these settings and this code
    if stage.stale:
        mend = "run Snakemake, then record again"
        if stage.stale[0].endswith(NOT_ITS_JOBS):
            mend = (
                "`make adopt` if it is what dvc.lock says; else remove it, run Snakemake and "
                "record again"
            )
        return f"{stage.stale[0]}{_more(stage.stale)}: {mend}"
    if stray := stage.stray(stage.files):
        return (
            f"{stray[0]} is of no rule of this configuration{_more(stray)}: remove what is "
            "stray, then record again"
        )
    return ""


def _more(names: list[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def _lines(said: dict[str, str]) -> list[str]:
    """What is not recorded as it is here: what is not there at all by step, all else one by one."""
    lines = [
        f"  {target}: {why}" for target, why in said.items() if why not in (_NOT_MADE, _NOT_HERE)
    ]
    for absent in (_NOT_HERE, _NOT_MADE):
        steps = collections.Counter(
            target.removeprefix("results/").split("/")[0]
            for target, why in said.items()
            if why == absent
        )
        lines += (
            [f"  {absent}: " + ", ".join(f"{step} ({count})" for step, count in steps.items())]
            if steps
            else []
        )
    return lines


def _check_unchanged(started: int, found: list[Stage], sources: list[str]) -> None:
    """`UserError` when an input was edited since Snakemake was asked."""
    for file in {
        *sources,
        *(dep for stage in found for dep in stage.deps),
        *(f for stage in found for f in stage.files),
    }:
        if Path(file).is_file() and Path(file).stat().st_mtime_ns >= started:
            raise UserError(
                f"{file} was changed while it was recorded; nothing is recorded: record again"
            )


def _write_lock(repo: Repo, committed: list[PipelineStage]) -> None:
    """Add stages to ``dvc.lock``, atomically, and keep the others, in their order."""
    file = Path("dvc.lock")
    content: dict[str, Any] = load_yaml(file) if file.exists() else {"schema": "2.0", "stages": {}}
    entries = content["stages"] | {
        name: entry for stage in committed for name, entry in to_lockfile(stage).items()
    }
    entries = {
        stage.name: entries[stage.name] for stage in repo.index.stages if stage.name in entries
    }
    if entries and (list(entries), entries) != (list(content["stages"]), content["stages"]):
        artifacts.write_text(file, dumps_yaml(content | {"stages": entries}))
