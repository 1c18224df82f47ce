"""Tables as the page shows them: display names, numbers as text, heads of one or two rows."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src.config.run import Config
from workflow_src.csv_files import read_cells
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.names import (
    CATEGORY_NAMES,
    COLUMN_NAMES,
    DASH,
    ROW_NAMES,
    method_name,
    probe_name,
)

LARGEST_DOWNLOAD = 100_000  # bytes of a CSV that the page includes
# Companions of a column, by suffix: ``st-dim_paper`` is the paper's value of ``st-dim``.
COMPANIONS = {
    "std": "± std",
    "paper": "paper",
    "report": "report",
    "difference": "difference",
    "f1": "F1",
    "accuracy": "accuracy",
}
BADGES = {
    "alive": "good",
    "kept": "good",
    "suspicious": "warn",
    "constant": "bad",
    "dropped": "warn",
}

_UNGROUPED = {
    "seed",
    "ram_index",
    "quirk",
    "epochs",
}  # names, not quantities: no thousands separators
_TEXTS = {"verdict", "reason", "categories"}  # even where all of it is empty
_PAGED_FROM = 60  # rows


@dataclass(frozen=True)
class Cell:
    """One value as text; ``order`` is the number to sort by: None for text, empty if missing."""

    text: str
    order: str | None = None
    href: str = ""
    badge: str = ""
    share: str = ""  # from 0 to 1, how strongly the cell is tinted


@dataclass(frozen=True)
class Head:
    """A head, of ``span`` columns; ``above`` other heads, or ``below`` one."""

    text: str
    numeric: bool = False
    span: int = 1
    above: bool = False
    below: bool = False


@dataclass(frozen=True)
class Table:
    """A table ready to be written; ``groups`` is the upper row of heads, or empty."""

    key: str  # its id in the page
    title: str
    caption: str
    groups: list[Head]
    heads: list[Head]
    rows: list[list[Cell]]
    summaries: list[bool]  # whether a row is a mean or total
    companions: tuple[int, ...] = ()  # columns that can be hidden where there is no room
    protocol: int | None = None  # the column of protocols, by which the page filters
    download: str = ""  # the CSV as a data address
    name: str = ""  # its file

    @property
    def paged(self) -> bool:
        """Whether there are too many rows to show all at once."""
        return len(self.rows) > _PAGED_FROM


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of a run; a column is numbers if all its values are, else text.

    `DamagedFile` for any other file.
    """
    frame = read_cells(path)
    for name in frame.columns.difference(_TEXTS):
        frame[name] = _numbers_if_all_are(frame[name])
    return frame


def _numbers_if_all_are(column: pd.Series) -> pd.Series:
    try:
        values = [float(value) if value else np.nan for value in column]
    except ValueError:
        return column
    return pd.Series(values, column.index, dtype=float)


def download(path: Path) -> str:
    """The file as a data address, or nothing where it is too large for the page."""
    content = path.read_bytes()
    if len(content) > LARGEST_DOWNLOAD:
        return ""
    return f"data:text/csv;base64,{base64.b64encode(content).decode()}"


def lay_out(
    config: Config,
    frame: pd.DataFrame,
    key: str,
    title: str = "",
    caption: str = "",
    tinted: bool = False,
    download: str = "",
    name: str = "",
) -> Table:
    """Lay ``frame`` out as a table; ``tinted`` colours numbers from 0 to 1 by their size.

    A policy or protocol that is the same in all rows is named once, in the caption. Empty
    companion columns are dropped. ``download`` and ``name`` are those of its file.
    """
    frame = frame.reset_index(drop=True)
    same = _constants(frame)
    frame = frame.drop(columns=[*same, *_empty_companions(frame)])
    # First what names the row, which stays in sight; then which block and verdict; then the rest.
    early = [column for column in (*BLOCK, "seed", "verdict", "reason") if column in frame]
    first, *others = [column for column in frame if column not in early] or [early.pop(0)]
    frame = frame[[first, *early, *others]]
    columns = [_column(config, str(column), frame[column], tinted) for column in frame]
    shared = ", ".join(f"{COLUMN_NAMES[column].lower()} {value}" for column, value in same.items())
    shared = f"{shared[0].upper()}{shared[1:]}." if shared else ""
    heads = [
        Head(leaf, numeric(frame[column]), below=bool(group))
        for column, (group, leaf) in _named(config, frame)
    ]
    return Table(
        key=key,
        title=title,
        caption=" ".join(filter(None, [caption, shared])),
        groups=_groups(config, frame),
        heads=heads,
        rows=[list(row) for row in zip(*columns, strict=True)],
        summaries=[str(value) in ROW_NAMES for value in frame[first]],
        companions=tuple(
            at
            for at, column in enumerate(frame)
            if _split(str(column), frame.columns)[1] not in ("", "f1")
        ),
        protocol=list(frame).index("protocol") if "protocol" in frame else None,
        download=download,
        name=name,
    )


def _constants(frame: pd.DataFrame) -> dict[str, str]:
    """A policy and protocol that are the same in all rows, unless there is nothing else."""
    present = [name for name in BLOCK if name in frame and len(frame)]
    same = {name: frame[name].iloc[0] for name in present if frame[name].nunique() == 1}
    return same if len(same) < len(frame.columns) else {}


def _empty_companions(frame: pd.DataFrame) -> list[str]:
    """Companion columns without a value: the spread of one seed, methods not in the paper."""
    companions = [name for name in frame if _split(str(name), frame.columns)[1]]
    return [name for name in companions if frame[name].isna().all()]


def _named(config: Config, frame: pd.DataFrame) -> Iterable[tuple[str, tuple[str, str]]]:
    """Each column with its upper and lower head.

    ``st-dim_paper`` is ("ST-DIM", "paper") if there is ``st-dim`` too. The upper head of a column
    without companions is empty.
    """
    parts = {name: _split(str(name), frame.columns) for name in frame.columns}
    counts = pd.Series([base for base, _ in parts.values()]).value_counts()
    for name, (base, end) in parts.items():
        if counts[base] == 1:
            yield name, ("", column_name(config, str(name)))
            continue
        compared = {f"{base}_paper", f"{base}_report"} & {*frame.columns}
        leaf = COMPANIONS.get(end) or ("ours" if compared else "mean")
        yield name, (column_name(config, base), leaf)


def _split(name: str, columns: pd.Index) -> tuple[str, str]:
    """``st-dim_paper`` as ("st-dim", "paper") if it has a companion, else (name, "")."""
    base, _, end = name.rpartition("_")
    family = {base, *(f"{base}_{other}" for other in COMPANIONS)} & set(columns)
    return (base, end) if base and end in COMPANIONS and len(family) > 1 else (name, "")


def _groups(config: Config, frame: pd.DataFrame) -> list[Head]:
    """The upper row of heads; none if no column has companions."""
    found: list[Head] = []
    for name, (group, leaf) in _named(config, frame):
        if group and found and found[-1].above and found[-1].text == group:
            found[-1] = Head(group, span=found[-1].span + 1, above=True)
        else:
            found.append(Head(group or leaf, numeric(frame[name]), above=bool(group)))
    return found if any(head.above for head in found) else []


def numeric(values: pd.Series) -> bool:
    """Whether a column is numbers."""
    return pd.api.types.is_numeric_dtype(values)


def column_name(config: Config, name: str) -> str:
    """The display name of a column."""
    if name in config.methods:
        return method_name(name)
    shown = COLUMN_NAMES.get(name) or CATEGORY_NAMES.get(name) or name.replace("_", " ")
    return shown[:1].upper() + shown[1:]


def _column(config: Config, name: str, values: pd.Series, tinted: bool) -> list[Cell]:
    if not numeric(values):
        return [text_cell(config, name, str(value)) for value in values]
    shown = numbers(values, grouped=name not in _UNGROUPED, signed="difference" in name)
    present = values.dropna()
    tinted = tinted and not name.endswith(("std", "difference")) and present.between(0, 1).all()
    return [
        Cell(
            text,
            "" if pd.isna(value) else f"{value:.9g}",
            share="" if not tinted or pd.isna(value) else f"{value:.2f}",
        )
        for text, value in zip(shown, values, strict=True)
    ]


def numbers(values: pd.Series, grouped: bool = True, signed: bool = False) -> list[str]:
    """The numbers of a column as text, with a dash for a missing one.

    All have as many decimals as they need together: none, two or three.
    """
    present = values[np.isfinite(values)]
    exact = [d for d in (0, 2) if np.allclose(present, present.round(d), rtol=0, atol=1e-9)]
    digits = min(exact, default=3)
    form = f"{'+' if signed else ''}{',' if grouped else ''}.{digits}f"
    return [DASH if pd.isna(value) else format(value, form).replace("-", "−") for value in values]


def text_cell(config: Config, column: str, value: str) -> Cell:
    """An identifier or a text, as the column of this name shows it."""
    if not value:
        return Cell(DASH)
    if column == "game" and value in config.games:
        return Cell(value, href=f"#game={value}")
    if column in ("verdict", "state"):
        return Cell(value, badge=BADGES.get(value.lower(), "plain"))
    if column == "method":
        return Cell(method_name(value))
    if column == "probe":
        return Cell(probe_name(value))
    if column in ("category", "categories", "name"):
        parts = re.split(r"[;,\s]+", value)
        return Cell(", ".join(CATEGORY_NAMES.get(part, part) for part in parts))
    return Cell(ROW_NAMES.get(value, value))
