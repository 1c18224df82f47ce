"""From bytes to pixels: how each game encodes the place of an object, by variable.

``calibration.csv`` has what `audit.calibration` measured of each position of ``revised-2020``, and
``fixes.csv`` the bits of bytes that hold several things, with what shows it. A console of 1977 has
no single rule. Most games store the pixel itself but for an offset, some half of it, some count
from the bottom. Two store a column in two nibbles, as the television interface's registers want it:
steps of 15 pixels, and a fine motion of -8 to 7 pixels to the left. Source of the registers: Stella
Programmer's Guide (S. Wright, 1979).
"""

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workflow_src.errors import DamagedFile

SIZE = {"x": 160, "y": 210}
VALUES = 256
LINEAR = "linear"
# A byte wraps: so many pixels before the screen's edge a position is still on that side of it. As
# many as leave the whole screen within one period.
_BEFORE = {"x": 60, "y": 46}
_AXIS = re.compile(r"_([xy])(?=_|\d|$)")


class Map(NamedTuple):
    """How a byte gives a pixel: the encoding, pixels for each unit, and the offset in pixels."""

    encoding: str
    scale: float
    offset: float


def _linear(byte: np.ndarray) -> np.ndarray:
    return byte.astype(np.float64)


def _fine(byte: np.ndarray) -> np.ndarray:
    """The fine motion to the left in the high nibble: -8 to 7."""
    high = (byte >> 4).astype(np.float64)
    return np.where(high > 7, high - 16, high)


def _nibbles(byte: np.ndarray) -> np.ndarray:
    return 15.0 * (byte & 15) - _fine(byte)


def _halves(byte: np.ndarray) -> np.ndarray:
    """As `_nibbles`, but the lowest bit chooses the half of the screen: 87 pixels to the right."""
    return 15.0 * ((byte & 15) >> 1) + 87.0 * (1 - (byte & 1)) - _fine(byte)


ENCODINGS = {LINEAR: _linear, "nibbles": _nibbles, "halves": _halves}


def axis_of(variable: str) -> str:
    """``x`` or ``y``: the axis of a position, by its name; empty without one."""
    found = _AXIS.search(variable)
    return found[1] if found else ""


def period(one: Map) -> float:
    """After how many pixels the positions of a map come round again; 0 where they do not."""
    found = VALUES * abs(one.scale)
    return found if one.encoding == LINEAR and found >= VALUES else 0.0


def positions(one: Map, axis: str) -> np.ndarray:
    """Where each of the 256 values puts the object along ``axis``, in pixels: (256,) float64."""
    found = one.scale * ENCODINGS[one.encoding](np.arange(VALUES)) + one.offset
    if period(one):
        found = (found + _BEFORE[axis]) % period(one) - _BEFORE[axis]
    return found


def pixels(one: Map, axis: str) -> np.ndarray:
    """`positions` as whole pixels of the 210 x 160 screen, (256,) int64; clipped to its edges."""
    found = np.floor(positions(one, axis) + 0.5)
    return np.clip(found, 0, SIZE[axis] - 1).astype(np.int64)


def maps(game: str) -> dict[str, tuple[int, np.ndarray]]:
    """A game's positions that have a map: name -> RAM index, and its 256 values (256,) int64."""
    found = {}
    for row in _rows("calibration.csv"):
        if row["game"] == game and not row["reason"]:
            one = Map(row["encoding"], float(row["scale"]), float(row["offset"]))
            found[row["variable"]] = int(row["ram_index"]), pixels(one, axis_of(row["variable"]))
    return found


def fixes(game: str) -> dict[str, tuple[int, np.ndarray] | None]:
    """A game's other variables that differ from ``revised-2020``, as in `maps`.

    The value is the bits of the mask, or whether they are ``equals``. None: left out.
    """
    found: dict[str, tuple[int, np.ndarray] | None] = {}
    for row in _rows("fixes.csv"):
        if row["game"] != game:
            continue
        if not row["mask"]:
            found[row["variable"]] = None
            continue
        mask = int(row["mask"])
        values = (np.arange(VALUES) & mask) >> ((mask & -mask).bit_length() - 1)
        if row["equals"]:
            values = (values == int(row["equals"])).astype(np.int64)
        found[row["variable"]] = int(row["ram_index"]), values
    return found


@cache
def _rows(name: str) -> list[dict[str, str]]:
    """The rows of a table that the package ships; `DamagedFile` if it is not what it was."""
    path = Path(__file__).with_name(name)
    numbers = {"calibration.csv": ("scale", "offset"), "fixes.csv": ("mask", "equals")}[name]
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            for column in ("ram_index", *numbers):
                float(row[column] or 0)
            if row.get("encoding") not in (None, "", *ENCODINGS):
                raise ValueError(f"unknown encoding {row['encoding']}")
        if not rows:
            raise ValueError("it has no rows")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"{path} is damaged ({error}): install the package again") from error
    return rows
