"""Fetch what ``dvc.lock`` records into a fresh clone, check it, and make Snakemake agree."""

import os
import subprocess
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.stage import PipelineStage

from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.versioning import graph, lock
from workflow_src.versioning.stages import Stage, check, check_code, some, stages


def adopt(run: Path) -> tuple[list[str], bool]:
    """Fetch missing recorded files, check every hash, and mark the right ones as made.

    Returns lines that say what was adopted, what was not and why, and whether everything that is
    recorded was. A file that was edited is neither adopted nor overwritten. `UserError` when
    ``dvc.yaml`` is of another configuration, ``dvc.lock`` is damaged or either tool is at work.
    """
    config = Config.load(run / "config.yaml")
    graph.check_idle(run)
    found = stages(config, graph.jobs(run))
    check(run, config, found)
    check_code(run, found)
    with lock.dvc(run) as repo, lock.alone(repo):
        entries = lock.read(Path())
        recorded = [stage for stage in found if stage.name in entries]
        where = lock.remote(repo)
        # What was recorded of other settings stays away: without notes of its own, Snakemake would
        # take it for today's.
        changed, folders = repo.status(), {out for stage in found for out in stage.outs}
        before = {
            stage.name: lock.otherwise(changed.get(stage.name, []), folders) for stage in recorded
        }
        trouble, damaged = _bring(
            repo, {name for name, differing in before.items() if not differing}
        )
        spelled, changed = lock.files(Path(), repo), repo.status()
        wrong: dict[str, str] = {}
        for stage in recorded:  # in the order of the data
            named = {out for other in recorded if other.target in wrong for out in other.outs}
            if differing := before[stage.name] or lock.otherwise(
                changed.get(stage.name, []), named
            ):
                mend = "set that back and adopt again, or run Snakemake, which makes it anew"
                wrong[stage.target] = (
                    f"recorded of other settings or code ({some(differing)}): {mend}"
                )
            elif why := _wrong(run, repo, stage, spelled[stage.name], damaged):
                wrong[stage.target] = why
    found = stages(config, graph.jobs(run))  # as Snakemake sees what is here now
    recorded = [stage for stage in found if stage.name in entries]
    good = _whole(found, [stage for stage in recorded if stage.target not in wrong])
    if any(stage.stale for stage in good):
        _touch(run, [stage.target for stage in good])
    lines = [
        f"adopted {len(good)} of {len(recorded)} recorded stages: Snakemake has nothing to do for "
        "them"
    ]
    lines += [f"  {target}: {why}" for target, why in wrong.items() if why != _MISSING]
    if absent := [target for target, why in wrong.items() if why == _MISSING]:
        mend = "push them from where they were made, or make them with Snakemake"
        lines.append(f"  missing here, in the cache and in {where}: {some(absent)}; {mend}")
    for stage in recorded:
        if stage.target not in wrong and stage not in good:
            lines.append(f"  {stage.target}: right, but made of what was not adopted")
    lines += [f"  {trouble}"] if wrong and trouble else []
    others = len(found) - len(recorded)
    lines += (
        [f"{others} of {len(found)} stages are not recorded yet: Snakemake makes them"]
        if others
        else []
    )
    return lines, len(good) == len(recorded)


def _bring(repo: Repo, names: set[str]) -> tuple[str, set[str]]:
    """Put recorded files in their place, from the cache or the remote, as far as that goes.

    Returns why the remote could not be asked, or what DVC said, and the hashes of what was damaged
    there.
    """
    _drop_damaged(repo, names)  # the remote may have it whole
    said = lock.unreachable(repo)
    if not said:
        try:
            whole, why = lock.fetch_listings(repo)
            said = f"DVC: {why}" if why else ""
            if targets := [stage.name for stage in repo.index.stages if _listed(stage, whole)]:
                repo.fetch(targets)
        except (LockError, UserError):
            raise
        except Exception as error:  # of DVC, or whatever the remote's own library raises
            said = f"DVC: {' '.join(str(error).split())}"
    damaged = _drop_damaged(repo, names)
    spelled = lock.files(Path(), repo)
    lock.check_places(file for files in spelled.values() for file in files or ())
    for stage in repo.index.stages:
        for out in stage.outs if stage.name in names else ():
            # Else DVC asks the remote again, or the person whether to lose what was edited.
            if repo.cache.local.exists(out.hash_info.value) and not _unsaved(
                repo, out.def_path, spelled[stage.name] or {}
            ):
                try:
                    out.checkout()
                except DvcException as error:  # what is wrong is also seen, and named, file by file
                    said = said or f"DVC: {' '.join(str(error).split())}"
    return said, damaged


def _listed(stage: PipelineStage, whole: set[str]) -> bool:
    """Whether a stage is recorded and the lists of its folders are ``whole``."""
    hashes = [out.hash_info for out in stage.outs]
    return bool(hashes) and all(info and (not info.isdir or info.value in whole) for info in hashes)


def _unsaved(repo: Repo, out: str, spelled: dict[str, str]) -> bool:
    """Whether an output has a file that is neither the recorded one nor in the cache."""
    here = (
        [Path(out)]
        if Path(out).is_file()
        else [file for file in Path(out).rglob("*") if file.is_file()]
    )
    hashes = {str(file): lock.md5(file) for file in here}
    return any(
        md5 != spelled.get(file) and not Path(repo.cache.local.oid_to_path(md5)).exists()
        for file, md5 in hashes.items()
    )


def _drop_damaged(repo: Repo, names: set[str]) -> set[str]:
    """Remove damaged files from the cache that would be restored; returns their hashes."""
    damaged = set()
    for entry in lock.read(Path()).values():
        for out in entry.get("outs", []):
            listing = Path(repo.cache.local.oid_to_path(out["md5"]))
            if (
                listing.suffix == ".dir"
                and listing.exists()
                and lock.md5(listing) != out["md5"].removesuffix(".dir")
            ):
                listing.unlink()
    for stage, files in lock.files(Path(), repo).items():
        for file, md5 in (files or {}).items() if stage in names else ():
            cached = Path(repo.cache.local.oid_to_path(md5))
            if not Path(file).exists() and cached.exists() and lock.md5(cached) != md5:
                cached.unlink()
                damaged.add(md5)
    return damaged


_MISSING = "missing"


def _wrong(
    run: Path, repo: Repo, stage: Stage, spelled: dict[str, str] | None, damaged: set[str]
) -> str:
    """What is wrong with a recorded stage's files, or ``""``."""
    if spelled is None:
        return _MISSING
    if stray := stage.stray(
        spelled
    ):  # before what is missing: DVC puts nothing into a folder with a stray file
        return f"{some(stray)}: not of dvc.lock; remove it, then adopt again"
    for file, md5 in spelled.items():
        if md5 in damaged and not Path(file).exists():
            return f"{file} is damaged in {lock.remote(repo)}: put it right there, then adopt again"
        if not Path(file).exists():
            partly = any(Path(other).exists() for other in spelled)
            return f"{file} is {_MISSING}, also in the cache and the remote" if partly else _MISSING
        if (found := lock.md5(Path(file))) != md5:
            cached = os.path.relpath(repo.cache.local.oid_to_path(md5))
            if Path(cached).exists() and lock.md5(Path(cached)) != md5:
                return (
                    f"{file} is damaged, as is the cache's copy: `rm {run / file} "
                    f"{run / cached}`, then adopt again"
                )
            return (
                f"{file} was edited or damaged (its MD5 is {found}, not {md5} as in dvc.lock): "
                "remove it, then adopt again"
            )
    return ""


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
    environment = os.environ | {
        "DVC_STAGE": "adopt"
    }  # as in `dvc repro`: there is nothing to record
    graph.snakemake(
        run,
        "--cores",
        "1",
        "--touch",
        "--forceall",
        "--",
        *targets,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
