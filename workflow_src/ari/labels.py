"""The RAM byte of each state variable, for two label sets, and the variables' categories.

``paper-2019``: the annotations behind the published tables (22 games, 308 variables);
``revised-2020``: later corrections and additions (24 games, 362). Source: AtariARI (Anand et al.
2019, arXiv 1906.08226), at 2019-10-11 and 2020-06-09.
"""

import csv
from pathlib import Path

import numpy as np

from workflow_src.errors import UserError, one_of, unknown


def _read() -> dict[str, dict[str, dict[str, int]]]:
    sets: dict[str, dict[str, dict[str, int]]] = {}
    with open(Path(__file__).with_name("annotations.csv"), newline="") as file:
        for row in csv.DictReader(file):
            sets.setdefault(row["label_set"], {}).setdefault(row["game"], {})[row["variable"]] = (
                int(row["ram_index"])
            )
    return sets


_ANNOTATIONS = _read()
LABEL_SETS: tuple[str, ...] = tuple(_ANNOTATIONS)
GAMES: dict[str, tuple[str, ...]] = {
    label_set: tuple(sorted(games)) for label_set, games in _ANNOTATIONS.items()
}

RAM_BYTES = 128

# In the order of the paper's tables.
CATEGORIES: tuple[str, ...] = (
    "small_object_localization",
    "agent_localization",
    "other_localization",
    "score_clock_lives_display",
    "misc",
)


def variables(label_set: str, game: str) -> dict[str, int]:
    """List the state variables of a game, name -> RAM index in 0..127, in the annotations' order.

    Raises `UserError` for an unknown label set, or a game that it does not have, naming the known
    ones.
    """
    games = _ANNOTATIONS[one_of("label set", label_set, LABEL_SETS)]
    if game not in games:
        others = [name for name in LABEL_SETS if game in GAMES[name]]
        hint = f"; label set {', '.join(others)} has it" if others else ""
        raise UserError(unknown(f"{label_set} game", game, GAMES[label_set]) + hint)
    return dict(games[game])


def labels(ram: np.ndarray, label_set: str, game: str) -> np.ndarray:
    """The variables' values in the order of `variables`: uint8 (..., 128) -> int64 (..., V).

    Signed, since people subtract positions from each other.
    """
    assert ram.shape[-1] == RAM_BYTES and ram.dtype == np.uint8, f"no RAM: {ram.shape} {ram.dtype}"
    return ram[..., list(variables(label_set, game).values())].astype(np.int64)


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
