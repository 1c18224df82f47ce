"""The file of a game's measurements, as `audit.measure` writes it, and what it says of one byte."""

from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts

KIND = "audit"
# Arrays that are of screens, not of bytes.
SCREENS = ("palette", "sheet", "sheet_ram", "film", "film_ram")


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays by name and the header: game, frames, sha256 of the episodes.

    `UserError` or `DamagedFile` for a file of another kind or a damaged one.
    """
    return artifacts.read_arrays(path, KIND)


def of_byte(arrays: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    """The measurements of RAM byte ``index``: its row in every array that has one per byte."""
    row = int(np.flatnonzero(arrays["indices"] == index)[0])
    return {name: array[row] for name, array in arrays.items() if name not in SCREENS}
