"""The certificate: remake chosen artifacts and compare them with the hashes in ``dvc.lock``."""

import contextlib
import itertools
import re
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from workflow_src import artifacts, layout
from workflow_src.config.reading import read_yaml
from workflow_src.config.run import Config
from workflow_src.config.studies import STUDIES
from workflow_src.errors import UserError, one_of
from workflow_src.layout import game_of, step_of
from workflow_src.paths import expanded
from workflow_src.versioning import graph, lock
from workflow_src.versioning.stages import SHAPE


def verify(run: Path, games: list[str], steps: list[str], cores: str) -> tuple[list[str], bool]:
    """Remake the artifacts of games and steps, with their inputs, in a new directory, and compare.

    No games or no steps mean all that are recorded. Returns lines that say what is the same and
    what differs, in data-flow order, and whether everything is the same; the directory is kept if
    not. `UserError` when anything that was asked for is unknown or not recorded.
    """
    config = Config.load(run / "config.yaml")
    for game in games:
        one_of("game", game, config.games)
    recorded = _recorded(run)
    known = list(dict.fromkeys(step_of(file) for file in recorded))
    if not known:
        raise UserError(
            f"{run / 'dvc.lock'} records nothing yet: `python -m workflow_src record --run {run}`"
        )
    planned = graph.jobs(run)
    for step in steps:
        if step not in known and step in {step_of(file) for job in planned for file in job.outputs}:
            raise UserError(
                f"step {step} is not recorded in {run / 'dvc.lock'}: recorded are "
                f"{', '.join(known)}"
            )
        one_of("step", step, known)
    wanted = [
        file
        for job in planned
        for file in job.outputs
        if file in recorded
        and step_of(file) in (steps or known)
        and (not games or game_of(file) in games)
    ]
    unnamed = {step_of(file) for file in recorded if game_of(file) is None}
    of_all = sorted(unnamed & set(steps))
    if games and of_all:
        raise UserError(f"step {of_all[0]} covers all games at once: drop --games, or this step")
    for game, step in itertools.product(games, steps or known):
        if step not in unnamed and not any(
            (game_of(file), step_of(file)) == (game, step) for file in wanted
        ):
            raise UserError(
                f"step {step} of {game} is not recorded in {run / 'dvc.lock'}: "
                "leave it out, or make and record it"
            )
    _check_settings(run, {"episodes", "splits", *(steps or known)})
    # In the run's own directory, on a disk that has room for such files.
    (run / "verify").mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="made-again-", dir=run / "verify"))
    try:
        _configure(run, directory, games or config.games, wanted)
        graph.snakemake(directory, "--cores", cores, "--", *wanted)
    except UserError as error:
        raise UserError(f"{error} (what was made is left in {directory})") from error
    return _compare(run, directory, recorded)


def _recorded(run: Path) -> dict[str, str]:
    """{file: MD5} of all that is recorded."""
    spelled = lock.files(run)
    if None in spelled.values() and (run / ".dvc").is_dir():
        with lock.dvc(run) as repo:
            spelled = lock.files(Path(), repo)
    for stage, files in spelled.items():
        if files is None:
            raise UserError(
                f"{run / lock.LISTING} does not list the files of {stage} in dvc.lock: "
                "run `python -m workflow_src record` where it was made"
            )
    named = {file: md5 for files in spelled.values() for file, md5 in (files or {}).items()}
    return {file: md5 for file, md5 in named.items() if layout.find(file)}


def _check_settings(run: Path, steps: set[str]) -> None:
    """Refuse to remake with other settings: the result would certainly differ."""
    content = read_yaml(run / "config.yaml")
    for entry in lock.read(run).values():
        of_step = any(step_of(out["path"]) in steps for out in entry.get("outs", []))
        for name, recorded in (
            entry.get("params", {}).get("config.yaml", {}).items() if of_step else ()
        ):
            value: Any = content
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if name not in SHAPE and value != recorded:
                raise UserError(
                    f"{run / 'dvc.lock'} was recorded with {name}: {recorded}, "
                    f"config.yaml has {value}: set it back"
                )


def _configure(run: Path, directory: Path, games: list[str], wanted: list[str]) -> None:
    """Write the run's configuration for some games; custom encoders' files keep their paths."""
    content = read_yaml(run / "config.yaml") | {"games": games}
    for name, row in list(content["methods"].items()):
        for file in filter(None, (row.get("module", "").rpartition(":")[0], row.get("weights"))):
            if expanded(file).is_absolute():
                continue
            if ".." not in Path(file).parts:
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(run / file, directory / file)
            elif any(f"/{name}/" in made or game_of(made) is None for made in wanted):
                raise UserError(
                    f"methods.{name} uses {file}, which is another file when seen from elsewhere: "
                    "write its path from ~ or /"
                )
            else:
                content["methods"].pop(name, None)
    for study in STUDIES:
        section = content.get(study) or {"methods": []}
        section["methods"] = [name for name in section["methods"] if name in content["methods"]]
        if not section["methods"]:
            content.pop(study, None)
    content["studies"] = [name for name in content.get("studies", ()) if name in content]
    artifacts.write_text(directory / "config.yaml", yaml.safe_dump(content, sort_keys=False))


def _compare(run: Path, directory: Path, recorded: dict[str, str]) -> tuple[list[str], bool]:
    made = [
        (job, file)
        for job in graph.jobs(directory)
        for file in job.outputs
        if (directory / file).exists()
    ]
    differ: list[str] = []
    lines = []
    for job, file in made:
        if file in recorded and (found := lock.md5(directory / file)) != recorded[file]:
            why = (
                "one of its inputs differs"
                if {*job.inputs} & {*differ}
                else "first difference of its chain"
            )
            lines.append(f"  differs: {file} ({why}; recorded {recorded[file]}, made {found})")
            differ.append(file)
    compared = sum(file in recorded for _, file in made)
    head = (
        f"made {compared} files again: {compared - len(differ)} the same as in "
        f"{run / 'dvc.lock'}, {len(differ)} not"
    )
    if not differ:
        shutil.rmtree(directory)
        with contextlib.suppress(OSError):  # another verification's directory is in it
            directory.parent.rmdir()
        return [head], True
    return [head, *lines, *_other_versions(), f"  what was made is left in {directory}"], False


def _other_versions() -> list[str]:
    """The packages that differ from requirements.lock, which is the usual reason."""
    pins = re.findall(
        r"(?m)^([\w.-]+)==(\S+)$", (graph.SNAKEFILE.parent / "requirements.lock").read_text()
    )
    other = []
    for name, pinned in pins:
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if found != pinned:
            other.append(f"{name} {found} (not {pinned})")
    return [f"  other versions than in requirements.lock: {', '.join(other)}"] if other else []
