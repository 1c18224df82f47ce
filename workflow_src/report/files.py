"""Files of tables: read as checked CSV, written as CSV and LaTeX. No configuration is needed."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_src import artifacts
from workflow_src.errors import DamagedFile, explained


def read_csv(path: Path, text: list[str], numbers: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV whose columns ``text`` are identifiers; all others are numbers, NaN if empty.

    `DamagedFile` if it does not parse, misses a column of ``text`` or ``numbers``, or has
    something else in place of a number.
    """
    with explained("read", path):
        try:
            # All as text first: pandas would read a game called "nan" as missing, and round
            # numbers.
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
            missing = {*text, *numbers} - set(frame.columns)
            if missing:
                raise ValueError(f"the column {min(missing)} is missing")
            for column in frame.columns.difference(text):
                frame[column] = [float(value) if value else np.nan for value in frame[column]]
        except ValueError as error:
            why = " ".join(str(error).split())
            raise DamagedFile(f"{path} is damaged ({why}): delete it and make it again") from error
    return frame


def write_table(table: pd.DataFrame, latex: str, path: Path) -> None:
    """Write a table as CSV and as the text ``latex``; ``path`` has no extension."""
    csv = table.round(6).to_csv(index=False, lineterminator="\n")
    artifacts.write_text(path.with_name(f"{path.name}.csv"), csv)
    artifacts.write_text(path.with_name(f"{path.name}.tex"), latex)
