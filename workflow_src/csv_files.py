"""Tables as CSV files that carry their own checksum.

The last column, ``sha256``, has one value, in the first row: the SHA-256 of all other cells, and
the file's place in its run, as ``sha256sum`` prints them. So a table that was damaged, or copied to
the place of another one, is refused. A table without rows has it in the name of that column.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src import artifacts
from workflow_src.errors import DamagedFile, explained
from workflow_src.paths import place

CHECKSUM = "sha256"


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table without its index; the same table gives the same bytes."""
    heads, *rows = csv.reader(io.StringIO(table.to_csv(index=False, lineterminator="\n")))
    sealed = f"{_digest(heads, rows)}  {place(path)}".rstrip()
    heads = [*heads, CHECKSUM if rows else f"{CHECKSUM} {sealed}"]
    rows = [[*row, "" if number else sealed] for number, row in enumerate(rows)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    artifacts.write_text(path, text.getvalue())


def read_csv(
    path: str | os.PathLike,
    text: Iterable[str],
    numbers: Iterable[str] = (),
    foreign: bool = False,
) -> pd.DataFrame:
    """Read a CSV whose columns ``text`` are identifiers; all others are numbers, NaN if empty.

    ``foreign``: the file may come from elsewhere, or be edited: its checksum does not count.
    `DamagedFile` if the file does not parse, its checksum does not match, it misses a column of
    ``text`` or ``numbers``, or has something else in place of a number.
    """
    frame, text = read_cells(path, foreign), list(text)
    try:
        missing = {*text, *numbers} - set(frame.columns)
        if missing:
            raise ValueError(f"the column {min(missing)} is missing")
        for column in frame.columns.difference(text):
            frame[column] = [float(value) if value else np.nan for value in frame[column]]
    except ValueError as error:
        raise _damaged(path, error) from error
    return frame


def read_published(
    folder: Path, name: str, text: Iterable[str], numbers: Iterable[str] = ()
) -> pd.DataFrame:
    """`read_csv` of a file that the repository ships, whose checksum is in SHA256SUMS beside it."""
    sums, path = folder / "SHA256SUMS", folder / name
    with explained("read", path):
        content = path.read_bytes()
    with explained("read", sums):
        lines = sums.read_text(errors="replace").splitlines()
    if f"{hashlib.sha256(content).hexdigest()}  {name}" not in lines:
        raise DamagedFile(
            f"{path} is damaged (its checksum is not in {sums}): take it from the repository again"
        )
    return read_csv(path, text, numbers, foreign=True)


def read_cells(path: str | os.PathLike, foreign: bool = False) -> pd.DataFrame:
    """Read a CSV as text, all of it; `DamagedFile` as of `read_csv`."""
    with explained("read", path):
        content = Path(path).read_bytes()
    try:
        heads, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        if len(set(heads)) < len(heads) or "" in heads:
            raise ValueError("two columns have the same name, or one has none")
        for number, row in enumerate(rows, start=2):
            if len(row) != len(heads):
                raise ValueError(f"row {number} has {len(row)} cells, not {len(heads)}")
        if not foreign:
            _check(path, heads, rows)
        if heads[-1].split(" ")[0] == CHECKSUM:
            heads, rows = heads[:-1], [row[:-1] for row in rows]
    except (ValueError, csv.Error) as error:
        raise _damaged(path, error) from error
    # All as text: pandas would read a game called "nan" as missing, and round numbers.
    return pd.DataFrame(rows, columns=heads, dtype=str)


def _check(path: str | os.PathLike, heads: list[str], rows: list[list[str]]) -> None:
    """ValueError unless a table's checksum is there and right."""
    name, _, of_empty = heads[-1].partition(" ")
    if name != CHECKSUM:
        raise ValueError(f"it has no column {CHECKSUM}")
    sealed = [of_empty, *(row[-1] for row in rows)]
    digest, _, written_to = "".join(sealed).partition("  ")
    where = 1 if rows else 0
    if not sealed[where] or digest != _digest(heads[:-1], [row[:-1] for row in rows]):
        raise ValueError("its checksum does not match")
    here = place(path)
    if here and written_to and here != written_to:
        raise ValueError(f"it was made as {written_to}")


def _digest(heads: list[str], rows: list[list[str]]) -> str:
    return hashlib.sha256(json.dumps([heads, rows]).encode()).hexdigest()


def _damaged(path: str | os.PathLike, error: Exception) -> DamagedFile:
    why = " ".join(str(error).split())
    return DamagedFile(f"{path} is damaged ({why}): delete it and make it again")
