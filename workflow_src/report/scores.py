"""Scores: a tidy CSV with a row for every metric of every probe; all tables and figures read it.

The probes' files are checked while they are read: a missing key, or a value that is not a finite
number, is refused with the names of the file and the key.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from workflow_src import artifacts, layout
from workflow_src.csv_files import read_csv, write_csv
from workflow_src.errors import DamagedFile, UserError
from workflow_src.means import summarise
from workflow_src.paths import place

IDENTITY = ["policy", "protocol", "method", "probe", "game", "seed"]
COLUMNS = [*IDENTITY, "label_set", "level", "name", "metric", "value"]
TYPES = dict.fromkeys(COLUMNS, str) | {"seed": int, "value": float}


Share = Annotated[float, Field(ge=0, le=1)]


class Metrics(BaseModel):
    """The metrics of one variable, or their means; each field is a row of scores.csv."""

    model_config = ConfigDict(strict=True)
    f1: Share
    accuracy: Share
    # Of probes that estimate numbers, see `probes.metrics.errors`.
    r2: Annotated[float, Field(allow_inf_nan=False, le=1)] | None = None
    mae: Annotated[float, Field(allow_inf_nan=False, ge=0)] | None = None
    within_2: Share | None = None


class Conditioning(BaseModel):
    """Of the features that a probe read, see `encoders.conditioning.describe`."""

    model_config = ConfigDict(strict=True)
    size: int
    mean: Annotated[float, Field(allow_inf_nan=False)]
    deviation: Annotated[float, Field(allow_inf_nan=False)]
    effective_rank: Annotated[float, Field(allow_inf_nan=False)] | None


class ProbeFile(BaseModel):
    """The part of a probe's JSON that becomes scores.

    The field names are the levels of scores.csv, except for the plurals.
    """

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
    features: Conditioning | None = None  # none where no features were read

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
                for metric, value in metrics.model_dump(exclude_none=True).items():
                    yield {**head, "level": level, "name": name, "metric": metric, "value": value}
        described = self.features.model_dump(exclude_none=True) if self.features else {}
        for metric, value in described.items():
            yield {**head, "level": "features", "name": "", "metric": metric, "value": value}


def read_probe(path: Path) -> ProbeFile:
    """Read and check one probe's JSON; `DamagedFile` names the first key that is wrong.

    That is also one of another probe than the file's name says, or a mean that is not that of its
    parts.
    """
    content = artifacts.read_checked_json(path)
    try:
        found = ProbeFile.model_validate(content)
        _check_means(path, found)
        for key, value in (layout.PROBES.parse(place(path)) or {}).items():
            if str(getattr(found, key)) != value:
                raise DamagedFile(
                    f"{path} is of the {key} {getattr(found, key)}: delete it and make it again"
                )
        return found
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        why = f"{key or 'it'}: {first['msg'].lower()}"
        if first["type"] == "missing":
            why = f"the key {key} is missing"
        raise DamagedFile(f"{path} is damaged ({why}): delete it and make it again") from error


def _check_means(path: Path, probe: ProbeFile) -> None:
    """`DamagedFile` unless the means are those of the variables, but for rounding."""
    values = {name: row.model_dump(exclude_none=True) for name, row in probe.variables.items()}
    expected = ProbeFile.model_validate(probe.model_dump() | summarise(values))
    given, right = (
        {(row["level"], row["name"], row["metric"]): row["value"] for row in one.rows()}
        for one in (probe, expected)
    )
    for key in sorted(given.keys() | right.keys()):
        if not math.isclose(
            given.get(key, math.nan), right.get(key, math.nan), rel_tol=1e-9, abs_tol=1e-12
        ):
            raise DamagedFile(
                f"{path} is damaged ({' '.join(filter(None, key))} does not follow from the "
                "variables): delete it and make it again"
            )


def tidy(probes: Iterable[ProbeFile]) -> pd.DataFrame:
    """All rows of all probes, in an order that does not depend on the order of the files."""
    frame = pd.DataFrame(
        itertools.chain.from_iterable(probe.rows() for probe in probes), columns=COLUMNS
    )
    return frame.astype(TYPES).sort_values(COLUMNS[:-1], ignore_index=True)


def headline_scores(scores: pd.DataFrame) -> dict[str, Any]:
    """F1 averaged over categories and seeds, and its mean over games.

    {policy: {protocol: {method: {probe: {game: F1}}}}}, with ``mean`` as the last game.
    """
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
    """Write the tidy scores of the probes' JSON files as CSV.

    ``metrics`` is a JSON of their headlines to write, for ``dvc metrics``. `DamagedFile` for a
    file that does not come from a probe, `UserError` if two files have the same probe.
    """
    files: dict[tuple, Path] = {}
    found = []
    for path in probes:
        probe = read_probe(path)
        identity = tuple(getattr(probe, key) for key in IDENTITY)
        if identity in files:
            name = "/".join(map(str, identity))
            raise UserError(f"{path} and {files[identity]} both have {name}: delete the wrong one")
        files[identity] = path
        found.append(probe)
    scores = tidy(found)
    write_csv(out, scores)
    if metrics is not None:
        artifacts.write_json(metrics, headline_scores(scores))


def read_scores(path: Path, foreign: bool = False) -> pd.DataFrame:
    """Read what `write_scores` wrote, values to the last bit; a mean has the empty ``name``.

    ``foreign``: or what somebody else wrote, without a checksum. `UserError` or `DamagedFile` if
    the file is missing or damaged.
    """
    texts = [column for column in COLUMNS if TYPES[column] is str]
    frame = read_csv(path, text=texts, numbers=["seed", "value"], foreign=foreign)
    if frame[["seed", "value"]].isna().any(axis=None):
        raise DamagedFile(
            f"{path} is damaged (a row has no seed or value): delete it and make it again"
        )
    return frame.astype(TYPES)
