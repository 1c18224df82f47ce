"""Histories of trainings as TensorBoard's files."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

from workflow_src import layout
from workflow_src.csv_files import CHECKSUM
from workflow_src.errors import UserError


def write(run: Path, out: Path) -> int:
    """Write the histories of a run's encoders and agents to ``out``; returns how many there are.

    A running training's history is that of its log (see `live`). ``out`` is made again, with a
    folder for each training. `UserError` where nothing has been trained.
    """
    from torch.utils.tensorboard import SummaryWriter

    found = dict(_histories(run))
    if not found:
        raise UserError(f"{run} has no history of a training: name the directory of a run")
    shutil.rmtree(out, ignore_errors=True)
    for name, file in found.items():
        with open(file, newline="") as text, SummaryWriter(str(out / name)) as writer:
            for number, row in enumerate(csv.DictReader(text)):
                step = int(float(row.get("step") or row.get("epoch") or number))
                for column, value in row.items():
                    if column not in ("epoch", "step", CHECKSUM) and value:
                        writer.add_scalar(column, float(value), step)
    return len(found)


def _histories(run: Path) -> Iterator[tuple[str, Path]]:
    """The name and the file of each history: what is finished stands for what was told before."""
    logs, results = run / "logs", run / "results"
    for file in sorted(logs.rglob("*.live.csv")):
        if file.relative_to(logs).parts[0] == "encoders":
            yield str(file.relative_to(logs)).removesuffix(".live.csv"), file
    for file in sorted(results.rglob("*.csv")):
        kind = layout.find(f"results/{file.relative_to(results).as_posix()}")
        # That of a method that does not learn has no rows.
        if kind and kind[0] in (layout.HISTORIES, layout.AGENT_HISTORIES) and _rows(file) > 1:
            yield str(file.relative_to(results).with_suffix("")), file


def _rows(file: Path) -> int:
    return sum(1 for _ in file.open())
