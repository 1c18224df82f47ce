"""Histories of trainings as TensorBoard's files."""

import math
from collections.abc import Iterator
from pathlib import Path

from workflow_src import layout
from workflow_src.csv_files import read_csv
from workflow_src.errors import UserError, explained

_TOLD = ".live.csv"  # the ending of a running job's history, see `live`


def write(run: Path, out: Path) -> int:
    """Write the histories of a run's encoders and agents to ``out``; returns how many there are.

    A running training's history is that of its log (see `live`). ``out`` has a folder for each
    training; TensorBoard's files in it are made again, all others stay. `UserError` where nothing
    has been trained, and as of `read_csv`; then nothing is written.
    """
    from torch.utils.tensorboard import SummaryWriter

    # Of a log nobody has written a checksum.
    read = {
        name: read_csv(file, text=[], foreign=file.name.endswith(_TOLD))
        for name, file in dict(_histories(run)).items()
    }
    # That of a method that does not learn has no rows.
    found = {name: table for name, table in read.items() if len(table)}
    if not found:
        raise UserError(f"{run} has no history of a training: name the directory of a run")
    with explained("write", out):
        for old in out.rglob("events.out.tfevents.*"):
            old.unlink()
        for name, table in found.items():
            with SummaryWriter(str(out / name)) as writer:
                for number, row in enumerate(table.to_dict("records")):
                    steps = (row.pop("step", math.nan), row.pop("epoch", math.nan), number)
                    step = int(next(filter(math.isfinite, steps)))
                    for column, value in row.items():
                        if not math.isnan(value):
                            writer.add_scalar(column, value, step)
    return len(found)


def _histories(run: Path) -> Iterator[tuple[str, Path]]:
    """The name and the file of each history: what is finished stands for what was told before."""
    logs, results = run / "logs", run / "results"
    for file in sorted(logs.rglob(f"*{_TOLD}")):
        if file.relative_to(logs).parts[0] == "encoders":
            yield str(file.relative_to(logs)).removesuffix(_TOLD), file
    for file in sorted(results.rglob("*.csv")):
        kind = layout.find(f"results/{file.relative_to(results).as_posix()}")
        if kind and kind[0] in (layout.HISTORIES, layout.AGENT_HISTORIES):
            yield str(file.relative_to(results).with_suffix("")), file
