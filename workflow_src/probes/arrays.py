"""Probing features of any origin: arrays and a table of labels instead of a run's files."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src import devices, kinds, seeds
from workflow_src.config.probes import KINDS, Probe, ProbeProtocol
from workflow_src.encoders.conditioning import Moments
from workflow_src.errors import DamagedFile, UserError, explained
from workflow_src.probes import fitting, metrics

# Columns of the labels' table that are no variables.
EPISODE, PART = "episode", "part"
PARTS = ("train", "val", "test")
# Of episodes in their order, as the benchmark's.
_SHARES = (0.7, 0.8)


@dataclass(frozen=True)
class Labelled:
    """Features and labels of each part, and the variables' names."""

    parts: dict[str, fitting.Features]
    names: list[str]


def read(features: Path, labels: Path) -> Labelled:
    """Read features (n, d), a .npy file, and their labels, a CSV with n rows.

    Columns of the CSV: one for each variable, with whole numbers from 0 to 255; and perhaps
    ``episode``, a number that is the same for the frames of an episode, which follow one another,
    and ``part``: train, val or test. Without ``part``, the first 70 % of the episodes are train and
    the last 20 % test; without ``episode``, the same shares of the rows. `UserError` that names
    the file and what is wrong with it.
    """
    values, table = _features(features), _table(labels)
    if len(values) != len(table):
        raise UserError(
            f"{features} has {len(values)} rows and {labels} {len(table)}: give one row of labels "
            "for each of features"
        )
    names = [name for name in table.columns if name not in (EPISODE, PART)]
    if not names:
        raise UserError(f"{labels} has no variable: give a column for each")
    numbers = np.stack([_whole(labels, name, table[name]) for name in names], axis=1)
    episode = np.arange(len(table))
    if EPISODE in table:
        episode = np.unique(_whole(labels, EPISODE, table[EPISODE], None), return_inverse=True)[1]
        if (np.diff(episode) < 0).any():
            raise UserError(f"{labels}: episodes are mixed: sort the rows by {EPISODE}")
    part = _parts(labels, table, episode)
    return Labelled(
        {
            name: fitting.Features(
                values[part == name],
                numbers[part == name],
                np.unique(episode[part == name], return_counts=True)[1],
            )
            for name in PARTS
        },
        names,
    )


def standardised(data: Labelled) -> Labelled:
    """Every feature minus its mean, divided by its deviation, both over the train rows."""
    moments = Moments.of([data.parts["train"].values], joint=False)
    scale = moments.map("standardised")
    parts = {
        name: fitting.Features(
            ((part.values - moments.mean) * scale).astype(np.float32), part.labels, part.lengths
        )
        for name, part in data.parts.items()
    }
    return Labelled(parts, data.names)


def probe(
    data: Labelled,
    *,
    kind: str,
    settings: Probe,
    switches: ProbeProtocol,
    seed: int,
    device: str,
) -> dict[str, dict[str, float]]:
    """Fit a probe of each variable and score it: {variable: {"f1", "accuracy"}}."""
    module = kinds.module(KINDS, kind)
    rng = seeds.generator(seed, "arrays", kind)
    by_descent = kinds.declared(KINDS, kind).get("GRADIENT_DESCENT", True)
    train, val, test = (data.parts[name] for name in PARTS)
    with devices.acquire(device if by_descent else "cpu", settings.threads) as place:
        fitted = module.fit(train, val, settings, switches, rng, place, names=data.names)
        predicted = fitted.predict(test.values)
    measured = metrics.scores(test.labels, predicted, settings.classes)
    return {
        name: {metric: float(values[i]) for metric, values in measured.items()}
        for i, name in enumerate(data.names)
    }


def _features(path: Path) -> np.ndarray:
    with explained("read", path):
        path.open("rb").close()
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # numpy's are of many types
        raise DamagedFile(f"{path} is no array of numbers in NumPy's format: {error}") from error
    shape = getattr(values, "shape", "several arrays")
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.size:
        raise UserError(f"{path} holds {shape}, not features (n, d): flatten each row's features")
    if values.dtype.kind not in "fiub":
        raise UserError(f"{path} holds {values.dtype}, not real numbers: convert the features")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(
            f"{path}: a feature is infinite or no number in float32: mend or scale the features"
        )
    return values


def _table(path: Path) -> pd.DataFrame:
    with explained("read", path):
        content = path.read_bytes()
    try:
        # With the mark that some programs begin UTF-8 with, or without.
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        heads, *rows = (line for line in lines if line)
        if len(set(heads)) < len(heads) or "" in heads:
            raise ValueError("two columns have the same name, or one has none")
        # pandas would take a cell too many for an index, and shift the others.
        wrong = next((n for n, row in enumerate(rows, 1) if len(row) != len(heads)), None)
        if wrong is not None:
            raise ValueError(f"row {wrong} has {len(rows[wrong - 1])} cells, not {len(heads)}")
    except (ValueError, csv.Error) as error:
        raise DamagedFile(
            f"{path} is no table of labels ({' '.join(str(error).split())}): mend it"
        ) from error
    return pd.DataFrame(rows, columns=heads, dtype=str).drop(columns="sha256", errors="ignore")


def _whole(path: Path, name: str, column: pd.Series, most: int | None = 255) -> np.ndarray:
    """A column's whole numbers, int64, from 0 to ``most``; `UserError` for others."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy()
    wrong = ~np.isfinite(numbers) | (numbers != np.round(numbers))
    if most is not None:
        wrong |= (numbers < 0) | (numbers > most)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        known = "a whole number" if most is None else f"a whole number from 0 to {most}"
        raise UserError(
            f"{path}: {name} in row {at + 1} is {column.iloc[at]!r}, not {known}: number the "
            "values that occur"
        )
    return numbers.astype(np.int64)


def _parts(path: Path, table: pd.DataFrame, episode: np.ndarray) -> np.ndarray:
    """The part of each row; `UserError` if one of them has no rows."""
    if PART in table:
        part = table[PART].to_numpy(dtype=str)
        if unknown := set(part) - set(PARTS):
            raise UserError(f"{path}: unknown part '{min(unknown)}'; known: {', '.join(PARTS)}")
    else:
        count = int(episode[-1]) + 1 if len(episode) else 0
        borders = [int(share * count) for share in _SHARES]
        part = np.array(PARTS)[np.searchsorted(borders, episode, side="right")]
    for name in PARTS:
        if not (part == name).any():
            raise UserError(f"{path}: no row is in {name}: give more episodes, or a column {PART}")
    return part
