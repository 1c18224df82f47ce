"""DVC's stages, from the job graph: one per folder of artifacts or rule of the report.

``dvc.yaml`` is written from what the rules say and never by hand, so that the two tools cannot
disagree. A stage's command is the Snakemake target of its files, with all that it is made of taken
as given: DVC decides between stages, Snakemake inside of one.
"""

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from workflow_src import artifacts, layout, provenance
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.versioning.graph import SNAKEFILE, Job

# They decide which files a folder has, not what stands in one.
SHAPE = ("games", "seeds")


@dataclass
class Stage:
    """What DVC knows of several jobs of one rule."""

    name: str
    rule: str
    target: str  # of Snakemake
    outs: list[str]
    files: list[str] = field(default_factory=list)
    deps: set[str] = field(default_factory=set)
    params: set[str] = field(default_factory=set)  # of config.yaml
    code: dict[str, str] = field(default_factory=dict)  # {name in code.yaml: digest}
    stale: list[str] = field(default_factory=list)  # why its files are not current

    def stray(self, known: Iterable[str]) -> list[str]:
        """Files in its folder that are not ``known``."""
        return sorted(
            {str(f) for out in self.outs for f in Path(out).rglob("*") if f.is_file()} - set(known)
        )


def some(names: list[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def stages(config: Config, jobs: dict[Job, str]) -> list[Stage]:
    """The stages of a run's jobs, each after those whose folders it reads."""
    folders = layout.folders(config)
    found: dict[str, Stage] = {}
    for job, why in jobs.items():
        folder = job.outputs[0].rpartition("/")[0]
        target = folder if folder in folders else job.rule
        # Stages may be called by letters, digits, _ and - alone; no name in the configuration has
        # two dashes in a row.
        name = target.removeprefix("results/").replace("/", "--")
        outs = [folder] if folder in folders else list(job.outputs)
        stage = found.setdefault(target, Stage(name, job.rule, target, outs))
        stage.files += job.outputs
        stage.deps |= {
            parent if (parent := file.rpartition("/")[0]) in folders else file
            for file in job.inputs
        }
        stage.params |= {*job.settings, *(SHAPE if folder in folders else ())}
        stage.code |= job.code
        stage.stale += [why] if why else []
    order = {target: number for number, target in enumerate(folders)}
    makers = {out: stage for stage in found.values() for out in stage.outs}
    placed: dict[str, Stage] = {}

    def place(stage: Stage) -> None:
        for dep in sorted(stage.deps & makers.keys()):
            if makers[dep].target not in placed:
                place(makers[dep])
        placed[stage.target] = stage

    for stage in sorted(found.values(), key=lambda stage: order.get(stage.target, len(order))):
        if stage.target not in placed:
            place(stage)
    return list(placed.values())


def _plots(config: Config) -> list[dict]:
    """The learning curves of each method, one line per game and seed."""
    by_folder: dict[str, list[str]] = {}
    for file in layout.HISTORIES.files(config):
        names = layout.HISTORIES.parse(file)
        if names and config.methods[names["method"]].learns_from is not None:
            by_folder.setdefault(file.rpartition("/")[0], []).append(file)
    return [
        {
            folder.removeprefix("results/"): {
                "title": folder,
                "x": "epoch",
                "y": dict.fromkeys(files, "val_loss"),
            }
        }
        for folder, files in by_folder.items()
    ]


def text(run: Path, config: Config, found: list[Stage]) -> str:
    """The content of a run's ``dvc.yaml``."""
    root = os.path.relpath(SNAKEFILE.parent, run.resolve())
    snakefile = [] if root == "." else ["--snakefile", f"{root}/Snakefile"]
    content = {provenance.STAGE: _code_stage(run.resolve())}
    for stage in found:
        content[stage.name] = {"cmd": _command(stage, snakefile), "deps": sorted(stage.deps)}
        # The digests of all games' labels as one key: a stage makes all games.
        code = {
            name.rpartition(".")[0] if name.startswith("labels.") else name for name in stage.code
        }
        params = {"config.yaml": sorted(stage.params), provenance.FILE: sorted(code)}
        # DVC's own file, params.yaml, is not used.
        content[stage.name]["params"] = [{file: keys} for file, keys in params.items() if keys]
        content[stage.name]["outs"] = stage.outs
    document: dict[str, Any] = {"stages": content, "metrics": [layout.METRICS.path]}
    if plots := _plots(config):
        document["plots"] = plots
    head = (
        "# Written by `python -m workflow_src stages` from config.yaml and the rules: do not "
        "edit.\n"
    )
    return head + yaml.safe_dump(document, sort_keys=False, width=120)


def _code_stage(run: Path) -> dict[str, Any]:
    """DVC's first stage, the only one that reads source files and the whole configuration.

    It fails when ``dvc.yaml`` does not match them, and writes ``code.yaml``, whose values tell DVC
    which of the other stages an edit concerns.
    """
    sources = [SNAKEFILE, *(SNAKEFILE.parent / "rules").glob("*.smk")]
    sources += [file for file in provenance.PACKAGE.rglob("*.py") if file.stat().st_size]
    # See `provenance.of_labels`.
    sources += (provenance.PACKAGE / "ari").glob("*.csv")
    return {
        "cmd": "python -m workflow_src code",
        "deps": sorted({"config.yaml", *(os.path.relpath(file, run) for file in sources)}),
        # Not deleted before it is written again, and in git rather than in DVC's cache.
        "outs": [{provenance.FILE: {"cache": False, "persist": True}}],
    }


def _command(stage: Stage, snakefile: list[str]) -> str:
    """Snakemake, which makes the files of a stage and takes all other files as given."""
    allowed = [stage.rule] if stage.target == stage.rule else [stage.rule, stage.target]
    words = ["--quiet", "rules", "--allowed-rules", *allowed, "--", stage.target]
    return shlex.join(["snakemake", *snakefile, *words])


def code_text(found: list[Stage]) -> str:
    """The content of a run's ``code.yaml``: the digests of the stages' code, by step and kind."""
    content: dict[str, Any] = {}
    for stage in found:
        for name, digest in stage.code.items():
            *sections, last = name.split(".")
            section = content
            for part in sections:
                section = section.setdefault(part, {})
            if section.setdefault(last, digest) != digest:
                raise ValueError(f"two rules give {name} to different code: rename one")
    head = (
        "# Written by `python -m workflow_src stages`: digests of the code that makes each "
        "step's files.\n"
    )
    # In quotes, for there are digests that YAML would read as numbers.
    return head + yaml.safe_dump(content, default_style='"')


def write(run: Path, config: Config, found: list[Stage]) -> None:
    """Write ``dvc.yaml`` and ``code.yaml`` of a run, where they are not up to date."""
    _write(run / "dvc.yaml", text(run, config, found))
    write_code(run, found)


def write_code(run: Path, found: list[Stage]) -> None:
    """Write ``code.yaml`` of a run, if it is not up to date."""
    _write(run / provenance.FILE, code_text(found))


def _write(file: Path, wanted: str) -> None:
    if not _says(file, wanted):
        artifacts.write_text(file, wanted)


def check(run: Path, config: Config, found: list[Stage]) -> None:
    """`UserError` when ``dvc.yaml`` of a run does not match its configuration and the rules."""
    if not _says(run / "dvc.yaml", text(run, config, found)):
        raise UserError(
            f"{run / 'dvc.yaml'} does not match config.yaml and the rules: "
            "`python -m workflow_src stages` writes it again"
        )


def check_code(run: Path, found: list[Stage]) -> None:
    """`UserError` when ``code.yaml`` of a run does not match the code."""
    if not _says(run / provenance.FILE, code_text(found)):
        raise UserError(
            f"{run / provenance.FILE} does not match the code: "
            "`python -m workflow_src stages` writes it again"
        )


def _says(file: Path, wanted: str) -> bool:
    return file.exists() and file.read_text(errors="replace") == wanted
