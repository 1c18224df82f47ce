"""Every metric of every probe in one tidy CSV, one row each: what all tables and figures are made of.

The probes' files are checked while they are read: a key that is missing, or a value that is no
finite number, is refused with the file's and the key's name.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from workflow_src import artifacts
from workflow_src.errors import DamagedFile, UserError, explained

IDENTITY = ["policy", "protocol", "method", "probe", "game", "seed"]
COLUMNS = [*IDENTITY, "label_set", "level", "name", "metric", "value"]
TYPES = dict.fromkeys(COLUMNS, str) | {"seed": int, "value": float}


class Metrics(BaseModel):
    """What is measured of one variable, and averaged over several; a row of scores.csv for every field."""

    model_config = ConfigDict(strict=True)
    f1: Annotated[float, Field(allow_inf_nan=False)]
    accuracy: Annotated[float, Field(allow_inf_nan=False)]


class ProbeFile(BaseModel):
    """The part of a probe's JSON that becomes scores; the field names are the levels of scores.csv, but for the plurals."""

    model_config = ConfigDict(strict=True)
    game: str
    policy: str
    protocol: str
    method: str
    probe: str
    seed: int
    label_set: str
    variables: dict[str, Metrics]
    categories: dict[str, Metrics]
    mean_over_categories: Metrics
    mean_over_variables: Metrics
    mean_weighted: Metrics

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row of scores.csv for each metric of each level and name."""
        head = self.model_dump(include={*IDENTITY, "label_set"})
        levels = {
            "variable": self.variables,
            "category": self.categories,
            "mean_over_categories": {"": self.mean_over_categories},
            "mean_over_variables": {"": self.mean_over_variables},
            "mean_weighted": {"": self.mean_weighted},
        }
        for level, named in levels.items():
            for name, metrics in named.items():
                for metric, value in metrics.model_dump().items():
                    yield {**head, "level": level, "name": name, "metric": metric, "value": value}


def read_probe(path: Path) -> ProbeFile:
    """Read and check one probe's JSON; `DamagedFile` names the first key that is missing or wrong."""
    content = artifacts.read_json(path)
    try:
        return ProbeFile.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        why = (
            f"it lacks the key {key}"
            if first["type"] == "missing"
            else f"{key or 'it'}: {first['msg'].lower()}"
        )
        raise DamagedFile(f"{path} is damaged ({why}): delete it and make it again") from error


def tidy(probes: Iterable[ProbeFile]) -> pd.DataFrame:
    """All rows of all probes, sorted by every column but the value, so that the order of the files does not matter."""
    frame = pd.DataFrame((row for probe in probes for row in probe.rows()), columns=COLUMNS).astype(
        TYPES
    )
    return frame.sort_values(COLUMNS[:-1], ignore_index=True)


def headlines(scores: pd.DataFrame) -> dict[str, Any]:
    """The headline, F1 averaged over categories and seeds, by policy, protocol, method, probe and game; and the games' mean."""
    means = scores[(scores["level"] == "mean_over_categories") & (scores["metric"] == "f1")]
    nested: dict[str, Any] = {}
    for (*keys, probe), rows in means.groupby(["policy", "protocol", "method", "probe"]):
        inner = nested
        for key in keys:
            inner = inner.setdefault(key, {})
        by_game = rows.groupby("game")["value"].mean()
        inner[probe] = by_game.to_dict() | {"mean": by_game.mean()}
    return nested


def write_scores(probes: list[Path], out: Path, metrics: Path | None = None) -> None:
    """Write the tidy scores of the probes' JSON files as CSV, and their headlines as JSON, for ``dvc metrics``.

    `DamagedFile` for a file that is not a probe's, `UserError` when two files are of the same
    probe.
    """
    files: dict[tuple, Path] = {}
    found = []
    for path in probes:
        probe = read_probe(path)
        identity = tuple(getattr(probe, key) for key in IDENTITY)
        if identity in files:
            raise UserError(
                f"{path} and {files[identity]} are both of {'/'.join(map(str, identity))}: delete the wrong one"
            )
        files[identity] = path
        found.append(probe)
    scores = tidy(found)
    artifacts.write_text(out, scores.to_csv(index=False, lineterminator="\n"))
    if metrics is not None:
        artifacts.write_json(metrics, headlines(scores))


def read_scores(path: Path) -> pd.DataFrame:
    """Read what `write_scores` wrote, values to the last bit; ``name`` of a mean is the empty text."""
    frame = read_csv(path, text=[c for c in COLUMNS if TYPES[c] is str], numbers=["seed", "value"])
    if frame[["seed", "value"]].isna().any(axis=None):
        raise DamagedFile(
            f"{path} is damaged (a row lacks its seed or value): delete it and make it again"
        )
    return frame.astype(TYPES)


def read_csv(path: Path, text: list[str], numbers: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV whose columns ``text`` are identifiers and whose others are numbers, or empty, which becomes NaN.

    `DamagedFile` when it does not parse, lacks a column of ``text`` or ``numbers``, or has
    something else for a number.
    """
    with explained("read", path):
        try:
            # Everything as text first: pandas' own guess would read a game called "nan" as missing,
            # and round numbers.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
            lacking = {*text, *numbers} - set(frame.columns)
            if lacking:
                raise ValueError(f"it lacks the column {min(lacking)}")
            parsed = {
                c: [float(v) if v else np.nan for v in frame[c]]
                for c in frame.columns
                if c not in text
            }
        except ValueError as error:
            raise DamagedFile(
                f"{path} is damaged ({' '.join(str(error).split())}): delete it and make it again"
            ) from error
    return frame.assign(**parsed)
