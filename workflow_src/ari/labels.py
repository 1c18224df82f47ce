"""What the RAM says of each state variable, for three label sets, and the variables' categories.

``paper-2019``: the annotations behind the published tables (22 games, 308 variables);
``revised-2020``: later corrections and additions (24 games, 362): the bytes as they are. Source:
AtariARI (Anand et al. 2019, arXiv 1906.08226), at 2019-10-11 and 2020-06-09.

``calibrated``: ours, from ``revised-2020``: positions in pixels of the screen, where they could be
measured, and single things where a byte holds several (`ari.calibrated`, docs/labels.md).
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from workflow_src.ari import calibrated
from workflow_src.ari.annotations import ANNOTATIONS, CALIBRATED, GAMES, LABEL_SETS, REVISED
from workflow_src.errors import UserError, one_of, unknown

RAM_BYTES = 128

# In the order of the paper's tables.
CATEGORIES: tuple[str, ...] = (
    "small_object_localization",
    "agent_localization",
    "other_localization",
    "score_clock_lives_display",
    "misc",
)


class Decoder(NamedTuple):
    """The variables of a game in a label set: where they are in the RAM, and what values mean."""

    names: tuple[str, ...]
    indices: np.ndarray  # (V,) int64: RAM bytes, in 0..127
    tables: np.ndarray | None  # (V, 256) int64: the value for each byte; None: the byte itself

    def __call__(self, ram: np.ndarray) -> np.ndarray:
        """The variables' values: uint8 (..., 128) -> int64 (..., V).

        Signed, since people subtract positions from each other.
        """
        assert ram.shape[-1] == RAM_BYTES and ram.dtype == np.uint8, (
            f"no RAM: {ram.shape} {ram.dtype}"
        )
        found = ram[..., self.indices].astype(np.int64)
        return found if self.tables is None else self.tables[np.arange(len(self.names)), found]


def decoder(label_set: str, game: str) -> Decoder:
    """How a label set reads a game's RAM.

    Raises `UserError` for an unknown label set, or a game that it does not have, naming the known
    ones.
    """
    if game not in GAMES[one_of("label set", label_set, LABEL_SETS)]:
        others = [name for name in LABEL_SETS if game in GAMES[name]]
        hint = f"; label set {others[0]} has it" if others else ""
        hint += "".join(f", as has {name}" for name in others[1:])
        raise UserError(unknown(f"{label_set} game", game, GAMES[label_set]) + hint)
    return _decoder(label_set, game)


@cache
def _decoder(label_set: str, game: str) -> Decoder:
    if label_set != CALIBRATED:
        annotated = ANNOTATIONS[label_set][game]
        return Decoder(tuple(annotated), np.array(list(annotated.values())), None)
    measured, fixes = calibrated.maps(game), calibrated.fixes(game)
    raw = np.arange(calibrated.VALUES)
    found: dict[str, tuple[int, np.ndarray] | None] = {
        name: measured.get(name) if is_position(name) else (index, raw)
        for name, index in ANNOTATIONS[REVISED][game].items()
    }
    kept = {name: one for name, one in (found | fixes).items() if one is not None}
    if not kept:
        raise UserError(
            f"{CALIBRATED} has no variable of {game}: run `snakemake calibration`, and add its "
            "rows to workflow_src/ari/calibration.csv"
        )
    indices, tables = zip(*kept.values(), strict=True)
    return Decoder(tuple(kept), np.array(indices), np.stack(tables))


def variables(label_set: str, game: str) -> dict[str, int]:
    """List the state variables of a game, name -> RAM index in 0..127, in the annotations' order.

    Those that ``calibrated`` adds come last.

    `UserError` as in `decoder`.
    """
    found = decoder(label_set, game)
    return dict(zip(found.names, found.indices.tolist(), strict=True))


def labels(ram: np.ndarray, label_set: str, game: str) -> np.ndarray:
    """The variables' values in the order of `variables`: uint8 (..., 128) -> int64 (..., V)."""
    return decoder(label_set, game)(ram)


def categories(variable: str) -> tuple[str, ...]:
    """The categories of a variable, by its name: one, two or none.

    Asteroids' ``num_lives_direction`` has two.

    Checked: under ``paper-2019`` these rules give Table 1 of the paper exactly.
    """

    def has(*parts: str) -> bool:
        return any(part in variable for part in parts)

    found = []
    if has("_x", "_y", "_z", "_column"):
        if has("ball", "missile"):
            found.append("small_object_localization")
        elif has("agent", "player"):
            found.append("agent_localization")
        else:
            found.append("other_localization")
    if has("score", "clock", "lives", "lifes", "meter", "display"):
        found.append("score_clock_lives_display")
    if has("count", "bit_map", "existence", "level", "room", "game_state", "direction"):
        found.append("misc")
    return tuple(found)


def is_position(variable: str) -> bool:
    """Whether a variable is a coordinate of something on the screen."""
    return any(category.endswith("localization") for category in categories(variable))
