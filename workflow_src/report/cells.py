"""Tables as the page shows them: display names, numbers as text beside what they are sorted by, heads of one or two rows."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src.config.run import Config
from workflow_src.errors import DamagedFile, explained
from workflow_src.report.aggregate import BLOCK
from workflow_src.report.names import (
    CATEGORY_NAMES,
    COLUMN_NAMES,
    DASH,
    PROBE_NAMES,
    ROW_NAMES,
    method_name,
)

LARGEST_DOWNLOAD = 100_000  # bytes of a CSV that the page still carries
# What stands beside a column under its name: ``st-dim_paper`` is the paper's value of ``st-dim``.
BESIDE = {
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
    """One value as it reads; ``order`` is the number it is sorted by, None for text, empty for a number that is missing."""

    text: str
    order: str | None = None
    href: str = ""
    badge: str = ""
    share: str = ""  # from 0 to 1, how strongly the cell is tinted


@dataclass(frozen=True)
class Head:
    """One head: how many columns it spans, whether they are numbers, whether it stands above heads, or below one."""

    text: str
    numeric: bool = False
    span: int = 1
    above: bool = False
    below: bool = False


@dataclass(frozen=True)
class Table:
    """A table ready to be written: ``groups`` is the upper row of heads, or empty, ``heads`` those of single columns."""

    key: str  # its id in the page
    title: str
    caption: str
    groups: list[Head]
    heads: list[Head]
    rows: list[list[Cell]]
    summaries: list[bool]  # which rows are means or totals
    download: str = ""  # the CSV as a data address
    name: str = ""  # its file

    @property
    def paged(self) -> bool:
        """Whether there are too many rows to show all at once."""
        return len(self.rows) > _PAGED_FROM


def read_table(path: Path) -> pd.DataFrame:
    """Read any CSV with heads: a column is numbers if all that stands in it is, else text; `DamagedFile` if it is none."""
    with explained("read", path):
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except ValueError as error:
            raise DamagedFile(
                f"{path} is damaged ({' '.join(str(error).split())}): delete it and make it again"
            ) from error
    return frame.apply(
        lambda column: column if column.name in _TEXTS else _numbers_if_all_are(column)
    )


def _numbers_if_all_are(column: pd.Series) -> pd.Series:
    try:
        numbers = pd.Series(
            [float(value) if value else np.nan for value in column], column.index, dtype=float
        )
    except ValueError:
        return column
    return numbers


def download(path: Path) -> str:
    """The file as a data address, or nothing where it is too large for the page."""
    content = path.read_bytes()
    return (
        "data:text/csv;base64," + base64.b64encode(content).decode()
        if len(content) <= LARGEST_DOWNLOAD
        else ""
    )


def table(
    config: Config,
    frame: pd.DataFrame,
    key: str,
    title: str = "",
    caption: str = "",
    tinted: bool = False,
    **of_file: str,
) -> Table:
    """Lay ``frame`` out as a table; ``tinted`` colours numbers from 0 to 1 by their size.

    A policy or protocol that is the same in all rows is said once, in the caption; an empty column
    beside another is left out.
    """
    frame = frame.reset_index(drop=True)
    same = {
        name: frame[name].iloc[0]
        for name in BLOCK
        if name in frame and len(frame) and frame[name].nunique() == 1
    }
    same = same if len(same) < len(frame.columns) else {}
    said = ", ".join(f"{COLUMN_NAMES[name].lower()} {value}" for name, value in same.items())
    # Nothing stands beside: one seed has no spread, and the paper did not measure every method.
    vain = [
        name for name in frame if _split(str(name), frame.columns)[1] and frame[name].isna().all()
    ]
    frame = frame.drop(columns=[*same, *vain])
    # First what names the row, which stays in sight; then of what, and how it is judged; then all
    # else.
    about = [name for name in (*BLOCK, "seed", "verdict", "reason") if name in frame]
    name, *others = [name for name in frame if name not in about] or [about.pop(0)]
    frame = frame[[name, *about, *others]]
    columns = [_column(config, name, frame[name], tinted) for name in frame]
    return Table(
        key=key,
        title=title,
        caption=" ".join(filter(None, [caption, f"{said[0].upper()}{said[1:]}." if said else ""])),
        groups=_groups(config, frame),
        heads=[
            Head(leaf, numeric(frame[name]), below=bool(group))
            for name, (group, leaf) in _named(config, frame)
        ],
        rows=[list(row) for row in zip(*columns, strict=True)],
        summaries=[str(value) in ROW_NAMES for value in frame[name]],
        **of_file,
    )


def _named(config: Config, frame: pd.DataFrame) -> Iterable[tuple[str, tuple[str, str]]]:
    """Each column with the names above and of it: ``st-dim_paper`` is ("ST-DIM", "paper") where there is ``st-dim`` too.

    The name above is empty of a column that stands alone.
    """
    parts = {name: _split(str(name), frame.columns) for name in frame.columns}
    several = pd.Series([base for base, _ in parts.values()]).value_counts()
    for name, (base, end) in parts.items():
        alone = several[base] == 1
        leaf = BESIDE.get(end) or (
            "ours" if {f"{base}_paper", f"{base}_report"} & {*frame.columns} else "mean"
        )
        yield (
            name,
            ("", column_name(config, str(name))) if alone else (column_name(config, base), leaf),
        )


def _split(name: str, columns: pd.Index) -> tuple[str, str]:
    """``st-dim_paper`` as ("st-dim", "paper") where another column begins with ``st-dim`` too, else (name, "")."""
    base, _, end = name.rpartition("_")
    family = {base, *(f"{base}_{other}" for other in BESIDE)} & set(columns)
    return (base, end) if base and end in BESIDE and len(family) > 1 else (name, "")


def _groups(config: Config, frame: pd.DataFrame) -> list[Head]:
    """The upper row of heads; none where every column stands alone."""
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
    """How the name of a column reads."""
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
    """Numbers of one column with as many decimals as all of them need, but three at most; a dash for a missing one."""
    present = values[np.isfinite(values)]
    digits = next(
        (d for d in (0, 2) if np.allclose(present, present.round(d), rtol=0, atol=1e-9)), 3
    )
    form = f"{'+' if signed else ''}{',' if grouped else ''}.{digits}f"
    return [DASH if pd.isna(value) else format(value, form).replace("-", "−") for value in values]


def text_cell(config: Config, column: str, value: str) -> Cell:
    """An identifier, or a text, as it reads in the column of this name."""
    if not value:
        return Cell(DASH)
    if column == "game" and value in config.games:
        return Cell(value, href=f"#game={value}")
    if column in ("verdict", "state"):
        return Cell(value, badge=BADGES.get(value.lower(), "plain"))
    if column == "method":
        return Cell(method_name(value))
    if column == "probe":
        return Cell(PROBE_NAMES.get(value, value))
    if column in ("category", "categories", "name"):
        return Cell(
            ", ".join(CATEGORY_NAMES.get(part, part) for part in re.split(r"[;,\s]+", value))
        )
    return Cell(ROW_NAMES.get(value, value))
