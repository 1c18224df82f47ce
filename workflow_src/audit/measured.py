"""The file of a game's measurements, as `audit.measure` writes it, and what it says of one byte."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src import artifacts
from workflow_src.ari.labels import Decoder
from workflow_src.audit.recorded import VALUES, entropies
from workflow_src.errors import UserError

KIND = "audit"
# What frames say of a byte's changes and values, which a part of the byte need not share.
OF_BYTE = (
    "changes",
    "knows_lives",
    "lives_know",
    "with_lives",
    "at_lives",
    "with_rewards",
    "readable",
)
# Arrays that are of screens, not of bytes.
SCREENS = ("palette", "sheet", "sheet_ram", "film", "film_ram")


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays by name and the header: game, frames, sha256 of the episodes.

    `UserError` or `DamagedFile` for a file of another kind or a damaged one.
    """
    return artifacts.read_arrays(path, KIND)


def of_byte(arrays: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
    """The measurements of RAM byte ``index``: its row in every array that has one per byte.

    `UserError` for a byte that was not measured.
    """
    rows = np.flatnonzero(arrays["indices"] == index)
    if not len(rows):
        raise UserError(
            f"the measurements have no RAM byte {index}, which label sets annotate today: "
            "measure the game again (audit-measure)"
        )
    row = int(rows[0])
    return {name: array[row] for name, array in arrays.items() if name not in SCREENS}


def of_variables(
    arrays: dict[str, np.ndarray], decoder: Decoder
) -> Iterator[tuple[str, int, dict[str, np.ndarray]]]:
    """The name of each variable of a label set, its RAM index, and the measurements of its byte.

    Counts, entropy and courses are of the label set's values, where it changes those of the byte.
    What else frames say is of the byte, and NaN for a variable that is a part of its byte.
    """
    for v, (name, index) in enumerate(zip(decoder.names, decoder.indices.tolist(), strict=True)):
        found = of_byte(arrays, index)
        if decoder.tables is not None:
            table = decoder.tables[v]
            usual = np.flatnonzero(found["counts"])
            if 2 * len(np.unique(table[usual])) <= len(usual):
                found |= dict.fromkeys(OF_BYTE, np.array(np.nan))
            counts = np.bincount(table, weights=found["counts"], minlength=VALUES).astype(int)
            found |= {"counts": counts, "entropy": entropies(counts[None])[0]}
            found |= {course: table[found[course]] for course in ("overview", "closeup")}
        yield name, index, found
