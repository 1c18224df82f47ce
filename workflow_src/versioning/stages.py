"""DVC's stages, made from the job graph: one for each folder of artifacts, and one for each file of the report's.

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

from workflow_src import artifacts, layout
from workflow_src.config.run import Config
from workflow_src.errors import UserError
from workflow_src.versioning.graph import SNAKEFILE, Job

CHECK = "dvc-yaml"
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
    params: set[str] = field(default_factory=set)
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
    """The learning curves of each method, a line a game and seed."""
    by_folder: dict[str, list[str]] = {}
    for file in layout.encoders(config, layout.HISTORY):
        method = file.split("/")[-2]
        if config.methods[method].learns_from is not None:
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
    """What ``dvc.yaml`` of a run is to say."""
    run, package = run.resolve(), Path(layout.__file__).parent
    root = os.path.relpath(SNAKEFILE.parent, run)
    snakefile = [] if root == "." else ["--snakefile", f"{root}/Snakefile"]
    # The only stage that reads the whole configuration: it fails when this file is of another one,
    # or of other imports.
    plan = [
        SNAKEFILE,
        *(SNAKEFILE.parent / "rules").glob("*.smk"),
        *(package / "versioning").glob("*.py"),
    ]
    plan += [package / "layout.py", *(package / "config").glob("*.py")]
    plan += (package / "catalogue").glob("*.py")
    code = {dep for stage in found for dep in stage.deps if dep.endswith(".py")}
    content: dict[str, Any] = {
        CHECK: {
            "cmd": "python -m workflow_src stages --check",
            "deps": sorted({"config.yaml", *code, *(os.path.relpath(file, run) for file in plan)}),
        }
    }
    for stage in found:
        allowed = [stage.rule] if stage.target == stage.rule else [stage.rule, stage.target]
        words = [
            "snakemake",
            *snakefile,
            "--quiet",
            "rules",
            "--allowed-rules",
            *allowed,
            "--",
            stage.target,
        ]
        content[stage.name] = {"cmd": shlex.join(words), "deps": sorted(stage.deps)}
        if stage.params:
            content[stage.name]["params"] = sorted(stage.params)
        content[stage.name]["outs"] = stage.outs
    for stage in content.values():  # our parameters stand in config.yaml, not in DVC's params.yaml
        if "params" in stage:
            stage["params"] = [{"config.yaml": stage["params"]}]
    document = {"stages": content, "metrics": [layout.METRICS]} | (
        {"plots": plots} if (plots := _plots(config)) else {}
    )
    head = "# Made by `python -m workflow_src stages` from the rules and config.yaml; made again when either changes.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=120)


def write(run: Path, config: Config, found: list[Stage]) -> bool:
    """Write ``dvc.yaml`` of a run, if it is not yet what it is to be; whether it was written."""
    file, wanted = run / "dvc.yaml", text(run, config, found)
    if file.exists() and file.read_text() == wanted:
        return False
    artifacts.write_text(file, wanted)
    return True


def check(run: Path, config: Config, found: list[Stage]) -> None:
    """`UserError` when ``dvc.yaml`` of a run is of another configuration, or was edited."""
    file = run / "dvc.yaml"
    if not file.exists() or file.read_text() != text(run, config, found):
        raise UserError(
            f"{file} is not of this config.yaml and these rules: `python -m workflow_src stages` writes it anew"
        )
